// ThreadPool: one word of state that workers enter and leave, and a condition variable to sleep on.
#include "base/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"

namespace pagoda {
namespace {

// About 50 microseconds of pause instructions: longer than the gap between two loops of one step,
// shorter than a time slice.
constexpr int32_t kSpins = 3000;

void pause_cpu() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  // What comes closest: `yield` does nothing on most CPUs.
  asm volatile("isb" : : : "memory");
#else
  std::this_thread::yield();
#endif
}

// The state word: a loop's number in the upper half, whether it may still be entered, and how many
// workers are inside.
constexpr uint64_t kOpen = uint64_t{1} << 31;
constexpr uint64_t kActiveMask = kOpen - 1;

uint64_t loop_number(uint64_t state) {
  return state >> 32;
}

}  // namespace

// The caller never waits for a worker that has not entered: a sleeping or descheduled one finds the
// loop closed and goes on waiting. So a loop costs no more than its slowest piece.
struct ThreadPool::Impl {
  explicit Impl(int32_t workers) : num_threads(workers) {
    // With more workers than cores a spinning worker would take the core of a working one.
    spins = workers <= usable_cores() ? kSpins : 0;
  }

  void run_pieces(int32_t worker) {
    while (true) {
      const int64_t begin = next.fetch_add(grain, std::memory_order_relaxed);
      if (begin >= count) return;
      (*body)(begin, std::min(begin + grain, count), worker);
    }
  }

  bool can_enter(uint64_t seen, uint64_t last) const {
    return (seen & kOpen) != 0 && loop_number(seen) != last;
  }

  // Waits for a loop other than `last`; returns its state word, or 0 when the pool ends.
  uint64_t wait_for_loop(uint64_t last) {
    for (int32_t spin = 0; spin < spins; ++spin) {
      const uint64_t seen = state.load();
      if (can_enter(seen, last)) return seen;
      if (stopping.load()) return 0;
      pause_cpu();
    }
    std::unique_lock lock(mutex);
    // Counted before the last look at `state`; parallel_for looks in the other order, so one of the
    // two sees the other.
    sleepers.fetch_add(1);
    uint64_t seen = 0;
    wake.wait(lock, [&] {
      seen = state.load();
      return stopping.load() || can_enter(seen, last);
    });
    sleepers.fetch_sub(1);
    return stopping.load() ? 0 : seen;
  }

  void work(int32_t worker) {
    uint64_t last = 0;
    while (true) {
      uint64_t seen = wait_for_loop(last);
      if (seen == 0) return;
      while (can_enter(seen, last)) {
        if (!state.compare_exchange_weak(seen, seen + 1)) continue;
        last = loop_number(seen);
        run_pieces(worker);
        state.fetch_sub(1);
        break;
      }
    }
  }

  int32_t num_threads;
  int32_t spins = 0;
  // The loop; written only while the state is closed and nobody is inside.
  const std::function<void(int64_t, int64_t, int32_t)>* body = nullptr;
  int64_t count = 0;
  int64_t grain = 1;
  std::atomic<int64_t> next{0};
  alignas(64) std::atomic<uint64_t> state{0};
  alignas(64) std::atomic<int32_t> sleepers{0};
  std::atomic<bool> stopping{false};
  std::mutex mutex;
  std::condition_variable wake;
  std::vector<std::thread> threads;
};

// Workers are left to the kernel's scheduler: a pinned worker shares its core with whatever else
// lands there, such as another server's worker of the same number, while the next core idles.
ThreadPool::ThreadPool(int32_t num_threads) : impl_(std::make_unique<Impl>(num_threads)) {
  CHECK(num_threads >= 1);
  for (int32_t worker = 1; worker < num_threads; ++worker) {
    impl_->threads.emplace_back([impl = impl_.get(), worker] { impl->work(worker); });
  }
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping.store(true);
  }
  impl_->wake.notify_all();
  for (std::thread& thread : impl_->threads) thread.join();
}

int32_t ThreadPool::num_threads() const {
  return impl_->num_threads;
}

void ThreadPool::parallel_for(
    int64_t count, int64_t grain,
    const std::function<void(int64_t begin, int64_t end, int32_t worker)>& body) {
  CHECK(grain >= 1);
  Impl& impl = *impl_;
  if (impl.num_threads == 1 || count <= grain) {
    for (int64_t begin = 0; begin < count; begin += grain) {
      body(begin, std::min(begin + grain, count), 0);
    }
    return;
  }
  impl.body = &body;
  impl.count = count;
  impl.grain = grain;
  impl.next.store(0, std::memory_order_relaxed);
  impl.state.store(((loop_number(impl.state.load()) + 1) << 32) | kOpen);
  if (impl.sleepers.load() > 0) {
    { const std::lock_guard lock(impl.mutex); }
    impl.wake.notify_all();
  }
  impl.run_pieces(0);
  impl.state.fetch_and(~kOpen);
  for (int32_t spin = 0; (impl.state.load() & kActiveMask) != 0; ++spin) {
    if (spin < impl.spins) {
      pause_cpu();
    } else {
      std::this_thread::yield();
    }
  }
}

namespace {

std::string read_first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// The tighter of `limit` (0: none) and quota / period, rounded up: half a core still is one worker.
int32_t tighter(int32_t limit, double quota, double period) {
  if (quota <= 0 || period <= 0) return limit;
  const double cores = quota / period;
  if (cores > 1e6) return limit;
  const auto whole = std::max(1, static_cast<int32_t>(cores + 0.999));
  return limit == 0 ? whole : std::min(limit, whole);
}

// "max 100000" or "150000 100000".
int32_t apply_v2(int32_t limit, const std::string& line) {
  std::istringstream words(line);
  double quota = 0;
  double period = 0;
  return words >> quota >> period ? tighter(limit, quota, period) : limit;
}

int32_t apply_v1(int32_t limit, const std::string& folder) {
  // A quota of -1 means none.
  return apply_v2(limit, read_first_line(folder + "/cpu.cfs_quota_us") + " " +
                             read_first_line(folder + "/cpu.cfs_period_us"));
}

// Calls visit(path) for a cgroup path and each of its parents, the root ("") last.
template <typename Visit>
void for_each_level(std::string path, const Visit& visit) {
  while (true) {
    if (path == "/") path.clear();
    visit(path);
    if (path.empty()) return;
    const size_t slash = path.rfind('/');
    path.resize(slash == std::string::npos ? 0 : slash);
  }
}

}  // namespace

// Every level of the hierarchy may hold a quota. A container often sees its own cgroup mounted at
// the root although /proc/self/cgroup names it by its outer path, so missing levels are no error.
int32_t cgroup_core_limit(const std::string& root) {
  int32_t limit = 0;
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    // "hierarchy:controllers:path"; version 2 has hierarchy 0 and no controllers.
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string path = line.substr(second + 1);
    if (controllers == ",,") {
      for_each_level(path, [&](const std::string& level) {
        limit = apply_v2(limit, read_first_line(root + "/sys/fs/cgroup" + level + "/cpu.max"));
      });
    } else if (controllers.find(",cpu,") != std::string::npos) {
      for_each_level(path, [&](const std::string& level) {
        limit = apply_v1(limit, root + "/sys/fs/cgroup/cpu" + level);
      });
    }
  }
  return limit;
}

int32_t usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  int32_t cores = static_cast<int32_t>(std::thread::hardware_concurrency());
  if (::sched_getaffinity(0, sizeof(set), &set) == 0) cores = CPU_COUNT(&set);
  const int32_t limit = cgroup_core_limit("");
  return std::max(1, limit > 0 ? std::min(cores, limit) : cores);
}

}  // namespace pagoda
