// MemoryBudget and MemoryCharge: one limit for what many requests hold at once.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

namespace pagoda {

// Counts bytes against a limit. Thread-safe.
class MemoryBudget {
 public:
  explicit MemoryBudget(size_t limit_bytes) : limit_(limit_bytes) {}

  // Takes `num_bytes`, or nothing when less than `keep_free` would remain.
  bool take(size_t num_bytes, size_t keep_free) {
    size_t used = used_.load();
    for (;;) {
      const size_t free = limit_ - used;
      if (num_bytes > free || free - num_bytes < keep_free) return false;
      if (used_.compare_exchange_weak(used, used + num_bytes)) return true;
    }
  }
  void give_back(size_t num_bytes) { used_ -= num_bytes; }
  size_t used_bytes() const { return used_; }
  size_t limit_bytes() const { return limit_; }

 private:
  const size_t limit_;
  std::atomic<size_t> used_ = 0;  // never above limit_
};

// What one owner has taken; given back with it. Movable; not thread-safe by itself.
class MemoryCharge {
 public:
  MemoryCharge() = default;
  explicit MemoryCharge(std::shared_ptr<MemoryBudget> budget) : budget_(std::move(budget)) {}
  MemoryCharge(MemoryCharge&& other) noexcept
      : budget_(std::move(other.budget_)), num_bytes_(std::exchange(other.num_bytes_, 0)) {}
  MemoryCharge& operator=(MemoryCharge&& other) noexcept {
    release();
    budget_ = std::move(other.budget_);
    num_bytes_ = std::exchange(other.num_bytes_, 0);
    return *this;
  }
  ~MemoryCharge() { release(); }

  // False, and nothing changes, when the budget has no room for it (see MemoryBudget::take). Always
  // true without a budget.
  bool grow_to(size_t num_bytes, size_t keep_free) {
    if (budget_ == nullptr || num_bytes <= num_bytes_) return true;
    if (!budget_->take(num_bytes - num_bytes_, keep_free)) return false;
    num_bytes_ = num_bytes;
    return true;
  }
  void release() {
    if (budget_ != nullptr) budget_->give_back(std::exchange(num_bytes_, 0));
  }

 private:
  std::shared_ptr<MemoryBudget> budget_;
  size_t num_bytes_ = 0;
};

}  // namespace pagoda
