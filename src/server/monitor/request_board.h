// RequestBoard: requests in flight as the server knows them, and those that ended.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/types.h"
#include "engine/request.h"
#include "engine/request_output.h"

namespace pagoda {

// What a client asked, without any of its text. Immutable.
struct RequestFacts {
  std::string request_id;  // the HTTP request's; prompts of one request share it
  std::string trace_id;    // 32 hexadecimal digits; empty: the client sent none
  std::string parent_id;   // 16 of them: the client's span; empty with trace_id
  std::string trace_state;
  bool is_traced = true;  // false: its client keeps no trace of it
  std::string model;
  bool is_chat = false;
  bool stream = false;
  TenantId tenant = 0;
  Priority priority = Priority::kInteractive;
  int32_t max_tokens = 0;
  int32_t num_choices = 1;
  float temperature = 0;
  float top_p = 0;
  int32_t top_k = 0;  // 0: off
};

struct FinishedRequest {
  RequestId id = 0;
  std::shared_ptr<const RequestFacts> facts;  // never null
  double ended_at = 0;                        // Unix seconds
  RequestEnd end = RequestEnd::kStop;
  std::string error;  // what the client was told; empty: nothing
  bool is_slow = false;
  int32_t num_prompt_tokens = 0;
  int32_t num_cached_tokens = 0;
  int64_t num_output_tokens = 0;
  int32_t num_preemptions = 0;
  double total_s = 0;  // the sum of the three
  double queue_s = 0;
  double prefill_s = 0;
  double decode_s = 0;
  std::optional<double> ttft_s;
  std::optional<double> tpot_s;
};

// A limit of 0 is none.
struct SloLimits {
  double ttft_s = 0;
  double tpot_s = 0;
};

// From the final output of a request.
FinishedRequest summarize(const RequestOutput& output, std::shared_ptr<const RequestFacts> facts,
                          const SloLimits& slo, double ended_at);

// Thread-safe; what it keeps of ended requests is bounded.
class RequestBoard {
 public:
  static constexpr size_t kNumKept = 200;        // newest, and newest of those that failed
  static constexpr size_t kSlowestAMinute = 10;  // kept for each of the last kSlowMinutes
  static constexpr int64_t kSlowMinutes = 60;

  // The limits of --slo; before the first request.
  void set_slo(const SloLimits& slo) { slo_ = slo; }
  const SloLimits& slo() const { return slo_; }

  // A request that the engine has taken. The order of the two does not matter.
  void started(RequestId id, std::shared_ptr<const RequestFacts> facts);
  void finished(FinishedRequest request);
  // Is told of each request that ends, on the thread that ends it; before the first request.
  void set_listener(std::function<void(const FinishedRequest&)> listener) {
    listener_ = std::move(listener);
  }

  // Null: not in flight.
  std::shared_ptr<const RequestFacts> find(RequestId id) const;
  std::vector<FinishedRequest> newest(size_t limit) const;  // newest first
  std::vector<FinishedRequest> failed(size_t limit) const;  // newest first
  // Of the last hour before `now` (Unix seconds), slowest first; with an SLO those beyond it only.
  std::vector<FinishedRequest> slowest(double now, size_t limit) const;
  size_t num_in_flight() const;

 private:
  struct Minute {
    int64_t index = 0;                      // Unix time / 60
    std::vector<FinishedRequest> requests;  // at most kSlowestAMinute
  };
  void note_slow(const FinishedRequest& request);

  SloLimits slo_;
  std::function<void(const FinishedRequest&)> listener_;
  mutable std::mutex mutex_;
  // Null: ended before it was told that it had started. All guarded by mutex_.
  std::unordered_map<RequestId, std::shared_ptr<const RequestFacts>> in_flight_;
  std::deque<FinishedRequest> newest_;
  std::deque<FinishedRequest> failed_;
  std::deque<Minute> minutes_;
};

}  // namespace pagoda
