// The sampling thread.
#include "server/monitor/monitor.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace pagoda {

Monitor::Monitor(Sources sources) : sources_(std::move(sources)) {
}

Monitor::~Monitor() {
  stop();
}

void Monitor::set_engine(const EngineMetrics& metrics) {
  const std::lock_guard lock(mutex_);
  reader_.emplace(metrics);
  history_ = std::make_unique<History>(reader_->bounds());
  last_tick_ = real_clock().now();
}

void Monitor::start() {
  const std::lock_guard lock(mutex_);
  if (!thread_.joinable() && !stopping_) thread_ = std::thread([this] { run(); });
}

void Monitor::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  const std::lock_guard lock(mutex_);
  watchers_.clear();
}

void Monitor::run() {
  using std::chrono::system_clock;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    // Whole seconds, so that samples of several servers stand above each other.
    const auto next =
        std::chrono::floor<std::chrono::seconds>(system_clock::now()) + std::chrono::seconds(1);
    if (wake_.wait_until(lock, next, [this] { return stopping_; })) return;
    lock.unlock();
    tick(real_clock().now(), next.time_since_epoch().count());
    tell_watchers();
    lock.lock();
  }
}

void Monitor::tick(TimePoint now, int64_t unix_s) {
  const ServerCounters counters = sources_.counters ? sources_.counters() : ServerCounters{};
  const std::lock_guard lock(mutex_);
  if (!reader_) return;
  const double seconds = seconds_between(last_tick_, now);
  if (seconds <= 0) return;
  last_tick_ = now;
  // The time of day may be set back: points go on from where they are.
  const Sample* last = history_->last();
  const int64_t t = last == nullptr ? unix_s : std::max(unix_s, last->t + 1);
  history_->add(reader_->read(t, seconds, counters));
}

void Monitor::tell_watchers() {
  std::vector<std::shared_ptr<HttpExchange>> watchers;
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(watchers_, [](const auto& exchange) { return exchange->ended(); });
    watchers = watchers_;
  }
  if (watchers.empty()) return;
  const auto events = std::make_shared<const std::string>(sources_.events());
  for (const auto& exchange : watchers) {
    exchange->post([exchange, events] { exchange->write(*events); });
  }
}

void Monitor::with_history(const std::function<void(const History*)>& look) const {
  const std::lock_guard lock(mutex_);
  look(history_.get());
}

bool Monitor::watch(const std::shared_ptr<HttpExchange>& exchange) {
  const std::lock_guard lock(mutex_);
  std::erase_if(watchers_, [](const auto& other) { return other->ended(); });
  if (stopping_ || watchers_.size() >= kMaxWatchers) return false;
  watchers_.push_back(exchange);
  return true;
}

size_t Monitor::num_watchers() const {
  const std::lock_guard lock(mutex_);
  return static_cast<size_t>(
      std::ranges::count_if(watchers_, [](const auto& exchange) { return !exchange->ended(); }));
}

}  // namespace pagoda
