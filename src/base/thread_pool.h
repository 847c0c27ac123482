// ThreadPool: workers for data-parallel loops over kernels.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace pagoda {

// A fixed set of compute workers. The calling thread is worker 0, so a pool of n
// starts n - 1 threads. Work is handed out in small pieces taken dynamically, so a
// slow core costs little. Workers spin for a short while between loops and then
// sleep; when there are more workers than usable cores they do not spin at all.
//
// Owns its threads; the destructor joins them. parallel_for may be called by one
// thread at a time and must not be nested.
class ThreadPool {
 public:
  // REQUIRES: num_threads >= 1.
  explicit ThreadPool(int32_t num_threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int32_t num_threads() const;

  // Runs body(begin, end, worker) over [0, count) in pieces of at most `grain` items; returns when
  // all are done. `worker` is in [0, num_threads) and unique among the pieces running at once.
  // Which worker gets which piece is not fixed, so results must not depend on it. `body` must not
  // throw.
  void parallel_for(int64_t count, int64_t grain,
                    const std::function<void(int64_t begin, int64_t end, int32_t worker)>& body);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Cores this process may use: affinity mask and cgroup CPU quota (v1 and v2), at least 1.
int32_t usable_cores();

// Cores that the cgroup quotas (v1 and v2) of this process allow, rounded up; 0 when there is none.
// `root` is prefixed to /proc and /sys: empty but in tests.
int32_t cgroup_core_limit(const std::string& root);

}  // namespace pagoda
