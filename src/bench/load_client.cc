// libcurl's multi interface, driven by epoll and one timer.
#include "bench/load_client.h"

#include <curl/curl.h>
#include <fmt/core.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/check.h"
#include "base/printable.h"
#include "bench/curl_setup.h"
#include "bench/event_reader.h"

namespace pagoda {
namespace {

constexpr size_t kMaxErrorBody = 400;
constexpr size_t kMaxMessage = 300;
constexpr long kConnectTimeoutMs = 30'000;

struct MultiDeleter {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};
FailureCause cause_of(CURLcode code, bool any_byte) {
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT: return FailureCause::kTimeout;
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_URL_MALFORMAT: return FailureCause::kConnect;
    // What answered speaks no HTTP, or sent a header beyond any measure.
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_OUT_OF_MEMORY: return FailureCause::kNotEventStream;
    default: return any_byte ? FailureCause::kCut : FailureCause::kConnect;
  }
}

// One request on its way.
struct Transfer {
  Transfer(RequestRecord& r, std::string b) : record(r), reader(r), body(std::move(b)) {}

  RequestRecord& record;
  EventReader reader;
  std::string body;
  std::string error_body;  // of an answer other than 200
  CurlHandle easy;
  std::unique_ptr<curl_slist, CurlListDeleter> headers;
  std::string url;
  TimePoint start;
  std::array<char, CURL_ERROR_SIZE> error{};
};

int64_t ns_since(TimePoint start) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() -
                                                              start)
      .count();
}

size_t on_body(char* data, size_t, size_t size, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  RequestRecord& record = transfer.record;
  const int64_t now = ns_since(transfer.start);
  if (record.first_byte_ns < 0) {
    record.first_byte_ns = now;
    long status = 0;
    curl_easy_getinfo(transfer.easy.get(), CURLINFO_RESPONSE_CODE, &status);
    record.http_status = status;
  }
  if (record.http_status != 200) {
    const size_t room = kMaxErrorBody - transfer.error_body.size();
    transfer.error_body.append(data, std::min(room, size));
    return size;
  }
  return transfer.reader.take(std::string_view(data, size), now) ? size : 0;
}

}  // namespace

struct LoadClient::Impl {
  Options options;
  std::unique_ptr<CURLM, MultiDeleter> multi;
  std::unordered_map<CURL*, std::unique_ptr<Transfer>> transfers;
  std::vector<RequestRecord*> ended;
  std::unordered_map<std::string, size_t> idle;  // connections by URL; no fewer than there are
  int epoll_fd = -1;
  int timer_fd = -1;
  std::optional<TimePoint> curl_timer;

  ~Impl() {
    for (auto& [easy, transfer] : transfers) curl_multi_remove_handle(multi.get(), easy);
    transfers.clear();
    multi.reset();
    if (epoll_fd >= 0) ::close(epoll_fd);
    if (timer_fd >= 0) ::close(timer_fd);
  }

  static int on_socket(CURL*, curl_socket_t fd, int what, void* user, void* known) {
    auto& impl = *static_cast<Impl*>(user);
    if (what == CURL_POLL_REMOVE) {
      epoll_ctl(impl.epoll_fd, EPOLL_CTL_DEL, fd, nullptr);
      curl_multi_assign(impl.multi.get(), fd, nullptr);
      return 0;
    }
    epoll_event event{};
    event.data.fd = fd;
    if ((what & CURL_POLL_IN) != 0) event.events |= EPOLLIN;
    if ((what & CURL_POLL_OUT) != 0) event.events |= EPOLLOUT;
    const int operation = known == nullptr ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    if (epoll_ctl(impl.epoll_fd, operation, fd, &event) != 0 && errno == EEXIST) {
      epoll_ctl(impl.epoll_fd, EPOLL_CTL_MOD, fd, &event);
    }
    curl_multi_assign(impl.multi.get(), fd, &impl);
    return 0;
  }

  static int on_timer(CURLM*, long timeout_ms, void* user) {
    auto& impl = *static_cast<Impl*>(user);
    impl.curl_timer.reset();
    if (timeout_ms >= 0) {
      impl.curl_timer = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
    }
    return 0;
  }

  Result<void> open() {
    init_curl();
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (epoll_fd < 0 || timer_fd < 0) {
      return Error{ErrorCode::kInternal, fmt::format("epoll: {}", std::strerror(errno))};
    }
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = timer_fd;
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer_fd, &event);
    multi.reset(curl_multi_init());
    CHECK(multi != nullptr);
    curl_multi_setopt(multi.get(), CURLMOPT_SOCKETFUNCTION, &Impl::on_socket);
    curl_multi_setopt(multi.get(), CURLMOPT_SOCKETDATA, this);
    curl_multi_setopt(multi.get(), CURLMOPT_TIMERFUNCTION, &Impl::on_timer);
    curl_multi_setopt(multi.get(), CURLMOPT_TIMERDATA, this);
    curl_multi_setopt(multi.get(), CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
    return {};
  }

  void start(const LoadRequest& request, RequestRecord& record) {
    auto transfer = std::make_unique<Transfer>(record, request.body);
    transfer->start = options.start;
    transfer->easy = new_curl_handle(options.ca_file, options.insecure);
    CURL* easy = transfer->easy.get();
    curl_slist* list = curl_slist_append(nullptr, "Content-Type: application/json");
    list = curl_slist_append(list, "Expect:");
    for (const std::string& header : request.headers) {
      list = curl_slist_append(list, header.c_str());
    }
    transfer->headers.reset(list);
    curl_easy_setopt(easy, CURLOPT_URL, request.url.c_str());
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, list);
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, transfer->body.data());
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(transfer->body.size()));
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer.get());
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error.data());
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, kConnectTimeoutMs);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout.count()));
    size_t& idle_there = idle[request.url];
    if (options.fresh_connections) {
      curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
      curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    } else if (idle_there == 0) {
      // libcurl would look for one among all that are in use, which with many users takes as many
      // looks as their number squared.
      curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    } else {
      --idle_there;
    }
    transfer->url = request.url;
    transfers.emplace(easy, std::move(transfer));
    record.sent_ns = ns_since(options.start);
    CHECK(curl_multi_add_handle(multi.get(), easy) == CURLM_OK);
  }

  // One round: waits, lets libcurl read, collects what ended.
  void turn(TimePoint until) {
    TimePoint wake = until;
    if (curl_timer) wake = std::min(wake, *curl_timer);
    const auto now = std::chrono::steady_clock::now();
    int wait_ms = 0;
    if (wake > now) {
      const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(wake - now).count();
      itimerspec timer{};
      timer.it_value.tv_sec = static_cast<time_t>(ns / 1'000'000'000);
      timer.it_value.tv_nsec = static_cast<long>(ns % 1'000'000'000);
      timerfd_settime(timer_fd, 0, &timer, nullptr);
      wait_ms = -1;
    }
    std::array<epoll_event, 256> events{};
    const int count = epoll_wait(epoll_fd, events.data(), static_cast<int>(events.size()), wait_ms);
    int running = 0;
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<size_t>(i)];
      if (event.data.fd == timer_fd) {
        uint64_t expirations = 0;
        if (::read(timer_fd, &expirations, sizeof(expirations)) < 0) continue;
        continue;
      }
      int what = 0;
      if ((event.events & EPOLLIN) != 0) what |= CURL_CSELECT_IN;
      if ((event.events & EPOLLOUT) != 0) what |= CURL_CSELECT_OUT;
      if ((event.events & (EPOLLERR | EPOLLHUP)) != 0) what |= CURL_CSELECT_ERR;
      curl_multi_socket_action(multi.get(), event.data.fd, what, &running);
    }
    if (curl_timer && *curl_timer <= std::chrono::steady_clock::now()) {
      curl_timer.reset();
      curl_multi_socket_action(multi.get(), CURL_SOCKET_TIMEOUT, 0, &running);
    }
    collect();
  }

  void collect() {
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi.get(), &left)) {
      if (message->msg == CURLMSG_DONE) finish(message->easy_handle, message->data.result);
    }
  }

  void finish(CURL* easy, CURLcode code) {
    const auto found = transfers.find(easy);
    CHECK(found != transfers.end());
    Transfer& transfer = *found->second;
    RequestRecord& record = transfer.record;
    const int64_t now = ns_since(options.start);
    if (!transfer.reader.done()) record.end_ns = now;
    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    record.http_status = status;
    if (record.cause == FailureCause::kNone) {
      if (code != CURLE_OK && !transfer.reader.done()) {
        record.cause = cause_of(code, record.first_byte_ns >= 0 || status != 0);
        record.message = curl_error_text(easy, code, transfer.error.data());
      } else if (status != 200) {
        record.cause = FailureCause::kHttpStatus;
        record.message = fmt::format("{}: {}", status, transfer.error_body);
      } else {
        transfer.reader.finish(now);
      }
    }
    record.message = printable(record.message, kMaxMessage);
    record.finish_reason = printable(record.finish_reason);
    curl_multi_remove_handle(multi.get(), easy);
    if (code == CURLE_OK) ++idle[transfer.url];
    ended.push_back(&record);
    transfers.erase(found);
  }
};

LoadClient::LoadClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
}
LoadClient::~LoadClient() = default;

Result<std::unique_ptr<LoadClient>> LoadClient::create(const Options& options) {
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  RETURN_IF_ERROR(impl->open());
  return std::unique_ptr<LoadClient>(new LoadClient(std::move(impl)));
}

void LoadClient::start(const LoadRequest& request, RequestRecord& record) {
  impl_->start(request, record);
}

std::vector<RequestRecord*> LoadClient::wait(TimePoint until) {
  impl_->turn(until);
  return std::exchange(impl_->ended, {});
}

std::vector<RequestRecord*> LoadClient::cancel_all() {
  while (!impl_->transfers.empty()) {
    CURL* easy = impl_->transfers.begin()->first;
    RequestRecord& record = impl_->transfers.begin()->second->record;
    if (record.cause == FailureCause::kNone) {
      record.cause = FailureCause::kCancelled;
      record.message = "the benchmark was stopped";
    }
    impl_->finish(easy, CURLE_OK);
  }
  return std::exchange(impl_->ended, {});
}

size_t LoadClient::num_running() const {
  return impl_->transfers.size();
}
int64_t LoadClient::now_ns() const {
  return ns_since(impl_->options.start);
}

}  // namespace pagoda
