// What is kept of requests, and how long.
#include "server/monitor/request_board.h"

#include <algorithm>
#include <utility>

namespace pagoda {
namespace {

std::vector<FinishedRequest> newest_of(const std::deque<FinishedRequest>& requests, size_t limit) {
  const size_t n = std::min(limit, requests.size());
  return {requests.rbegin(), requests.rbegin() + static_cast<std::ptrdiff_t>(n)};
}

void keep(std::deque<FinishedRequest>& requests, const FinishedRequest& request) {
  requests.push_back(request);
  if (requests.size() > RequestBoard::kNumKept) requests.pop_front();
}

}  // namespace

FinishedRequest summarize(const RequestOutput& output, std::shared_ptr<const RequestFacts> facts,
                          const SloLimits& slo, double ended_at) {
  const RequestTimes& times = output.times;
  const TimePoint none{};
  FinishedRequest request;
  request.id = output.id;
  request.ended_at = ended_at;
  request.end = output.end;
  if (output.error) request.error = output.error->message;
  request.num_prompt_tokens = output.num_prompt_tokens;
  request.num_cached_tokens = output.num_cached_tokens;
  request.num_output_tokens = output.num_output_tokens;
  request.num_preemptions = output.num_preemptions;
  const TimePoint started = times.first_scheduled != none ? times.first_scheduled : times.finished;
  const TimePoint first = times.first_token != none ? times.first_token : times.finished;
  request.queue_s = seconds_between(times.arrival, started);
  request.prefill_s = seconds_between(started, first);
  request.decode_s = seconds_between(first, times.finished);
  request.total_s = seconds_between(times.arrival, times.finished);
  if (times.first_token != none) request.ttft_s = seconds_between(times.arrival, first);
  // Choices run side by side.
  const int64_t longest = output.num_output_tokens / std::max(facts->num_choices, 1);
  if (request.ttft_s && longest > 1) {
    request.tpot_s = request.decode_s / static_cast<double>(longest - 1);
  }
  request.is_slow = (slo.ttft_s > 0 && request.ttft_s.value_or(request.total_s) > slo.ttft_s) ||
                    (slo.tpot_s > 0 && request.tpot_s.value_or(0) > slo.tpot_s);
  request.facts = std::move(facts);
  return request;
}

void RequestBoard::started(RequestId id, std::shared_ptr<const RequestFacts> facts) {
  const std::lock_guard lock(mutex_);
  const auto [place, is_new] = in_flight_.emplace(id, std::move(facts));
  if (!is_new) in_flight_.erase(place);
}

void RequestBoard::finished(FinishedRequest request) {
  if (listener_) listener_(request);
  const std::lock_guard lock(mutex_);
  const auto [place, is_new] = in_flight_.emplace(request.id, nullptr);
  if (!is_new) in_flight_.erase(place);
  keep(newest_, request);
  if (is_failure(request.end) || request.end == RequestEnd::kExpired) keep(failed_, request);
  note_slow(request);
}

void RequestBoard::note_slow(const FinishedRequest& request) {
  const bool has_slo = slo_.ttft_s > 0 || slo_.tpot_s > 0;
  if (has_slo && !request.is_slow) return;
  const auto index = static_cast<int64_t>(request.ended_at) / 60;
  if (minutes_.empty() || minutes_.back().index < index) minutes_.push_back({index, {}});
  while (minutes_.size() > static_cast<size_t>(kSlowMinutes)) minutes_.pop_front();
  std::vector<FinishedRequest>& slowest = minutes_.back().requests;
  if (slowest.size() < kSlowestAMinute) {
    slowest.push_back(request);
    return;
  }
  const auto fastest = std::ranges::min_element(slowest, {}, &FinishedRequest::total_s);
  if (fastest->total_s < request.total_s) *fastest = request;
}

std::shared_ptr<const RequestFacts> RequestBoard::find(RequestId id) const {
  const std::lock_guard lock(mutex_);
  const auto found = in_flight_.find(id);
  return found != in_flight_.end() ? found->second : nullptr;
}

std::vector<FinishedRequest> RequestBoard::newest(size_t limit) const {
  const std::lock_guard lock(mutex_);
  return newest_of(newest_, limit);
}

std::vector<FinishedRequest> RequestBoard::failed(size_t limit) const {
  const std::lock_guard lock(mutex_);
  return newest_of(failed_, limit);
}

std::vector<FinishedRequest> RequestBoard::slowest(double now, size_t limit) const {
  std::vector<FinishedRequest> slowest;
  {
    const std::lock_guard lock(mutex_);
    for (const Minute& minute : minutes_) {
      if (minute.index * 60 <= static_cast<int64_t>(now) - 60 * kSlowMinutes) continue;
      slowest.insert(slowest.end(), minute.requests.begin(), minute.requests.end());
    }
  }
  std::ranges::stable_sort(slowest, std::ranges::greater(), &FinishedRequest::total_s);
  if (slowest.size() > limit) slowest.resize(limit);
  return slowest;
}

size_t RequestBoard::num_in_flight() const {
  const std::lock_guard lock(mutex_);
  return in_flight_.size();
}

}  // namespace pagoda
