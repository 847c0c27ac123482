// The two lanes.
#include "server/work_pool.h"

#include <malloc.h>

#include <utility>

namespace pagoda {

WorkPool::WorkPool(size_t max_queued) : max_queued_(max_queued) {
  light_thread_ = std::thread([this] { run(false); });
  heavy_thread_ = std::thread([this] { run(true); });
}

WorkPool::~WorkPool() {
  stop();
}

WorkPool::Put WorkPool::put(Lane lane, std::function<void()> work) {
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return Put::kStopped;
    if (light_.size() + heavy_.size() >= max_queued_) return Put::kFull;
    (lane == Lane::kHeavy ? heavy_ : light_).push_back(std::move(work));
  }
  changed_.notify_all();
  return Put::kTaken;
}

size_t WorkPool::num_queued() const {
  const std::lock_guard lock(mutex_);
  return light_.size() + heavy_.size();
}

void WorkPool::run(bool takes_heavy) {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock,
                  [&] { return stopped_ || !light_.empty() || (takes_heavy && !heavy_.empty()); });
    if (stopped_) return;
    const bool heavy = takes_heavy && !heavy_.empty();
    auto& lane = heavy ? heavy_ : light_;
    auto work = std::move(lane.front());
    lane.pop_front();
    const bool was_last_heavy = heavy && heavy_.empty();
    lock.unlock();
    work();
    work = nullptr;
    // A large JSON text becomes millions of small allocations, which the allocator would keep.
    if (was_last_heavy) ::malloc_trim(0);
    lock.lock();
  }
}

void WorkPool::stop() {
  std::deque<std::function<void()>> dropped;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    dropped.swap(light_);
    for (auto& work : heavy_) dropped.push_back(std::move(work));
    heavy_.clear();
  }
  changed_.notify_all();
  if (light_thread_.joinable()) light_thread_.join();
  if (heavy_thread_.joinable()) heavy_thread_.join();
}

}  // namespace pagoda
