// The benchmarks that need no load generator: the engine by itself, and the start of the program.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "app/config.h"
#include "base/result.h"

namespace pagoda {

struct BenchOfflineOptions {
  EngineOptions engine;  // as given; the prefix cache is switched off and queues are widened
  int32_t prompt_tokens = 512;
  int32_t output_tokens = 128;
  std::vector<int32_t> batches = {1, 4, 16};  // how many sequences at once, one measurement each
  int32_t repeat = 3;                         // measurements of each, after those to warm up
  int32_t warmup = 1;                         // measurements of each that do not count
  bool as_json = false;
};

// Measures the engine without HTTP, tokenizer or template, and prints a table or JSON on stdout.
// For each batch:
//
//  - prefill (pp): that many prompts of random tokens are handed in at once; their tokens by the
//    time until the last of them has its first output token. What a prompt's last step samples is
//    part of it.
//  - decode (tg): the time that as many sequences, whose prompts are all computed, take for
//    output_tokens tokens each; tokens of all by that time. Greedy.
//
// What a model with random weights says is easily guessed, so nothing is guessed unless
// engine.replay says what the sequences are to go on with.
//
// Both in tokens a second, mean and sample standard deviation over `repeat` runs. kInvalidArgument
// for counts out of range and for batches that the context or the cache cannot hold.
Result<void> bench_offline(const BenchOfflineOptions& options);

struct BenchStartupOptions {
  // Of `pagoda serve`, for example {"--threads=2", "MODEL"}; host, port and names are set besides.
  std::vector<std::string> serve_arguments;
  int32_t repeat = 5;
  int32_t timeout_s = 600;  // for one start, up to the first token
  bool as_json = false;
};

// Starts this program again and again as a server on a free port of 127.0.0.1, and prints a table
// or JSON on stdout: the time from exec() until it listens, until it is ready (as it says on
// standard error), and until the first token of one streamed request has come (sent when it was
// ready); and the time from SIGTERM until it has ended. Milliseconds, all measured by this process.
// The first start may find the model's files out of the page cache: it is reported on its own too.
//
// A server that is still there when this returns, fails or dies is killed. Not for a process with
// other threads: it forks.
Result<void> bench_startup(const BenchStartupOptions& options);

}  // namespace pagoda
