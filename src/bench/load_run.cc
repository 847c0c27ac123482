// Decides when each request goes, and follows conversations turn by turn.
#include "bench/load_run.h"

#include <fmt/core.h>
#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <memory>
#include <utility>

#include "base/check.h"
#include "bench/load_client.h"

namespace pagoda {
namespace {

constexpr double kProgressEvery = 0.2;
constexpr int64_t kPauseAfterFailureNs = 100'000'000;
constexpr double kCheckEvery = 1.0;
constexpr size_t kMaxRequests = 1'000'000;  // of an open loop without an end
// Sent before answers are read again, or a burst would make what comes meanwhile look late.
constexpr int kSendsAtOnce = 64;
constexpr size_t kOwnFiles = 64;  // that are open beside the connections, at the most

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

int64_t to_ns(double seconds) {
  return static_cast<int64_t>(std::llround(seconds * 1e9));
}

// A conversation on its way.
struct Session {
  const Conversation* conversation = nullptr;
  size_t next_turn = 0;
  Json messages;
  int64_t intended_ns = 0;  // of the next turn
  int64_t server = 0;
  size_t user = 0;  // of a closed loop
};

class LoadRun {
 public:
  LoadRun(const LoadPlan& plan, const std::vector<Conversation>& workload, const LoadHooks& hooks)
      : plan_(plan), workload_(workload), hooks_(hooks) {}

  Result<LoadResult> run() {
    RETURN_IF_ERROR(warm_up());
    start_ = std::chrono::steady_clock::now();
    result_.unix_start_s =
        std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
    const double cpu_before = cpu_seconds();
    ASSIGN_OR_RETURN(client_, LoadClient::create({.start = start_,
                                                  .fresh_connections = plan_.fresh_connections,
                                                  .ca_file = plan_.ca_file,
                                                  .insecure = plan_.insecure}));
    plan_due_times();
    while (!over()) turn();
    result_.interrupted = stopped();
    for (RequestRecord* record : client_->cancel_all()) end_of(*record, false);
    result_.elapsed_s = static_cast<double>(last_end_ns_) * 1e-9;
    result_.sending_s = static_cast<double>(last_sent_ns_) * 1e-9;
    result_.client_cpu_s = cpu_seconds() - cpu_before;
    result_.client_wall_s = now_s();
    result_.num_never_sent = waiting_.size() + (plan_.open_loop ? overdue() : 0);
    return std::move(result_);
  }

 private:
  bool stopped() const { return hooks_.stop != nullptr && hooks_.stop->load(); }

  double now_s() const { return static_cast<double>(client_->now_ns()) * 1e-9; }

  // The same requests as the first ones, one after the other, through a client of its own.
  Result<void> warm_up() {
    if (plan_.warmup_requests == 0) return {};
    LoadPlan plan = plan_;
    plan.open_loop = false;
    plan.max_requests = plan_.warmup_requests;
    plan.warmup_requests = 0;
    plan.by_user = false;
    plan.first_conversation = workload_.size() - std::min(plan_.warmup_requests, workload_.size());
    plan.duration_s = std::numeric_limits<double>::infinity();
    plan.concurrency = std::max<size_t>(1, std::min<size_t>(plan_.concurrency, 8));
    const LoadHooks hooks{.progress = nullptr, .keep_on = nullptr, .stop = hooks_.stop};
    LoadRun run(plan, workload_, hooks);
    ASSIGN_OR_RETURN(const LoadResult warm, run.run());
    return {};
  }

  // When conversations begin: all times of an open loop, the first of each user of a closed one.
  void plan_due_times() {
    if (plan_.open_loop) {
      const size_t most = std::min(plan_.max_requests, kMaxRequests);
      for (const double t : arrival_times(plan_.arrivals, most, plan_.duration_s)) {
        due_.emplace_hint(due_.end(), to_ns(t), 0);
      }
      return;
    }
    const size_t users = std::min(plan_.concurrency, plan_.max_requests);
    for (size_t i = 0; i < users; ++i) {
      due_.emplace(to_ns(plan_.ramp_s * static_cast<double>(i) / static_cast<double>(users)), i);
    }
  }

  size_t overdue() const {
    const auto now = static_cast<int64_t>(result_.elapsed_s * 1e9);
    return static_cast<size_t>(std::distance(due_.begin(), due_.upper_bound(now)));
  }

  bool may_begin() const {
    // The times of an open loop are all within its duration, and what is late is sent all the same.
    return num_begun_ < plan_.max_requests && num_ended_ < plan_.max_ended && !ended_early_ &&
           (plan_.open_loop || now_s() < plan_.duration_s);
  }

  bool over() const {
    if (stopped()) return true;
    if (client_->num_running() > 0) return false;
    if (ended_early_ || now_s() >= plan_.duration_s) return true;
    return waiting_.empty() && (due_.empty() || !may_begin());
  }

  std::unique_ptr<Session> new_session(int64_t intended_ns, size_t user) {
    if (sent_by_.size() <= user) sent_by_.resize(user + 1);
    const size_t number =
        plan_.first_conversation +
        (plan_.by_user ? user + plan_.concurrency * sent_by_[user]++ : num_begun_);
    auto session = std::make_unique<Session>();
    session->user = user;
    session->conversation = &workload_[number % workload_.size()];
    session->messages = session->conversation->before;
    session->intended_ns = intended_ns;
    session->server = static_cast<int64_t>(num_begun_ % plan_.base_urls.size());
    ++num_begun_;
    return session;
  }

  void turn() {
    const int64_t now = client_->now_ns();
    while (!due_.empty() && due_.begin()->first <= now && may_begin()) {
      waiting_.push_back(new_session(due_.begin()->first, due_.begin()->second));
      due_.erase(due_.begin());
    }
    for (int sent = 0; may_send() && sent < kSendsAtOnce; ++sent) {
      send(std::move(waiting_.front()));
      waiting_.pop_front();
    }
    for (RequestRecord* record : client_->wait(may_send() ? start_ : next_wake())) {
      end_of(*record, true);
    }
    report();
  }

  // Whether what waits first may go now.
  bool may_send() const {
    const bool limited = plan_.open_loop && plan_.concurrency > 0;
    return !waiting_.empty() && !ended_early_ && now_s() < plan_.duration_s &&
           (!limited || client_->num_running() < plan_.concurrency);
  }

  TimePoint next_wake() const {
    double wake = std::min(next_progress_s_, next_check_s_);
    if (!due_.empty() && may_begin()) {
      wake = std::min(wake, static_cast<double>(due_.begin()->first) * 1e-9);
    }
    return start_ + std::chrono::nanoseconds(to_ns(std::max(wake, 0.0)));
  }

  void send(std::unique_ptr<Session> session) {
    RequestRecord& record = result_.records.emplace_back();
    const Turn& turn = session->conversation->turns[session->next_turn];
    session->messages.push_back({{"role", "user"}, {"content", turn.prompt}});
    record.index = static_cast<int64_t>(result_.records.size()) - 1;
    record.server = session->server;
    record.session = session->conversation->turns.size() > 1 ? session_number(*session) : -1;
    record.intended_ns = session->intended_ns;
    record.asked_input_tokens = turn.input_tokens;
    record.asked_output_tokens = turn.output_tokens;
    const std::string& base = plan_.base_urls[static_cast<size_t>(session->server)];
    client_->start({.url = base + (plan_.chat ? "/chat/completions" : "/completions"),
                    .body = request_body(plan_, session->messages, turn),
                    .headers = plan_.headers,
                    .timeout = plan_.timeout},
                   record);
    last_sent_ns_ = record.sent_ns;
    running_.emplace(&record, std::move(session));
  }

  int64_t session_number(const Session& session) const {
    return static_cast<int64_t>(session.conversation - workload_.data());
  }

  void end_of(RequestRecord& record, bool go_on) {
    const auto found = running_.find(&record);
    CHECK(found != running_.end());
    const std::unique_ptr<Session> session = std::move(found->second);
    running_.erase(found);
    last_end_ns_ = std::max(last_end_ns_, record.end_ns);
    ++num_ended_;
    num_failed_ += record.cause != FailureCause::kNone ? 1 : 0;
    num_pieces_ += static_cast<int64_t>(record.piece_ns.size());
    if (!record.piece_ns.empty()) {
      last_ttft_.push_back(static_cast<double>(record.piece_ns.front() - record.sent_ns) * 1e-9);
      if (last_ttft_.size() > 64) last_ttft_.pop_front();
    }
    if (!go_on) return;
    const bool good = record.cause == FailureCause::kNone;
    if (good && session->next_turn + 1 < session->conversation->turns.size()) {
      auto next = std::make_unique<Session>(*session);
      next->messages.push_back({{"role", "assistant"}, {"content", record.content}});
      ++next->next_turn;
      next->intended_ns = record.end_ns;
      waiting_.push_back(std::move(next));
    } else if (!plan_.open_loop) {
      // The user of a closed loop goes on at once. After a failure a little later, or a server that
      // refuses all would be asked as fast as the machine can.
      due_.emplace(record.end_ns + (good ? 0 : kPauseAfterFailureNs), session->user);
    }
  }

  void report() {
    const double now = now_s();
    if (now >= next_progress_s_) {
      next_progress_s_ = now + kProgressEvery;
      if (hooks_.progress) hooks_.progress(progress(now));
    }
    if (now >= next_check_s_) {
      next_check_s_ = now + kCheckEvery;
      if (hooks_.keep_on && !hooks_.keep_on(result_.records, now)) {
        ended_early_ = true;
        result_.stopped_early = true;
      }
    }
  }

  LoadProgress progress(double now) const {
    LoadProgress out;
    out.elapsed_s = now;
    out.num_sent = result_.records.size();
    out.num_ended = num_ended_;
    out.num_failed = num_failed_;
    out.num_running = client_->num_running();
    out.num_waiting = waiting_.size();
    out.num_pieces = num_pieces_;
    std::vector<double> last(last_ttft_.begin(), last_ttft_.end());
    if (!last.empty()) {
      const auto middle = last.begin() + static_cast<std::ptrdiff_t>(last.size() / 2);
      std::nth_element(last.begin(), middle, last.end());
      out.p50_ttft_s = *middle;
    }
    return out;
  }

  const LoadPlan& plan_;
  const std::vector<Conversation>& workload_;
  const LoadHooks& hooks_;
  LoadResult result_;
  TimePoint start_;
  std::unique_ptr<LoadClient> client_;
  std::multimap<int64_t, size_t> due_;            // when conversations begin, and whose
  std::deque<std::unique_ptr<Session>> waiting_;  // due, not sent
  std::map<RequestRecord*, std::unique_ptr<Session>> running_;
  std::vector<size_t> sent_by_;  // conversations by user
  size_t num_begun_ = 0;
  size_t num_ended_ = 0;
  size_t num_failed_ = 0;
  int64_t num_pieces_ = 0;
  std::deque<double> last_ttft_;
  int64_t last_end_ns_ = 0;
  int64_t last_sent_ns_ = 0;
  double next_progress_s_ = 0.0;
  double next_check_s_ = kCheckEvery;
  bool ended_early_ = false;
};

}  // namespace

std::string request_body(const LoadPlan& plan, const Json& messages, const Turn& turn) {
  Json body = {{"model", plan.model}, {"stream", true}};
  body["stream_options"] = {{"include_usage", true}};
  if (plan.chat) {
    body["messages"] = messages;
  } else {
    std::string prompt;
    for (const Json& message : messages) {
      if (!prompt.empty()) prompt += "\n";
      prompt += message["content"].get<std::string>();
    }
    body["prompt"] = std::move(prompt);
  }
  body["max_tokens"] = turn.output_tokens;
  if (plan.ignore_eos) {
    body["ignore_eos"] = true;
    body["min_tokens"] = turn.output_tokens;
  }
  if (plan.extra.is_object()) body.update(plan.extra);
  return dump_json(body);
}

namespace {

// Each user of a closed loop has a connection.
Result<void> check_open_files(const LoadPlan& plan) {
  rlimit files{};
  if (plan.open_loop || getrlimit(RLIMIT_NOFILE, &files) != 0) return {};
  const size_t users = std::min(plan.concurrency, plan.max_requests);
  if (files.rlim_cur == RLIM_INFINITY || users + kOwnFiles <= files.rlim_cur) return {};
  return invalid_argument(
      fmt::format("concurrency: {} users need as many connections, and this process may open {} "
                  "files (ulimit -n), {} of them for itself",
                  users, files.rlim_cur, kOwnFiles));
}

}  // namespace

Result<LoadResult> run_load(const LoadPlan& plan, const std::vector<Conversation>& workload,
                            const LoadHooks& hooks) {
  if (workload.empty()) return invalid_argument("the workload has no conversation");
  if (plan.base_urls.empty()) return invalid_argument("no base URL");
  if (!plan.open_loop && plan.concurrency == 0) {
    return invalid_argument("concurrency: 0 users send nothing");
  }
  RETURN_IF_ERROR(check_open_files(plan));
  return LoadRun(plan, workload, hooks).run();
}

}  // namespace pagoda
