// The commands of `pagoda bench` that send load, after their settings have been read.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace pagoda {

// Where a server is and what to ask of it: common to all commands that send requests.
struct BenchTarget {
  std::string base_url;  // several with ';' between; empty: OPENAI_API_BASE
  std::string model;     // empty: the first that the server lists
  std::string api_key;   // empty: OPENAI_API_KEY
  std::vector<std::string> headers;
  std::string ca_file;
  bool insecure = false;
  std::string extra_body = "{}";  // JSON object, merged over every body
  double request_timeout_s = 600.0;
};

struct BenchServeOptions {
  BenchTarget target;
  std::string endpoint = "chat";  // or completions
  std::string tokenizer;          // a MODEL; empty: none
  // Load.
  int64_t concurrency = 0;  // closed loop: users (0 and no rate: 1); open loop: the limit, 0 none
  double rate = 0.0;        // requests a second; 0: closed loop
  std::string arrival = "poisson";  // constant, poisson, gamma:SHAPE, trace
  double ramp_s = 0.0;
  int64_t warmup_requests = 1;
  double duration_s = 0.0;   // 0: by count
  int64_t num_requests = 0;  // 0: by duration, or 8 for each user
  int64_t repeat = 1;
  int64_t sweep = 0;  // number of load levels; 0: none
  int64_t sweep_max_concurrency = 64;
  std::string slo;  // "ttft=200ms,tpot=50ms,e2el=2s"
  // Workload.
  std::string workload = "lines";
  std::string workload_file;
  int64_t input_tokens = 128;
  double input_stddev = 0.0;
  int64_t output_tokens = 64;
  double output_stddev = 0.0;
  bool ignore_eos = false;
  int64_t num_prefixes = 8;
  int64_t prefix_tokens = 256;
  int64_t num_turns = 1;
  uint64_t seed = 0;
  // Results.
  std::string output;  // JSON file
  std::string csv;
  std::string html;
  bool no_server_metrics = false;
  double max_failed_share = 0.0;  // more failures than this make the run invalid
};
// Runs the benchmark and prints it. An Error when the run is not valid: too many failures, an
// interruption, a server that is not there.
Result<void> bench_serve(const BenchServeOptions& options);

// `bench serve --compat`: the flags of LLMPerf's token_benchmark_ray.py.
struct BenchLlmperfOptions {
  BenchTarget target;
  std::string compat = "llmperf";  // or llmperf-aws
  std::string tokenizer;           // empty: hf-internal-testing/llama-tokenizer from the hub
  std::string text_file;           // the lines of prompts; empty: the built-in verses
  int64_t mean_input_tokens = 550;
  int64_t stddev_input_tokens = 150;
  int64_t mean_output_tokens = 150;
  int64_t stddev_output_tokens = 80;
  int64_t num_concurrent_requests = 10;
  int64_t timeout_s = 90;
  int64_t max_num_completed_requests = 10;
  std::string results_dir;
  std::string llm_api = "openai";
  std::string metadata;  // "k=v,k=v"
};
Result<void> bench_llmperf(const BenchLlmperfOptions& options);

// LLMPerf's llm_correctness.py.
struct BenchCorrectnessOptions {
  BenchTarget target;
  int64_t num_concurrent_requests = 10;
  int64_t timeout_s = 90;
  int64_t max_num_completed_requests = 50;
  std::string results_dir;
  std::string metadata;
  uint64_t seed = 0;  // of the numbers
};
Result<void> bench_correctness(const BenchCorrectnessOptions& options);

}  // namespace pagoda
