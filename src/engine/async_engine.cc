// AsyncEngine: the engine thread's loop, admission, and the snapshot others see.
#include "engine/async_engine.h"

#include <fmt/core.h>

#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "base/mailbox.h"
#include "engine/engine.h"
#include "engine/engine_metrics.h"

namespace pagoda {

namespace {

struct AddCommand {
  RequestId id = 0;
  Request request;
  std::shared_ptr<OutputSink> sink;
};
struct AbortCommand {
  RequestId id = 0;
};
struct StopChoiceCommand {
  RequestId id = 0;
  int32_t choice_index = 0;
};
using EngineCommand = std::variant<AddCommand, AbortCommand, StopChoiceCommand>;

}  // namespace

struct AsyncEngine::Impl {
  Impl(ModelRunner& runner, const EngineConfig& engine_config, MetricsRegistry* registry,
       const std::string& model_name, const Clock& engine_clock)
      : config(engine_config),
        clock(engine_clock),
        metrics(registry, model_name, engine_config.max_model_len),
        engine(runner, engine_config, metrics, engine_clock),
        snapshot(engine.stats()),
        thread([this] { run(); }) {}

  // The engine thread.
  void run() {
    // Mail that came while the runner worked counts before its tokens are given out.
    const StepHooks hooks = {.before_execute = [this] { publish(); },
                             .after_execute = [this] { handle_mail(); }};
    while (true) {
      if (!engine.has_work()) mailbox.wait();
      handle_mail();
      if (mailbox.closed()) break;
      engine.step(hooks);
      publish();
    }
    handle_mail();
    engine.abort_all({ErrorCode::kUnavailable, "the server is shutting down"});
    publish();
  }

  void handle_mail() {
    for (EngineCommand& command : mailbox.take()) {
      if (auto* added = std::get_if<AddCommand>(&command)) {
        engine.add(added->id, std::move(added->request), std::move(added->sink));
      } else if (const auto* aborted = std::get_if<AbortCommand>(&command)) {
        engine.abort(aborted->id);
      } else if (const auto* stopped = std::get_if<StopChoiceCommand>(&command)) {
        engine.stop_choice(stopped->id, stopped->choice_index);
      }
    }
  }

  void publish() {
    const EngineStats stats = engine.stats();
    metrics.num_requests_running.set(stats.num_running);
    metrics.num_requests_waiting.set(stats.num_waiting);
    metrics.kv_cache_usage_perc.set(1.0 - static_cast<double>(stats.num_free_blocks) /
                                              stats.num_total_blocks);
    const std::lock_guard lock(mutex);
    snapshot = stats;
    num_started_requests = engine.num_started_requests();
    if (idle()) became_idle.notify_all();
  }

  // REQUIRES: `mutex` is held.
  bool idle() const { return snapshot.num_finished_requests == num_accepted_requests; }

  const EngineConfig config;
  const Clock& clock;
  const EngineMetrics metrics;
  Mailbox<EngineCommand> mailbox;
  Engine engine;  // engine thread only, except check()

  mutable std::mutex mutex;
  std::condition_variable became_idle;
  EngineStats snapshot;               // guarded by mutex
  int64_t num_accepted_requests = 0;  // guarded by mutex; ahead of the snapshot's by the mail
  int64_t num_started_requests = 0;   // guarded by mutex
  bool accepting = true;              // guarded by mutex
  RequestId next_id = 1;              // guarded by mutex

  std::thread thread;  // last: everything above is ready when it starts
};

AsyncEngine::AsyncEngine(ModelRunner& runner, const EngineConfig& config, MetricsRegistry* metrics,
                         const std::string& model_name, const Clock& clock)
    : impl_(std::make_unique<Impl>(runner, config, metrics, model_name, clock)) {
}

AsyncEngine::~AsyncEngine() {
  stop_accepting();
  impl_->mailbox.close();
  impl_->thread.join();
}

Result<RequestId> AsyncEngine::submit(Request request, std::shared_ptr<OutputSink> sink) {
  RETURN_IF_ERROR(impl_->engine.check(request));
  if (request.arrival == TimePoint{}) request.arrival = impl_->clock.now();
  const std::lock_guard lock(impl_->mutex);
  if (!impl_->accepting) {
    return Error{ErrorCode::kUnavailable, "the server is shutting down and takes no new requests"};
  }
  const int64_t num_queued = impl_->num_accepted_requests - impl_->num_started_requests;
  if (num_queued >= impl_->config.max_num_queued_requests) {
    return Error{ErrorCode::kOverloaded,
                 fmt::format("{} requests are queued, the limit is {}", num_queued,
                             impl_->config.max_num_queued_requests)};
  }
  const RequestId id = impl_->next_id;
  // Under the lock, so that what is counted as accepted is in the mailbox.
  if (!impl_->mailbox.put(AddCommand{id, std::move(request), std::move(sink)})) {
    return Error{ErrorCode::kUnavailable, "the server is shutting down and takes no new requests"};
  }
  ++impl_->next_id;
  ++impl_->num_accepted_requests;
  return id;
}

void AsyncEngine::abort(RequestId id) {
  impl_->mailbox.put(AbortCommand{id});
}

void AsyncEngine::stop_choice(RequestId id, int32_t choice_index) {
  impl_->mailbox.put(StopChoiceCommand{id, choice_index});
}

void AsyncEngine::stop_accepting() {
  const std::lock_guard lock(impl_->mutex);
  impl_->accepting = false;
}

bool AsyncEngine::wait_idle(std::chrono::milliseconds timeout) {
  std::unique_lock lock(impl_->mutex);
  return impl_->became_idle.wait_for(lock, timeout, [this] { return impl_->idle(); });
}

EngineStats AsyncEngine::stats() const {
  const std::lock_guard lock(impl_->mutex);
  EngineStats stats = impl_->snapshot;
  // What is still in the mailbox is accepted too, so that accepted == finished means idle.
  stats.num_accepted_requests = impl_->num_accepted_requests;
  return stats;
}

const EngineConfig& AsyncEngine::config() const {
  return impl_->config;
}

}  // namespace pagoda
