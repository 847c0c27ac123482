// `pagoda bench serve --compat` and `pagoda bench correctness`: LLMPerf's two programs.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <deque>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "app/bench.h"
#include "app/bench_target.h"
#include "app/commands.h"
#include "base/printable.h"
#include "bench/llmperf.h"
#include "bench/summary.h"
#include "bench/terminal.h"
#include "bench/verses.h"

namespace pagoda {
namespace {

// What LLMPerf counts tokens with, whatever model it measures.
constexpr const char* kLlmperfTokenizer = "hf-internal-testing/llama-tokenizer";
constexpr std::chrono::seconds kRequestTimeout{180};

int64_t unix_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

Result<std::string> read_lines(const std::string& file) {
  if (file.empty()) {
    std::fputs(
        "note: prompts are of the built-in verses; give LLMPerf's sonnet.txt with --text-file for "
        "the very prompts of LLMPerf\n",
        stderr);
    return std::string(kVerses);
  }
  std::ifstream in(file, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (text.empty()) {
    return Error{ErrorCode::kNotFound,
                 fmt::format("text-file: {}: cannot be read, or is empty", file)};
  }
  return text;
}

// The records in the order in which they ended; no more than are wanted, as LLMPerf drops the rest.
std::vector<const RequestRecord*> in_order_of_ending(const std::deque<RequestRecord>& records,
                                                     int64_t wanted) {
  std::vector<const RequestRecord*> out;
  for (const RequestRecord& record : records) out.push_back(&record);
  std::stable_sort(out.begin(), out.end(), [](const RequestRecord* a, const RequestRecord* b) {
    return a->end_ns < b->end_ns;
  });
  if (static_cast<int64_t>(out.size()) > wanted) out.resize(static_cast<size_t>(wanted));
  return out;
}

Result<LlmperfOptions> llmperf_options(const BenchLlmperfOptions& given, const LoadPlan& plan) {
  LlmperfOptions options;
  if (given.compat != "llmperf" && given.compat != "llmperf-aws") {
    return invalid_argument(
        fmt::format("compat: '{:.40}' is neither llmperf nor llmperf-aws", given.compat));
  }
  options.kind = given.compat == "llmperf" ? LlmperfKind::kOriginal : LlmperfKind::kAws;
  options.model = plan.model;
  options.mean_input_tokens = given.mean_input_tokens;
  options.stddev_input_tokens = given.stddev_input_tokens;
  options.mean_output_tokens = given.mean_output_tokens;
  options.stddev_output_tokens = given.stddev_output_tokens;
  options.num_concurrent_requests = given.num_concurrent_requests;
  options.timeout_s = given.timeout_s;
  options.max_num_completed_requests = given.max_num_completed_requests;
  options.additional_sampling_params = plan.extra;
  options.llm_api = given.llm_api;
  ASSIGN_OR_RETURN(options.metadata, parse_metadata(given.metadata));
  return options;
}

void set_load(LoadPlan& plan, int64_t users, int64_t timeout_s, int64_t max_completed) {
  plan.concurrency = static_cast<size_t>(users);
  plan.by_user = true;
  plan.duration_s = static_cast<double>(timeout_s);
  plan.max_ended = static_cast<size_t>(max_completed);
  plan.fresh_connections = true;
  plan.timeout = kRequestTimeout;
}

// What the same requests say when counted as docs/benchmarking.md has it.
std::string corrected_text(const LoadPlan& plan, const LoadResult& result) {
  Json description = {{"model", plan.model},
                      {"load", {{"kind", "closed"}, {"concurrency", plan.concurrency}}}};
  const Json summary = summarize(plan, result, {}, std::move(description), nullptr);
  return "\nThe same requests, corrected (tokens by the server's usage, time per output token "
         "without the first,\nthroughput over the steady part; docs/benchmarking.md):\n" +
         summary_text(summary);
}

Result<void> save(const std::string& folder, const std::string& stem, const std::string& summary,
                  const std::string& individual) {
  if (folder.empty()) return {};
  RETURN_IF_ERROR(write_text_file(fmt::format("{}/{}_summary.json", folder, stem), summary));
  return write_text_file(fmt::format("{}/{}_individual_responses.json", folder, stem), individual);
}

}  // namespace

Result<void> bench_llmperf(const BenchLlmperfOptions& given) {
  ASSIGN_OR_RETURN(LoadPlan plan, plan_for(given.target));
  ASSIGN_OR_RETURN(const LlmperfOptions options, llmperf_options(given, plan));
  RETURN_IF_ERROR(check_folder(given.results_dir));
  set_load(plan, options.num_concurrent_requests, options.timeout_s,
           options.max_num_completed_requests);
  ASSIGN_OR_RETURN(const auto tokenizer,
                   open_tokenizer(given.tokenizer.empty() ? kLlmperfTokenizer : given.tokenizer));
  const TokenLength length = [&tokenizer](const std::string& text) -> Result<int64_t> {
    ASSIGN_OR_RETURN(const auto ids, tokenizer->encode(text, {.add_special_tokens = true,
                                                              .parse_special_tokens = true}));
    return static_cast<int64_t>(ids.size());
  };
  ASSIGN_OR_RETURN(const std::string text, read_lines(given.text_file));
  if (options.mean_input_tokens < 40) {
    std::fputs("note: the heading of each prompt alone has about 27 tokens\n", stderr);
  }
  ASSIGN_OR_RETURN(const auto prompts, llmperf_prompts(options, text, length));
  const LoadSession session;
  ASSIGN_OR_RETURN(LoadResult result, run_load(plan, prompts, session.hooks(plan)));
  session.end_progress();
  count_output_tokens(result, tokenizer.get());
  std::vector<LlmperfFigures> figures;
  for (const RequestRecord* record :
       in_order_of_ending(result.records, options.max_num_completed_requests)) {
    ASSIGN_OR_RETURN(LlmperfFigures figure, llmperf_figures(*record, options.kind, length));
    figures.push_back(std::move(figure));
  }
  const bool timed_out = static_cast<int64_t>(figures.size()) < options.max_num_completed_requests;
  const LlmperfReport report =
      llmperf_report(options, figures, result.elapsed_s, unix_seconds(), timed_out);
  std::fputs(report.console.c_str(), stdout);
  std::fputs(corrected_text(plan, result).c_str(), stdout);
  RETURN_IF_ERROR(save(given.results_dir, report.file_stem, report.summary, report.individual));
  const auto failed = std::count_if(figures.begin(), figures.end(),
                                    [](const LlmperfFigures& f) { return f.failed; });
  if (failed > 0 || figures.empty()) {
    return Error{ErrorCode::kInternal, fmt::format("the run is not valid: {} of {} requests failed",
                                                   failed, figures.size())};
  }
  return {};
}

namespace {

struct CorrectnessCounts {
  int64_t errors = 0;
  int64_t mismatched = 0;
  std::string lines;
  Json responses = Json::array();
};

CorrectnessCounts check_answers(const std::vector<const RequestRecord*>& records,
                                const std::vector<Conversation>& prompts,
                                const std::vector<int64_t>& numbers, const LoadPlan& plan,
                                int64_t users) {
  CorrectnessCounts out;
  std::map<size_t, size_t> sent_by_user;
  for (const RequestRecord* r : records) {
    const auto which = static_cast<size_t>(r->asked_input_tokens);
    const bool failed = r->cause != FailureCause::kNone;
    if (failed) {
      ++out.errors;
      out.lines += fmt::format("    The request errored: {}, {} \n", r->http_status, r->message);
    } else if (!holds_number(r->content, numbers[which])) {
      ++out.mismatched;
      out.lines += fmt::format("    mismatched request: {}, expected: {}\n",
                               printable(r->content, std::string::npos), numbers[which]);
    }
    out.responses.push_back(
        {{"metrics",
          {{"error_code", failed ? Json(r->http_status) : Json()},
           {"error_msg", r->message},
           {"end_to_end_latency_s", static_cast<double>(r->end_ns - r->sent_ns) * 1e-9}}},
         {"generated_text", r->content},
         {"request_config",
          {{"model", plan.model},
           {"prompt", Json::array({prompts[which].turns[0].prompt, 0})},
           {"sampling_params", plan.extra},
           {"llm_api", "openai"},
           {"metadata", {{"rnd_number", numbers[which]}}},
           {"num_concurrent_requests", users}}}});
  }
  return out;
}

}  // namespace

Result<void> bench_correctness(const BenchCorrectnessOptions& given) {
  ASSIGN_OR_RETURN(LoadPlan plan, plan_for(given.target));
  ASSIGN_OR_RETURN(const auto metadata, parse_metadata(given.metadata));
  RETURN_IF_ERROR(check_folder(given.results_dir));
  set_load(plan, given.num_concurrent_requests, given.timeout_s, given.max_num_completed_requests);
  if (!plan.extra.contains("temperature")) plan.extra["temperature"] = 0.0;
  std::mt19937_64 random(given.seed);
  std::vector<int64_t> numbers;
  std::vector<Conversation> prompts;
  for (int64_t i = 0; i < given.max_num_completed_requests; ++i) {
    numbers.push_back(static_cast<int64_t>(random() % 10'001));
    Conversation conversation;
    conversation.before.push_back({{"role", "system"}, {"content", ""}});
    // The place of the number stands where records keep the length that was asked for.
    conversation.turns.push_back(
        {.prompt = fmt::format("Convert the following sequence of words into a number: {}.\nPrint "
                               "the number first.",
                               number_words(numbers.back())),
         .input_tokens = i,
         .output_tokens = 256});
    prompts.push_back(std::move(conversation));
  }
  const LoadSession session;
  ASSIGN_OR_RETURN(const LoadResult result, run_load(plan, prompts, session.hooks(plan)));
  session.end_progress();
  const auto records = in_order_of_ending(result.records, given.max_num_completed_requests);
  const CorrectnessCounts counts =
      check_answers(records, prompts, numbers, plan, given.num_concurrent_requests);
  const auto all = static_cast<int64_t>(records.size());
  const auto good = all - counts.errors;
  const auto share = [](int64_t part, int64_t whole) {
    return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
  };
  const double error_rate = share(counts.errors, all);
  const double mismatch_rate = share(counts.mismatched, good);
  std::printf("Mismatched and errored requests.\n%s\n", counts.lines.c_str());
  std::printf(
      "Results for llm correctness test for %s queried with the openai api.\n"
      "Errors: %lld, Error rate: %s\nMismatched: %lld, Mismatch rate: %s\nCompleted: %lld\n"
      "Completed without errors: %lld\n",
      plan.model.c_str(), static_cast<long long>(counts.errors), python_float(error_rate).c_str(),
      static_cast<long long>(counts.mismatched), python_float(mismatch_rate).c_str(),
      static_cast<long long>(all), static_cast<long long>(good));
  Json summary = {{"version", "2023-08-31"},
                  {"name", plan.model + "_correctness_summary"},
                  {"number_errors", counts.errors},
                  {"num_mismatched_requests", counts.mismatched},
                  {"error_rate", error_rate},
                  {"mismatch_rate", mismatch_rate},
                  {"num_completed_requests", all},
                  {"num_non_errored_requests", good},
                  {"model", plan.model},
                  {"num_concurrent_requests", given.num_concurrent_requests}};
  for (const auto& [key, value] : plan.extra.items()) {
    summary["additional_sampling_params_" + key] = value;
  }
  summary["llm_api"] = "openai";
  for (const auto& [key, value] : metadata) summary[key] = value;
  summary["timestamp"] = unix_seconds();
  const auto pretty = [](const Json& json) {
    return json.dump(4, ' ', true, Json::error_handler_t::replace);
  };
  std::string stem = plan.model + "_correctness";
  std::replace(stem.begin(), stem.end(), '/', '-');
  RETURN_IF_ERROR(save(given.results_dir, stem, pretty(summary), pretty(counts.responses)));
  if (counts.errors > 0 || all == 0) {
    return Error{ErrorCode::kInternal, fmt::format("{} of {} requests failed", counts.errors, all)};
  }
  return {};
}

}  // namespace pagoda
