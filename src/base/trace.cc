// Formats trace events on the recording thread; a writer thread puts them into the file.
//
// Format: "Trace Event Format" by Google. Used here: complete events (X), nestable asynchronous
// events (b, e), counters (C), metadata (M) and instants (i).
#include "base/trace.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <iterator>
#include <mutex>
#include <system_error>
#include <thread>
#include <unordered_set>

#include "base/json.h"
#include "base/log.h"

namespace pagoda {
namespace {

constexpr size_t kMaxQueuedBytes = size_t{4} << 20;
constexpr size_t kMaxNamedThreads = 256;
// Kept free for the closing events and bracket.
constexpr int64_t kClosingBytes = 512;
// Lets a batch gather, so that a busy engine wakes the writer a few times a second.
constexpr std::chrono::milliseconds kGather{200};

std::string error_text(int error) {
  return std::generic_category().message(error);
}

// False on any error; a short write is continued.
bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

// Each ends its line, and names are escaped.
int64_t num_events(std::string_view events) {
  return std::count(events.begin(), events.end(), '\n');
}

void append_args(std::string& out, const TraceArgs& args) {
  out += ",\"args\":{";
  for (size_t i = 0; i < args.size(); ++i) {
    out += i == 0 ? "\"" : ",\"";
    append_json_escaped(out, args[i].first);
    fmt::format_to(std::back_inserter(out), "\":{}", args[i].second);
  }
  out += '}';
}

// A signal sent to the process, or SIGXFSZ for this very file, must not land on the writer.
void block_signals() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
}

}  // namespace

struct Trace::Impl {
  std::string path;
  int fd = -1;  // writer thread's, once that runs
  int64_t max_bytes = 0;
  int64_t num_bytes = 0;  // in the file; writer thread's
  TimePoint origin;
  int pid = 0;

  mutable std::mutex mutex;
  std::condition_variable wake;
  std::string queue;                      // events, each followed by ",\n"; guarded by mutex
  int64_t num_dropped = 0;                // guarded by mutex
  bool stopping = false;                  // guarded by mutex
  bool closed = false;                    // no more room in the file; guarded by mutex
  std::unordered_set<int> named_threads;  // guarded by mutex
  std::thread writer;

  double microseconds(TimePoint at) const { return seconds_between(origin, at) * 1e6; }

  // `"name":…,"ph":…,"ts":…,"pid":…,"tid":…` with the opening brace.
  void append_head(std::string& out, std::string_view name, char phase, TimePoint at) const;
  void push(std::string_view events);
  void name_thread();

  void run();
  void write_events(std::string_view events);
  void close_file();
};

void Trace::Impl::append_head(std::string& out, std::string_view name, char phase,
                              TimePoint at) const {
  out += "{\"name\":\"";
  append_json_escaped(out, name);
  fmt::format_to(std::back_inserter(out), "\",\"ph\":\"{}\",\"ts\":{:.3f},\"pid\":{},\"tid\":{}",
                 phase, microseconds(at), pid, static_cast<int>(gettid()));
}

void Trace::Impl::push(std::string_view events) {
  const std::lock_guard lock(mutex);
  if (closed || queue.size() + events.size() > kMaxQueuedBytes) {
    num_dropped += num_events(events);
    return;
  }
  const bool was_empty = queue.empty();
  name_thread();
  queue += events;
  if (was_empty || queue.size() > kMaxQueuedBytes / 2) wake.notify_one();
}

// REQUIRES: mutex is held.
void Trace::Impl::name_thread() {
  const int tid = static_cast<int>(gettid());
  if (named_threads.size() >= kMaxNamedThreads || !named_threads.insert(tid).second) return;
  std::array<char, 32> name{};
  if (pthread_getname_np(pthread_self(), name.data(), name.size()) != 0) return;
  fmt::format_to(std::back_inserter(queue),
                 "{{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":{},\"tid\":{},"
                 "\"args\":{{\"name\":\"",
                 pid, tid);
  append_json_escaped(queue, name.data());
  queue += "\"}},\n";
}

void Trace::Impl::run() {
  block_signals();
  std::string events;
  std::unique_lock lock(mutex);
  while (true) {
    wake.wait(lock, [this] { return stopping || !queue.empty(); });
    if (!stopping) {
      wake.wait_for(lock, kGather,
                    [this] { return stopping || queue.size() > kMaxQueuedBytes / 2; });
    }
    events.clear();
    events.swap(queue);
    const bool last = stopping;
    lock.unlock();
    if (!events.empty()) write_events(events);
    if (last && fd >= 0) close_file();
    lock.lock();
    if (last) return;
  }
}

// Closes the file when it is full or the disk refuses.
void Trace::Impl::write_events(std::string_view events) {
  const auto room =
      static_cast<size_t>(std::max<int64_t>(max_bytes - kClosingBytes - num_bytes, 0));
  std::string_view text = events;
  if (text.size() > room) {
    const size_t end = room == 0 ? std::string_view::npos : text.rfind('\n', room - 1);
    text = end == std::string_view::npos ? std::string_view() : text.substr(0, end + 1);
  }
  if (!write_all(fd, text)) {
    log_error(fmt::format("trace_failed file={} reason={}", path, error_text(errno)));
    ::close(std::exchange(fd, -1));
    text = {};
  } else if (text.size() == events.size()) {
    num_bytes += static_cast<int64_t>(text.size());
    return;
  }
  {
    const std::lock_guard lock(mutex);
    closed = true;
    num_dropped += num_events(events.substr(text.size())) + num_events(queue);
    queue.clear();
  }
  if (fd >= 0) {
    log_warning(fmt::format("trace_full file={} max_bytes={}", path, max_bytes));
    close_file();
  }
}

// Ends the array, so that strict readers of JSON take it.
void Trace::Impl::close_file() {
  int64_t dropped = 0;
  {
    const std::lock_guard lock(mutex);
    dropped = num_dropped;
  }
  std::string text;
  append_head(text, dropped > 0 ? "events were dropped" : "end of trace", 'i', real_clock().now());
  text += ",\"s\":\"g\"}\n]\n";
  write_all(fd, text);
  ::close(std::exchange(fd, -1));
}

Trace::Trace(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
}

Result<std::unique_ptr<Trace>> Trace::create(const std::string& path, int64_t max_bytes) {
  auto impl = std::make_unique<Impl>();
  impl->path = path;
  impl->max_bytes = max_bytes;
  impl->origin = real_clock().now();
  impl->pid = static_cast<int>(getpid());
  impl->fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (impl->fd < 0) {
    return Error{ErrorCode::kUnavailable,
                 fmt::format("trace file {}: {}", path, error_text(errno))};
  }
  const std::string start = fmt::format(
      "[\n{{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":{},\"args\":{{\"name\":\"pagoda\"}}}},"
      "\n",
      impl->pid);
  if (!write_all(impl->fd, start)) {
    const int error = errno;
    ::close(impl->fd);
    return Error{ErrorCode::kUnavailable,
                 fmt::format("trace file {}: {}", path, error_text(error))};
  }
  impl->num_bytes = static_cast<int64_t>(start.size());
  Impl& shared = *impl;
  impl->writer = std::thread([&shared] {
    pthread_setname_np(pthread_self(), "trace");
    shared.run();
  });
  return std::unique_ptr<Trace>(new Trace(std::move(impl)));
}

Trace::~Trace() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->wake.notify_one();
  impl_->writer.join();
}

void Trace::span(std::string_view name, TimePoint begin, TimePoint end, const TraceArgs& args) {
  std::string event;
  impl_->append_head(event, name, 'X', begin);
  fmt::format_to(std::back_inserter(event), ",\"dur\":{:.3f}", seconds_between(begin, end) * 1e6);
  append_args(event, args);
  event += "},\n";
  impl_->push(event);
}

void Trace::request_span(std::string_view name, uint64_t id, TimePoint begin, TimePoint end,
                         const TraceArgs& args) {
  // Both ends travel together: a beginning without an end would be drawn to the end of the file.
  std::string events;
  const std::string line = fmt::format(",\"cat\":\"request\",\"id\":\"{:#x}\"", id);
  impl_->append_head(events, name, 'b', begin);
  events += line;
  append_args(events, args);
  events += "},\n";
  impl_->append_head(events, name, 'e', end);
  events += line + "},\n";
  impl_->push(events);
}

void Trace::counter(std::string_view name, TimePoint at, const TraceArgs& values) {
  std::string event;
  impl_->append_head(event, name, 'C', at);
  append_args(event, values);
  event += "},\n";
  impl_->push(event);
}

int64_t Trace::num_dropped() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->num_dropped;
}

}  // namespace pagoda
