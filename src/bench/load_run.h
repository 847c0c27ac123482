// A load: sends the conversations of a workload as planned and keeps a record of every request.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "bench/arrivals.h"
#include "bench/request_record.h"
#include "bench/workload.h"

namespace pagoda {

struct LoadPlan {
  std::vector<std::string> base_urls;  // "http://host:port/v1"; in turn
  std::vector<std::string> headers;
  std::string model;
  bool chat = true;  // else completions
  Json extra;        // an object of further fields of every body
  bool ignore_eos = false;
  std::chrono::milliseconds timeout{600'000};  // of one request
  std::string ca_file;
  bool insecure = false;
  bool fresh_connections = false;

  // Closed loop: `concurrency` users, each sends when its answer has come. Open loop: at the times
  // of `arrivals`, with at most `concurrency` at once (0: any number); what is due and may not go
  // yet waits, and its intended time stays.
  bool open_loop = false;
  ArrivalPlan arrivals;
  size_t concurrency = 1;
  double ramp_s = 0.0;  // closed loop: the users begin spread over so long

  // User u of a closed loop of C users sends conversations u, u + C, u + 2 C ... and begins again
  // at the end, as LLMPerf does; otherwise each takes the next that nobody has sent.
  bool by_user = false;

  size_t max_requests = std::numeric_limits<size_t>::max();     // begins no more conversations
  size_t max_ended = std::numeric_limits<size_t>::max();        // nor after so many answers
  double duration_s = std::numeric_limits<double>::infinity();  // nothing is sent after it
  // Sent before the clock starts, and not counted: the last conversations of the workload, so that
  // no cache knows those that count.
  size_t warmup_requests = 0;
  size_t first_conversation = 0;  // where in the workload to begin
};

// What goes on, for a line of progress.
struct LoadProgress {
  double elapsed_s = 0.0;
  size_t num_sent = 0;
  size_t num_ended = 0;
  size_t num_failed = 0;
  size_t num_running = 0;
  size_t num_waiting = 0;   // due and held back by the limit of concurrency
  int64_t num_pieces = 0;   // of text, so far
  double p50_ttft_s = 0.0;  // of the last requests
};

struct LoadResult {
  std::deque<RequestRecord> records;  // in the order of sending
  double elapsed_s = 0.0;             // from the start to the last end
  double sending_s = 0.0;             // from the start to the last sending
  double unix_start_s = 0.0;          // wall time of the start
  double client_cpu_s = 0.0;          // of this process meanwhile
  double client_wall_s = 0.0;         // how long that was
  size_t num_never_sent = 0;          // due, and not sent when the run ended
  bool interrupted = false;           // by `stop`
  bool stopped_early = false;         // by `keep_on`
};

struct LoadHooks {
  std::function<void(const LoadProgress&)> progress;  // about five times a second; may be null
  // About once a second: false ends the load, as a sweep does with an over-saturated server. May be
  // null.
  std::function<bool(const std::deque<RequestRecord>&, double elapsed_s)> keep_on;
  const std::atomic<bool>* stop = nullptr;  // set by a signal handler
};

// Runs to the end on the calling thread. Errors of requests are in their records; kInvalidArgument
// is a plan that cannot be run, kInternal a machine that cannot.
Result<LoadResult> run_load(const LoadPlan& plan, const std::vector<Conversation>& workload,
                            const LoadHooks& hooks);

// The body of one request: what run_load() sends.
std::string request_body(const LoadPlan& plan, const Json& messages, const Turn& turn);

}  // namespace pagoda
