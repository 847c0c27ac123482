// WorkPool: two threads for requests that are too large to be prepared on an I/O thread.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace pagoda {

// Runs work in two lanes. One thread takes light work only, so that a prompt of 20 KB waits for no
// body of 16 MiB; the other takes heavy work first, so that a crowd of light work cannot starve it.
// Two heavy bodies are never parsed at once, which bounds the memory that parsing takes.
// Thread-safe, but for stop().
class WorkPool {
 public:
  explicit WorkPool(size_t max_queued);
  ~WorkPool();
  WorkPool(const WorkPool&) = delete;
  WorkPool& operator=(const WorkPool&) = delete;

  enum class Lane { kLight, kHeavy };
  enum class Put { kTaken, kFull, kStopped };
  // `work` must not throw.
  Put put(Lane lane, std::function<void()> work);
  size_t num_queued() const;
  // Drops what is queued, waits for what runs and joins. Idempotent.
  void stop();

 private:
  void run(bool takes_heavy);

  const size_t max_queued_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> light_;  // guarded by mutex_
  std::deque<std::function<void()>> heavy_;  // guarded by mutex_
  bool stopped_ = false;                     // guarded by mutex_
  std::thread light_thread_;
  std::thread heavy_thread_;
};

}  // namespace pagoda
