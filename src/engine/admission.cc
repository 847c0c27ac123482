// Counting who waits.
#include "engine/admission.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "base/check.h"

namespace pagoda {

namespace {

constexpr size_t kNumRecentLeaves = 32;
constexpr int32_t kLongestRetryAfterSeconds = 60;

}  // namespace

AdmissionControl::AdmissionControl(const EngineConfig& config, const Clock& clock)
    : max_requests_(config.max_num_queued_requests),
      max_tokens_(config.max_num_queued_tokens),
      clock_(clock),
      tenants_(static_cast<size_t>(std::max(config.num_tenants, 1))) {
}

Result<void> AdmissionControl::check(TenantId tenant, Priority priority) const {
  const std::lock_guard lock(mutex_);
  return check_locked(tenant, priority, 0);
}

Result<void> AdmissionControl::enter(const Request& request) {
  const auto num_tokens = static_cast<int64_t>(request.prompt_token_ids.size());
  const std::lock_guard lock(mutex_);
  RETURN_IF_ERROR(check_locked(request.tenant, request.priority, num_tokens));
  Queue& own = tenants_[static_cast<size_t>(request.tenant)];
  for (Queue* queue : {&own, &total_}) {
    ++queue->num_requests;
    queue->num_tokens += num_tokens;
  }
  if (request.priority == Priority::kBackground) ++num_background_;
  return {};
}

void AdmissionControl::leave(const Request& request) {
  const std::lock_guard lock(mutex_);
  Queue& own = tenants_[static_cast<size_t>(request.tenant)];
  for (Queue* queue : {&own, &total_}) {
    CHECK(queue->num_requests > 0);
    --queue->num_requests;
    queue->num_tokens -= static_cast<int64_t>(request.prompt_token_ids.size());
  }
  if (request.priority == Priority::kBackground) --num_background_;
  recent_leaves_.push_back(clock_.now());
  if (recent_leaves_.size() > kNumRecentLeaves) recent_leaves_.pop_front();
}

int32_t AdmissionControl::num_queued() const {
  const std::lock_guard lock(mutex_);
  return total_.num_requests;
}

int64_t AdmissionControl::num_queued_tokens() const {
  const std::lock_guard lock(mutex_);
  return total_.num_tokens;
}

Result<void> AdmissionControl::check_locked(TenantId tenant, Priority priority,
                                            int64_t num_tokens) const {
  CHECK(tenant >= 0 && static_cast<size_t>(tenant) < tenants_.size());
  const Queue& own = tenants_[static_cast<size_t>(tenant)];
  if (total_.num_requests >= max_requests_) {
    return refusal(
        fmt::format("{} requests are queued, the limit is {}", total_.num_requests, max_requests_));
  }
  if (priority == Priority::kBackground && num_background_ >= std::max(max_requests_ / 2, 1)) {
    return refusal(fmt::format("{} background requests are queued, the limit is {}",
                               num_background_, std::max(max_requests_ / 2, 1)));
  }
  const auto num_tenants = static_cast<int32_t>(tenants_.size());
  const int32_t reserved = max_requests_ / (2 * num_tenants);
  if (num_tenants > 1 && own.num_requests >= reserved) {
    int64_t num_taken = 1;  // places in use or kept for somebody
    for (const Queue& queue : tenants_) num_taken += std::max(queue.num_requests, reserved);
    if (num_taken > max_requests_) {
      return refusal(
          fmt::format("{} requests of this key are queued and the rest of the {} places "
                      "is kept for others",
                      own.num_requests, max_requests_));
    }
  }
  if (own.num_requests > 0 && total_.num_tokens + num_tokens > max_tokens_) {
    return refusal(fmt::format("{} prompt tokens are queued, the limit is {}", total_.num_tokens,
                               max_tokens_));
  }
  return {};
}

Error AdmissionControl::refusal(std::string message) const {
  return {.code = ErrorCode::kOverloaded,
          .message = std::move(message),
          .param = {},
          .retry_after_s = seconds_to_drain(total_.num_requests / 2 + 1)};
}

// At the pace of the latest ones to leave.
int32_t AdmissionControl::seconds_to_drain(int32_t num_requests) const {
  if (recent_leaves_.size() < 2) return 1;
  const double elapsed = seconds_between(recent_leaves_.front(), clock_.now());
  const double each = elapsed / static_cast<double>(recent_leaves_.size());
  return static_cast<int32_t>(
      std::clamp(std::ceil(each * num_requests), 1.0, double{kLongestRetryAfterSeconds}));
}

}  // namespace pagoda
