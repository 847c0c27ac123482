// AdmissionControl: how many requests may wait for their first step, and whose.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "engine/engine_config.h"
#include "engine/request.h"

namespace pagoda {

// The door of the engine. A request is queued from enter() to leave(), its first step or its end
// before that. Refused is, with kOverloaded and an estimate of when there will be room:
//
//  - what would make more than max_num_queued_requests, or more than max_num_queued_tokens prompt
//    tokens unless its tenant has nothing queued;
//  - a background request when half of the places are taken by such;
//  - with several tenants, what would take a place kept for another: an equal share of half of the
//    places belongs to each, the rest to who comes first.
//
// Thread-safe. `clock` must outlive it.
class AdmissionControl {
 public:
  explicit AdmissionControl(const EngineConfig& config, const Clock& clock = real_clock());

  // What enter() would say to a request without a prompt.
  Result<void> check(TenantId tenant, Priority priority) const;
  // REQUIRES: request.tenant is in [0, num_tenants).
  Result<void> enter(const Request& request);
  // REQUIRES: enter(request) was ok, and leave() was not called for it.
  void leave(const Request& request);

  int32_t num_queued() const;
  int64_t num_queued_tokens() const;

 private:
  struct Queue {
    int32_t num_requests = 0;
    int64_t num_tokens = 0;
  };

  // REQUIRES for all: `mutex_` is held.
  Result<void> check_locked(TenantId tenant, Priority priority, int64_t num_tokens) const;
  Error refusal(std::string message) const;
  int32_t seconds_to_drain(int32_t num_requests) const;

  const int32_t max_requests_;
  const int64_t max_tokens_;
  const Clock& clock_;

  mutable std::mutex mutex_;
  std::vector<Queue> tenants_;           // guarded by mutex_
  int32_t num_background_ = 0;           // guarded by mutex_
  Queue total_;                          // guarded by mutex_
  std::deque<TimePoint> recent_leaves_;  // guarded by mutex_; the latest kNumRecentLeaves
};

}  // namespace pagoda
