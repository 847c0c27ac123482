// Tests of bench/llmperf.h.
#include "bench/llmperf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "bench/statistics.h"

namespace pagoda {
namespace {

// Like a tokenizer with BOS: the lengths of prompts do not depend on what it cuts, but for
// headings.
Result<int64_t> words_and_bos(const std::string& text) {
  int64_t count = 1;
  for (const char c : text) count += c == ' ' ? 1 : 0;
  return count;
}

std::string lines(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) {
    text += "line " + std::to_string(i) + " of some words";
    if (i + 1 < count) text += "\n";
  }
  return text;
}

LlmperfOptions published_run() {
  LlmperfOptions options;
  options.model = "NousResearch/Meta-Llama-3-8B-Instruct";
  options.mean_input_tokens = 512;
  options.stddev_input_tokens = 20;
  options.mean_output_tokens = 245;
  options.stddev_output_tokens = 20;
  options.num_concurrent_requests = 2;
  options.max_num_completed_requests = 16;
  return options;
}

// The lengths that AWS published for this run of LLMPerf, whose text has 84 lines.
TEST(Llmperf, DrawsTheLengthsOfThePublishedRunToTheLastDigit) {
  const auto prompts = llmperf_prompts(published_run(), lines(84), words_and_bos);
  ASSERT_TRUE(prompts.ok());
  std::vector<double> input;
  std::vector<int64_t> output;
  for (const Conversation& prompt : *prompts) {
    input.push_back(static_cast<double>(prompt.turns[0].input_tokens));
    output.push_back(prompt.turns[0].output_tokens);
  }
  EXPECT_EQ(input, (std::vector<double>{510, 516, 518, 509, 503, 506, 501, 567, 514, 513, 485, 494,
                                        576, 505, 526, 501}));
  EXPECT_EQ(output, (std::vector<int64_t>{249, 230, 265, 250, 223, 215, 221, 232, 232, 206, 239,
                                          226, 247, 241, 261, 247}));
  const Distribution d = distribution_of(input);
  EXPECT_EQ(d.quantiles[0], 502.5);
  EXPECT_EQ(d.quantiles[1], 509.5);
  EXPECT_EQ(d.quantiles[2], 516.5);
  EXPECT_EQ(d.quantiles[3], 546.5);
  EXPECT_EQ(d.quantiles[4], 569.25);
  EXPECT_EQ(d.quantiles[5], 574.65);
  EXPECT_EQ(d.mean, 515.25);
  EXPECT_EQ(d.stddev, 24.054105678657024);
}

TEST(Llmperf, PromptsAreHeadingAndWholeLinesAndACutTail) {
  const auto prompts = llmperf_prompts(published_run(), lines(84), words_and_bos);
  ASSERT_TRUE(prompts.ok());
  const std::string& prompt = (*prompts)[0].turns[0].prompt;
  EXPECT_TRUE(
      prompt.starts_with("Randomly stream lines from the following text with 249 output "
                         "tokens. Don't generate eos tokens:\n\nline "));
  EXPECT_EQ((*prompts)[0].before.dump(), R"([{"role":"system","content":""}])");
}

std::vector<LlmperfFigures> three_figures() {
  LlmperfFigures figure;
  figure.inter_token_latency_s = 0.05;
  figure.ttft_s = 1.5;
  figure.end_to_end_latency_s = 14.0;
  figure.output_throughput = 18.5;
  figure.input_tokens = 550;
  figure.output_tokens = 151;
  LlmperfFigures other = figure;
  other.input_tokens = 600;
  LlmperfFigures failed;
  failed.failed = true;
  failed.error_code = 429;
  failed.error_message = "busy \"now\"";
  failed.input_tokens = 100;
  return {figure, other, failed};
}

TEST(Llmperf, SummaryHasTheKeysOfLlmperfInItsOrder) {
  LlmperfOptions options = published_run();
  options.additional_sampling_params = Json::parse(R"({"temperature": 0.5})");
  options.metadata = {{"run", "one"}};
  const LlmperfReport report = llmperf_report(options, three_figures(), 20.0, 1700000000, false);
  EXPECT_EQ(report.file_stem, "NousResearch-Meta-Llama-3-8B-Instruct_512_245");
  const Json summary = Json::parse(report.summary);
  std::vector<std::string> keys;
  for (const auto& [key, value] : summary.items()) keys.push_back(key);
  std::vector<std::string> expected = {"version",
                                       "name",
                                       "model",
                                       "mean_input_tokens",
                                       "stddev_input_tokens",
                                       "mean_output_tokens",
                                       "stddev_output_tokens",
                                       "num_concurrent_requests",
                                       "additional_sampling_params_temperature"};
  for (const char* metric :
       {"inter_token_latency_s", "ttft_s", "end_to_end_latency_s",
        "request_output_throughput_token_per_s", "number_input_tokens", "number_output_tokens"}) {
    for (const char* what : {"quantiles_p25", "quantiles_p50", "quantiles_p75", "quantiles_p90",
                             "quantiles_p95", "quantiles_p99", "mean", "min", "max", "stddev"}) {
      expected.push_back(std::string("results_") + metric + "_" + what);
    }
  }
  for (const char* key :
       {"results_num_requests_started", "results_error_rate", "results_number_errors",
        "results_error_code_frequency", "results_mean_output_throughput_token_per_s",
        "results_num_completed_requests", "results_num_completed_requests_per_min", "run",
        "timestamp"}) {
    expected.push_back(key);
  }
  EXPECT_EQ(keys, expected);
  EXPECT_EQ(summary["results_number_input_tokens_min"], "550");
  EXPECT_EQ(summary["results_number_output_tokens_max"], "151");
  EXPECT_EQ(summary["results_error_code_frequency"], "{429: 1}");
  EXPECT_EQ(summary["results_mean_output_throughput_token_per_s"], 15.1);
  EXPECT_EQ(summary["results_num_completed_requests_per_min"], 6.0);
  EXPECT_THAT(report.summary, testing::StartsWith("{\n    \"version\": \"2023-08-31\",\n"));
}

TEST(Llmperf, ConsoleIsThatOfLlmperf) {
  const LlmperfReport report =
      llmperf_report(published_run(), three_figures(), 20.0, 1700000000, true);
  EXPECT_THAT(
      report.console,
      testing::StartsWith(
          "Test timed out before all requests could be completed.\n"
          "\\Results for token benchmark for NousResearch/Meta-Llama-3-8B-Instruct queried "
          "with the openai api.\n\ninter_token_latency_s\n    p25 = 0.05\n    p50 = 0.05\n"));
  EXPECT_THAT(report.console, testing::HasSubstr("number_input_tokens\n    p25 = 562.5\n"));
  EXPECT_THAT(report.console,
              testing::HasSubstr("    mean = 575.0\n    min = 550\n    max = 600\n"));
  EXPECT_THAT(report.console,
              testing::EndsWith("Number Of Errored Requests: 1\nError Code Frequency\n{429: 1}\n"
                                "Overall Output Throughput: 15.1\nNumber Of Completed Requests: 2\n"
                                "Completed Requests Per Minute: 6.0\n"));
}

TEST(Llmperf, IndividualResponsesHaveTheKeysOfLlmperf) {
  const LlmperfReport report =
      llmperf_report(published_run(), three_figures(), 20.0, 1700000000, false);
  const Json all = Json::parse(report.individual);
  ASSERT_EQ(all.size(), 3U);
  std::vector<std::string> keys;
  for (const auto& [key, value] : all[0].items()) keys.push_back(key);
  EXPECT_EQ(keys, (std::vector<std::string>{
                      "error_code", "error_msg", "inter_token_latency_s", "ttft_s",
                      "end_to_end_latency_s", "request_output_throughput_token_per_s",
                      "number_total_tokens", "number_output_tokens", "number_input_tokens"}));
  EXPECT_TRUE(all[0]["error_code"].is_null());
  EXPECT_EQ(all[0]["number_total_tokens"], 701);
  EXPECT_EQ(all[2]["error_code"], 429);
  EXPECT_EQ(all[2]["error_msg"], "busy \"now\"");
}

TEST(Llmperf, OneRequestHasNoDeviation) {
  const LlmperfReport report =
      llmperf_report(published_run(), {three_figures()[0]}, 20.0, 1700000000, false);
  EXPECT_THAT(report.summary, testing::HasSubstr("\"results_ttft_s_stddev\": NaN,"));
  EXPECT_THAT(report.console, testing::HasSubstr("    stddev = nan\n"));
}

RequestRecord four_tokens() {
  RequestRecord record;
  record.sent_ns = 1'000'000'000;
  record.piece_ns = {1'400'000'000, 1'500'000'000, 1'600'000'000};
  record.first_content_ns = 1'400'000'000;
  record.last_content_ns = 1'600'000'000;
  record.end_ns = 1'700'000'000;
  record.num_events = 6;
  record.content = "one two three";
  record.asked_input_tokens = 50;
  return record;
}

TEST(Llmperf, LatencyBetweenTokensIsDefinedAsEachKindDefinesIt) {
  const auto original = llmperf_figures(four_tokens(), LlmperfKind::kOriginal, words_and_bos);
  const auto aws = llmperf_figures(four_tokens(), LlmperfKind::kAws, words_and_bos);
  ASSERT_TRUE(original.ok() && aws.ok());
  EXPECT_DOUBLE_EQ(original->inter_token_latency_s, 0.6 / 6);  // the first token's time inside
  EXPECT_DOUBLE_EQ(aws->inter_token_latency_s, 0.2 / 2);       // 3 tokens by this tokenizer
  EXPECT_DOUBLE_EQ(original->ttft_s, 0.4);
  EXPECT_DOUBLE_EQ(original->end_to_end_latency_s, 0.7);
  EXPECT_DOUBLE_EQ(original->output_throughput, 3 / 0.7);
}

TEST(Llmperf, LengthsThatCannotBeDrawnAreRefused) {
  LlmperfOptions options = published_run();
  options.mean_input_tokens = 1;
  options.stddev_input_tokens = 0;
  EXPECT_FALSE(llmperf_prompts(options, lines(3), words_and_bos).ok());
  EXPECT_FALSE(llmperf_prompts(published_run(), "", words_and_bos).ok());
}

TEST(Llmperf, FloatsArePrintedAsPythonPrintsThem) {
  EXPECT_EQ(python_float(1.0), "1.0");
  EXPECT_EQ(python_float(0.1), "0.1");
  EXPECT_EQ(python_float(35.827933968528434), "35.827933968528434");
  EXPECT_EQ(python_float(1e-05), "1e-05");
  EXPECT_EQ(python_float(1e16), "1e+16");
}

TEST(Llmperf, NumbersAreSpelledAsNum2wordsSpellsThem) {
  EXPECT_EQ(number_words(0), "zero");
  EXPECT_EQ(number_words(21), "twenty-one");
  EXPECT_EQ(number_words(100), "one hundred");
  EXPECT_EQ(number_words(342), "three hundred and forty-two");
  EXPECT_EQ(number_words(1005), "one thousand and five");
  EXPECT_EQ(number_words(1100), "one thousand, one hundred");
  EXPECT_EQ(number_words(9734), "nine thousand, seven hundred and thirty-four");
  EXPECT_EQ(number_words(10000), "ten thousand");
}

TEST(Llmperf, AnAnswerIsRightWhenTheNumberStandsInIt) {
  EXPECT_TRUE(holds_number("It is 1,234.", 1234));
  EXPECT_TRUE(holds_number("7 or 8", 8));
  EXPECT_FALSE(holds_number("12345", 1234));
  EXPECT_FALSE(holds_number("one", 1));
}

}  // namespace
}  // namespace pagoda
