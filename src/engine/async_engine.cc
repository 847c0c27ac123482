// AsyncEngine: the engine thread's loop, admission, and the snapshot others see.
#include "engine/async_engine.h"

#include <fmt/core.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "base/check.h"
#include "base/log.h"
#include "base/mailbox.h"
#include "engine/admission.h"
#include "engine/block_store.h"
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
  RequestEnd end = RequestEnd::kClientLeft;
};
struct StopChoiceCommand {
  RequestId id = 0;
  int32_t choice_index = 0;
};
using EngineCommand = std::variant<AddCommand, AbortCommand, StopChoiceCommand>;

constexpr std::chrono::milliseconds kStateInterval{100};
constexpr std::chrono::milliseconds kIdleCheckInterval{1000};
// Most that is waited for sequences that the runner has put off, as requests that wait expire.
constexpr std::chrono::milliseconds kLongestRest{50};
constexpr std::chrono::milliseconds kStoreRest{20};
constexpr std::chrono::milliseconds kFinalSaveTime{10'000};
constexpr std::chrono::milliseconds kFinalSaveRest{1'000};

Error shutting_down() {
  return {ErrorCode::kUnavailable, "the server is shutting down and takes no new requests"};
}

// What the client of an aborted request is told; nothing when it has left.
std::optional<Error> reason_of(RequestEnd end) {
  if (end != RequestEnd::kCancelled) return std::nullopt;
  return Error{ErrorCode::kCancelled, "the request was cancelled by the operator"};
}

}  // namespace

struct AsyncEngine::Impl {
  Impl(ModelRunner& runner, const EngineConfig& engine_config, MetricsRegistry* registry,
       const std::string& model_name, const Clock& engine_clock)
      : config(engine_config),
        clock(engine_clock),
        metrics(registry, model_name, engine_config.max_model_len,
                runner.step_limits().max_num_draft_tokens),
        admission(engine_config, engine_clock),
        engine(runner, engine_config, metrics, engine_clock, &admission),
        snapshot(engine.stats()),
        state{.stats = snapshot, .requests = {}, .recent_steps = {}},
        state_taken(clock.now()),
        thread([this] { run(); }) {}

  // The engine thread.
  void run() {
    // Mail that came while the runner worked counts before its tokens are given out.
    const StepHooks hooks = {.before_execute = [this] { publish(true); },
                             .after_execute = [this] { handle_mail(); }};
    bool stepped = false;
    while (true) {
      if (!engine.has_work()) {
        wait_for_mail();
      } else if (!stepped || !engine.has_waiting()) {  // else the step may have made room
        wait_until_due();
      }
      handle_mail();
      if (mailbox.closed()) break;
      stepped = engine.step(hooks);
      publish(false);
    }
    handle_mail();
    engine.abort_all({ErrorCode::kUnavailable, "the server is shutting down"});
    publish(false);
    save_cache();
  }

  void wait_for_mail() {
    const TimePoint now = clock.now();
    if (now >= next_idle_check) {
      next_idle_check = now + kIdleCheckInterval;
      const Result<void> checked = engine.check_invariants();
      if (!checked.ok()) {
        metrics.invariant_violations_total.add();
        log_error("invariant_violated when=idle error=\"" + checked.error().message + "\"");
        CHECK(!config.check_invariants);
      }
    }
    // While nobody waits, the cache goes to the block store, little by little: what is dropped
    // there for coming too fast is saved when it is given away.
    while (config.block_store != nullptr && mailbox.empty() && !mailbox.closed()) {
      if (!config.block_store->has_room()) {
        mailbox.wait_for(kStoreRest);
      } else if (!engine.save_cached_blocks(1)) {
        break;
      }
    }
    mailbox.wait();
  }

  // Returns at once unless the runner has put off all that runs. Whole milliseconds, so that
  // thousands of sequences do not take a step each.
  void wait_until_due() {
    const TimePoint due = engine.next_due();
    if (due == TimePoint{}) return;
    const TimePoint now = clock.now();
    if (due <= now) return;
    const TimePoint until = std::min(due, now + kLongestRest);
    mailbox.wait_until(
        TimePoint(std::chrono::ceil<std::chrono::milliseconds>(until.time_since_epoch())));
  }

  // The last chance before the process ends.
  void save_cache() {
    if (config.block_store == nullptr) return;
    const TimePoint until = clock.now() + kFinalSaveTime;
    TimePoint last_saved = clock.now();
    // A store that takes nothing for a while does not take anything.
    while (clock.now() < until && clock.now() - last_saved < kFinalSaveRest) {
      if (!config.block_store->has_room()) {
        std::this_thread::sleep_for(kStoreRest);
      } else if (engine.save_cached_blocks(1)) {
        last_saved = clock.now();
      } else {
        return;
      }
    }
  }

  void handle_mail() {
    for (EngineCommand& command : mailbox.take()) {
      if (auto* added = std::get_if<AddCommand>(&command)) {
        engine.add(added->id, std::move(added->request), std::move(added->sink));
      } else if (const auto* aborted = std::get_if<AbortCommand>(&command)) {
        engine.abort(aborted->id, aborted->end, reason_of(aborted->end));
      } else if (const auto* stopped = std::get_if<StopChoiceCommand>(&command)) {
        engine.stop_choice(stopped->id, stopped->choice_index);
      }
    }
  }

  void publish(bool step_begins) {
    const EngineStats stats = engine.stats();
    const TimePoint now = clock.now();
    // Not in each step: it visits every request.
    const bool with_requests = now >= next_state || !engine.has_work();
    std::vector<RequestSummary> requests;
    std::vector<StepSummary> steps;
    if (with_requests) {
      next_state = now + kStateInterval;
      requests = engine.request_summaries();
      steps = engine.recent_steps();
    }
    metrics.num_requests_running.set(stats.num_running);
    metrics.num_requests_waiting.set(stats.num_waiting);
    metrics.num_requests_waiting_for_capacity.set(stats.num_waiting);
    metrics.kv_cache_usage_perc.set(1.0 - static_cast<double>(stats.num_free_blocks) /
                                              stats.num_total_blocks);
    const std::lock_guard lock(mutex);
    snapshot = stats;
    step_began = step_begins ? now : TimePoint{};
    if (with_requests) {
      state.stats = stats;
      state.requests = std::move(requests);
      state.recent_steps = std::move(steps);
      state_taken = now;
    }
    if (idle()) became_idle.notify_all();
  }

  // REQUIRES: `mutex` is held.
  bool idle() const { return snapshot.num_finished_requests == num_accepted_requests; }

  const EngineConfig config;
  const Clock& clock;
  const EngineMetrics metrics;
  Mailbox<EngineCommand> mailbox;
  AdmissionControl admission;
  Engine engine;                // engine thread only, except check()
  TimePoint next_state{};       // engine thread only
  TimePoint next_idle_check{};  // engine thread only

  mutable std::mutex mutex;
  std::condition_variable became_idle;
  EngineStats snapshot;               // guarded by mutex
  int64_t num_accepted_requests = 0;  // guarded by mutex; ahead of the snapshot's by the mail
  EngineState state;                  // guarded by mutex
  TimePoint state_taken{};            // guarded by mutex
  TimePoint step_began{};             // guarded by mutex; zero: none runs
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
  if (!impl_->accepting) return shutting_down();
  RETURN_IF_ERROR(impl_->admission.enter(request));
  const RequestId id = impl_->next_id;
  // Under the lock, so that what is counted as accepted is in the mailbox.
  CHECK(impl_->mailbox.put(AddCommand{id, std::move(request), std::move(sink)}));
  ++impl_->next_id;
  ++impl_->num_accepted_requests;
  return id;
}

Result<void> AsyncEngine::check_admission(TenantId tenant, Priority priority) const {
  {
    const std::lock_guard lock(impl_->mutex);
    if (!impl_->accepting) return shutting_down();
  }
  return impl_->admission.check(tenant, priority);
}

void AsyncEngine::abort(RequestId id, RequestEnd end) {
  impl_->mailbox.put(AbortCommand{id, end});
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

EngineState AsyncEngine::state() const {
  const TimePoint now = impl_->clock.now();
  const std::lock_guard lock(impl_->mutex);
  EngineState state = impl_->state;
  state.age_s = seconds_between(impl_->state_taken, now);
  if (impl_->step_began != TimePoint{}) {
    state.step_running_s = seconds_between(impl_->step_began, now);
  }
  return state;
}

double AsyncEngine::step_running_s() const {
  const TimePoint now = impl_->clock.now();
  const std::lock_guard lock(impl_->mutex);
  return impl_->step_began != TimePoint{} ? seconds_between(impl_->step_began, now) : 0.0;
}

const EngineMetrics& AsyncEngine::metrics() const {
  return impl_->metrics;
}

const EngineConfig& AsyncEngine::config() const {
  return impl_->config;
}

}  // namespace pagoda
