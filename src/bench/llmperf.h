// LLMPerf's prompts, figures and files: what ray-project/llmperf (commit f1d6bed) makes, to the
// last digit. docs/benchmarking.md says which of its figures mislead and why.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "bench/request_record.h"
#include "bench/workload.h"

namespace pagoda {

// llmperf: inter-token latency with the time to the first token inside, divided by events.
// llmperf-aws: the form that AWS Neuron's guides patch in: without it, divided by tokens - 1.
enum class LlmperfKind { kOriginal, kAws };

struct LlmperfOptions {
  LlmperfKind kind = LlmperfKind::kOriginal;
  std::string model;
  int64_t mean_input_tokens = 550;
  int64_t stddev_input_tokens = 150;
  int64_t mean_output_tokens = 150;
  int64_t stddev_output_tokens = 80;
  int64_t num_concurrent_requests = 10;
  int64_t timeout_s = 90;
  int64_t max_num_completed_requests = 10;
  Json additional_sampling_params = Json::object();
  std::string llm_api = "openai";
  std::vector<std::pair<std::string, std::string>> metadata;
};

// Tokens of a text with BOS, as len(tokenizer.encode(text)) has it.
using TokenLength = std::function<Result<int64_t>(const std::string& text)>;

// The prompts of a run, each in a conversation of one turn whose input_tokens is LLMPerf's target,
// which it never measures. `text` is what lines are drawn from (LLMPerf's sonnet.txt). Seeded with
// 11111 as LLMPerf is. kInvalidArgument when the text has no line or a length cannot be drawn.
Result<std::vector<Conversation>> llmperf_prompts(const LlmperfOptions& options,
                                                  const std::string& text,
                                                  const TokenLength& length);

// The figures of one request as LLMPerf has them.
struct LlmperfFigures {
  bool failed = false;
  int64_t error_code = 0;  // when failed
  std::string error_message;
  double inter_token_latency_s = 0.0;
  double ttft_s = 0.0;
  double end_to_end_latency_s = 0.0;
  double output_throughput = 0.0;
  int64_t input_tokens = 0;
  int64_t output_tokens = 0;
};
Result<LlmperfFigures> llmperf_figures(const RequestRecord& record, LlmperfKind kind,
                                       const TokenLength& length);

// All of one run: its two files and what it prints.
struct LlmperfReport {
  std::string file_stem;   // of "STEM_summary.json" and "STEM_individual_responses.json"
  std::string summary;     // the text of the file
  std::string individual;  // the text of the file
  std::string console;     // what goes to stdout
};
// `figures` in the order of completion; `elapsed_s` from the start to the end of the last request;
// `unix_time_s` stands in the summary.
LlmperfReport llmperf_report(const LlmperfOptions& options,
                             const std::vector<LlmperfFigures>& figures, double elapsed_s,
                             int64_t unix_time_s, bool timed_out);

// Python's repr() of a float: shortest digits that read back as the same number.
std::string python_float(double value);

// llm_correctness.py: "one thousand, two hundred and thirty-four", as num2words writes it.
// REQUIRES: 0 <= number <= 10000.
std::string number_words(int64_t number);
// True when a run of digits in `text`, commas between digits left out, is `number`.
bool holds_number(const std::string& text, int64_t number);

}  // namespace pagoda
