// Mailbox: a queue with many producers and one consumer, the only way into the engine thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>
#include <vector>

namespace pagoda {

// Unbounded by itself: admission in front of it bounds what is put in. Thread-safe;
// take() and wait() are for one consumer thread. Owns the messages not yet taken.
template <typename Message>
class Mailbox {
 public:
  // Returns false, and drops the message, after close().
  bool put(Message message) {
    {
      const std::lock_guard lock(mutex_);
      if (closed_) return false;
      messages_.push_back(std::move(message));
    }
    ready_.notify_one();
    return true;
  }

  // Everything put so far, in order; does not block.
  std::vector<Message> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(messages_, {});
  }

  // Blocks until there is a message or the mailbox is closed.
  void wait() {
    std::unique_lock lock(mutex_);
    ready_.wait(lock, [this] { return closed_ || !messages_.empty(); });
  }

  // As wait(), for `timeout` at most.
  void wait_for(std::chrono::milliseconds timeout) {
    std::unique_lock lock(mutex_);
    ready_.wait_for(lock, timeout, [this] { return closed_ || !messages_.empty(); });
  }

  // As wait(), until `time` at most.
  void wait_until(std::chrono::steady_clock::time_point time) {
    std::unique_lock lock(mutex_);
    ready_.wait_until(lock, time, [this] { return closed_ || !messages_.empty(); });
  }

  bool empty() const {
    const std::lock_guard lock(mutex_);
    return messages_.empty();
  }

  // After this put() refuses; messages already in stay until taken.
  void close() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    ready_.notify_all();
  }

  bool closed() const {
    const std::lock_guard lock(mutex_);
    return closed_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable ready_;
  std::vector<Message> messages_;  // guarded by mutex_
  bool closed_ = false;            // guarded by mutex_
};

}  // namespace pagoda
