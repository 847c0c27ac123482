// One HTTP/1.1 connection on Boost.Beast, and the event loop it lives on.

// ThreadSanitizer does not know fences, and g++ refuses them under it.
#ifdef __SANITIZE_THREAD__
#define BOOST_ASIO_DISABLE_FENCED_BLOCK
#endif

#include <fmt/core.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <cerrno>
#include <ctime>
#include <mutex>
#include <thread>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/log.h"
#include "server/http/io_thread.h"

namespace pagoda {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;
using std::chrono::milliseconds;

namespace {
class Session;
}  // namespace

struct IoThread::Core : std::enable_shared_from_this<IoThread::Core> {
  Core(HttpService& the_service, const HttpLimits& the_limits)
      : service(the_service), limits(the_limits), work(asio::make_work_guard(io)) {}

  // Thread-safe. After stop() work is dropped: nobody would run it, and it may hold the sessions
  // that hold this object.
  bool post(std::function<void()> task) {
    const std::lock_guard lock(mutex);
    if (!stopped) asio::post(io, std::move(task));
    return !stopped;
  }

  void run();
  void close_all();
  void shutdown_all(milliseconds grace);
  void forget(const std::shared_ptr<Session>& session);

  HttpService& service;
  const HttpLimits limits;
  asio::io_context io{1};
  asio::executor_work_guard<asio::io_context::executor_type> work;
  asio::steady_timer grace_timer{io};
  std::unordered_set<std::shared_ptr<Session>> sessions;  // I/O thread only
  bool shutting_down = false;                             // I/O thread only
  std::atomic<bool> draining = false;
  std::atomic<int32_t> num_connections = 0;
  std::mutex mutex;
  bool stopped = false;  // guarded by mutex
  std::thread thread;
};

namespace {

constexpr size_t kBodyChunkBytes = size_t{16} << 10;
constexpr size_t kMaxPipelinedBytes = size_t{64} << 10;
constexpr milliseconds kLingerTime{1000};
constexpr size_t kMaxLingerBytes = size_t{4} << 20;

class Exchange;

// Owned by Core::sessions and by its own pending operations. I/O thread only.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(std::shared_ptr<IoThread::Core> core, asio::generic::stream_protocol::socket socket)
      : core_(std::move(core)), socket_(std::move(socket)), timer_(core_->io) {}

  void wait_for_request();
  // The server stops: let the handler say a last word, then close.
  void shutdown();
  // Ends the request being served, if any, and closes.
  void client_gone();

  // For Exchange.
  bool serves(const Exchange* exchange) const { return exchange_.get() == exchange && !closed_; }
  void respond(HttpResponse response);
  void start_stream(HttpResponse head);
  void write(std::string_view data);
  void end_stream();
  void fail(const char* what);
  IoThread::Core& core() { return *core_; }

 private:
  enum class State { kIdle, kReading, kServing, kLinger };

  void read_head();
  void on_head(error_code ec);
  bool head_is_acceptable();
  void take_head();
  void send_continue();
  void read_body();
  void on_body(error_code ec);
  void on_read_error(error_code ec);
  void dispatch();

  void watch_client();
  void on_readable();
  void close();

  void send_error(int status, std::string_view message);
  void append_head(const HttpResponse& response, bool chunked);
  void flush();
  void on_written(error_code ec);
  void finish_reply();
  void linger();
  void complete(int status);

  void arm(milliseconds delay);
  void disarm();
  void on_deadline();
  milliseconds pace(size_t num_bytes) const {
    return milliseconds(static_cast<int64_t>(num_bytes) * 1000 /
                        core_->limits.min_bytes_per_second);
  }

  std::shared_ptr<IoThread::Core> core_;
  asio::generic::stream_protocol::socket socket_;
  asio::steady_timer timer_;
  uint64_t timer_generation_ = 0;
  State state_ = State::kIdle;
  bool closed_ = false;

  boost::beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::buffer_body>> parser_;
  std::vector<char> body_chunk_;
  std::chrono::steady_clock::time_point reading_since_{};
  HttpRequest request_;  // until dispatch() hands it to the exchange
  bool keep_alive_ = false;
  bool head_only_ = false;
  bool http_1_0_ = false;
  bool watching_ = false;

  std::shared_ptr<Exchange> exchange_;
  int status_ = 0;          // of the reply; 0: none yet
  bool streaming_ = false;  // start_stream() was called
  bool chunked_ = false;
  bool ended_ = false;        // the reply is complete in pending_
  std::string pending_head_;  // to be sent as it is, before pending_
  std::string pending_;       // payload; framed as one chunk when chunked_
  std::string in_flight_;
  bool write_in_flight_ = false;
  size_t num_lingered_bytes_ = 0;
};

// One request on a session. Outlives its turn when the handler keeps it; then it does nothing.
class Exchange : public HttpExchange, public std::enable_shared_from_this<Exchange> {
 public:
  Exchange(std::shared_ptr<Session> session, HttpRequest request)
      : session_(std::move(session)), request_(std::move(request)) {}

  HttpRequest& request() override { return request_; }
  RequestLog& log() override { return log_; }
  void respond(HttpResponse response) override {
    if (session_->serves(this)) session_->respond(std::move(response));
  }
  void start_stream(HttpResponse head) override {
    if (!session_->serves(this)) return;
    started_ = true;
    session_->start_stream(std::move(head));
  }
  void write(std::string_view data) override {
    if (session_->serves(this)) session_->write(data);
  }
  void end_stream() override {
    if (session_->serves(this)) session_->end_stream();
  }
  bool stream_started() const override { return started_; }
  void on_end(std::function<void(EndCause)> callback) override {
    if (session_->serves(this)) end_callback_ = std::move(callback);
  }
  void post(std::function<void()> work) override {
    session_->core().post([self = shared_from_this(), task = std::move(work)] {
      try {
        task();
      } catch (const std::exception& e) {
        if (self->session_->serves(self.get())) self->session_->fail(e.what());
      }
    });
  }

  void end(EndCause cause) {
    if (const auto callback = std::exchange(end_callback_, nullptr)) callback(cause);
  }
  void drop_callback() { end_callback_ = nullptr; }

 private:
  std::shared_ptr<Session> session_;
  HttpRequest request_;
  RequestLog log_;
  bool started_ = false;
  std::function<void(EndCause)> end_callback_;
};

void Session::wait_for_request() {
  state_ = State::kIdle;
  if (buffer_.size() > 0) return read_head();
  arm(core_->limits.idle_timeout);
  socket_.async_wait(asio::socket_base::wait_read, [self = shared_from_this()](error_code ec) {
    if (!self->closed_ && !ec && self->state_ == State::kIdle) self->read_head();
  });
}

void Session::read_head() {
  state_ = State::kReading;
  reading_since_ = std::chrono::steady_clock::now();
  parser_.emplace();
  parser_->header_limit(static_cast<uint32_t>(core_->limits.max_header_bytes));
  parser_->body_limit(core_->limits.max_body_bytes);
  arm(core_->limits.read_timeout);
  http::async_read_header(
      socket_, buffer_, *parser_,
      [self = shared_from_this()](error_code ec, size_t /*num_bytes*/) { self->on_head(ec); });
}

void Session::on_head(error_code ec) {
  if (closed_ || state_ != State::kReading) return;
  if (ec) return on_read_error(ec);
  take_head();
  if (!head_is_acceptable()) return;
  if (auto refusal = core_->service.check_head(request_)) {
    // The rest of this request would be read as the next one.
    if (!parser_->is_done()) keep_alive_ = false;
    state_ = State::kServing;
    disarm();
    return respond(std::move(*refusal));
  }
  if (parser_->is_done()) return dispatch();
  parser_->eager(true);
  body_chunk_.resize(kBodyChunkBytes);
  if (equals_ignoring_case(request_.header("expect"), "100-continue")) return send_continue();
  read_body();
}

void Session::take_head() {
  auto& message = parser_->get();
  keep_alive_ = message.keep_alive();
  http_1_0_ = message.version() < 11;
  request_ = HttpRequest{};
  request_.method = std::string(message.method_string());
  head_only_ = request_.method == "HEAD";
  const std::string_view target(message.target().data(), message.target().size());
  const size_t question = target.find('?');
  request_.path = std::string(target.substr(0, question));
  if (question != std::string_view::npos) request_.query = std::string(target.substr(question + 1));
  for (const auto& field : message) {
    std::string name(field.name_string());
    for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    request_.headers.emplace_back(std::move(name), std::string(field.value()));
  }
  const std::string_view id = request_.header("x-request-id");
  request_.id = is_valid_request_id(id) ? std::string(id) : draw_request_id();
}

bool Session::head_is_acceptable() {
  const auto hosts = std::ranges::count_if(
      request_.headers, [](const auto& header) { return header.first == "host"; });
  const std::string_view expect = request_.header("expect");
  const std::string_view coding = request_.header("transfer-encoding");
  if (request_.path.size() + request_.query.size() > core_->limits.max_target_bytes) {
    send_error(414, fmt::format("the request target is longer than {} bytes",
                                core_->limits.max_target_bytes));
  } else if (hosts > 1 || (hosts == 0 && !http_1_0_)) {
    send_error(400, "an HTTP/1.1 request needs exactly one Host header");
  } else if (!coding.empty() && !equals_ignoring_case(coding, "chunked")) {
    send_error(400, "the only transfer coding known is chunked");
  } else if (!expect.empty() && !equals_ignoring_case(expect, "100-continue")) {
    send_error(417, "the only expectation known is 100-continue");
  } else {
    return true;
  }
  return false;
}

void Session::send_continue() {
  in_flight_ = "HTTP/1.1 100 Continue\r\n\r\n";
  asio::async_write(socket_, asio::buffer(in_flight_),
                    [self = shared_from_this()](error_code ec, size_t /*num_bytes*/) {
                      if (self->closed_ || self->state_ != State::kReading) return;
                      if (ec) return self->close();
                      self->read_body();
                    });
}

void Session::read_body() {
  if (parser_->is_done()) return dispatch();
  const auto deadline = reading_since_ + core_->limits.read_timeout + pace(request_.body.size());
  arm(std::max(milliseconds(1), std::chrono::duration_cast<milliseconds>(
                                    deadline - std::chrono::steady_clock::now())));
  auto& body = parser_->get().body();
  body.data = body_chunk_.data();
  body.size = body_chunk_.size();
  http::async_read_some(
      socket_, buffer_, *parser_,
      [self = shared_from_this()](error_code ec, size_t /*num_bytes*/) { self->on_body(ec); });
}

void Session::on_body(error_code ec) {
  if (closed_ || state_ != State::kReading) return;
  if (ec == http::error::need_buffer) ec = {};
  request_.body.append(body_chunk_.data(), body_chunk_.size() - parser_->get().body().size);
  if (ec) return on_read_error(ec);
  read_body();
}

void Session::on_read_error(error_code ec) {
  if (ec == http::error::body_limit) {
    return send_error(
        413, fmt::format("the request body is larger than {} bytes", core_->limits.max_body_bytes));
  }
  if (ec == http::error::header_limit) {
    return send_error(431, fmt::format("the request line and headers are larger than {} bytes",
                                       core_->limits.max_header_bytes));
  }
  const bool malformed = ec.category() == make_error_code(http::error::bad_method).category() &&
                         ec != http::error::end_of_stream && ec != http::error::partial_message;
  if (malformed) return send_error(400, "malformed HTTP request: " + ec.message());
  close();
}

void Session::dispatch() {
  disarm();
  state_ = State::kServing;
  request_.received = real_clock().now();
  status_ = 0;
  streaming_ = chunked_ = ended_ = false;
  auto exchange = std::make_shared<Exchange>(shared_from_this(), std::exchange(request_, {}));
  exchange_ = exchange;
  try {
    core_->service.handle(exchange);
  } catch (const std::exception& e) {
    if (serves(exchange.get())) fail(e.what());
  }
  if (serves(exchange.get()) && !ended_) watch_client();
}

void Session::fail(const char* what) {
  log_error(fmt::format("request.failed id={} error=\"{}\"", exchange_->request().id, what));
  const auto exchange = exchange_;
  exchange->end(EndCause::kClientGone);
  if (closed_ || exchange_ != exchange) return;
  if (status_ == 0) {
    keep_alive_ = false;
    respond(core_->service.protocol_error(500, "internal error"));
  } else if (!ended_) {
    client_gone();
  }
}

// Notices in every state of a request that the client is gone.
void Session::watch_client() {
  if (watching_ || closed_) return;
  watching_ = true;
  socket_.async_wait(asio::socket_base::wait_read, [self = shared_from_this()](error_code ec) {
    self->watching_ = false;
    if (!ec && !self->closed_ && self->state_ == State::kServing && !self->ended_) {
      self->on_readable();
    }
  });
}

void Session::on_readable() {
  // Pipelined requests wait in the buffer, so that the end behind them is seen.
  if (buffer_.size() >= kMaxPipelinedBytes) return;
  const auto space = buffer_.prepare(4096);
  const ssize_t n = ::recv(socket_.native_handle(), space.data(), space.size(), MSG_DONTWAIT);
  if (n == 0) return client_gone();
  if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) return client_gone();
  if (n > 0) buffer_.commit(static_cast<size_t>(n));
  watch_client();
}

void Session::client_gone() {
  if (closed_) return;
  if (const auto exchange = exchange_) {
    exchange->end(EndCause::kClientGone);
    if (!closed_ && exchange_ == exchange) complete(status_ == 0 ? 499 : status_);
  }
  close();
}

void Session::shutdown() {
  keep_alive_ = false;
  if (state_ != State::kServing) return close();
  if (const auto exchange = exchange_; exchange && !ended_) {
    exchange->end(EndCause::kShutdown);
    if (serves(exchange.get()) && !ended_) client_gone();
  }
}

void Session::close() {
  if (closed_) return;
  closed_ = true;
  disarm();
  error_code ignored;
  socket_.close(ignored);
  core_->forget(shared_from_this());
}

void Session::send_error(int status, std::string_view message) {
  keep_alive_ = false;
  state_ = State::kServing;
  disarm();
  head_only_ = false;
  respond(core_->service.protocol_error(status, message));
}

std::string_view http_date() {
  thread_local std::array<char, 40> text{};
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  const size_t n = std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return {text.data(), n};
}

void Session::append_head(const HttpResponse& response, bool chunked) {
  const HttpRequest& request = exchange_ ? exchange_->request() : request_;
  std::string& out = pending_head_;
  out += fmt::format("HTTP/1.1 {} {}\r\nDate: {}\r\n", response.status,
                     reason_phrase(response.status), http_date());
  if (response.status != 204) {
    if (!response.content_type.empty()) {
      out += fmt::format("Content-Type: {}\r\n", response.content_type);
    }
    if (chunked) {
      out += "Transfer-Encoding: chunked\r\n";
    } else if (!streaming_) {
      out += fmt::format("Content-Length: {}\r\n", response.body.size());
    }
  }
  if (!request.id.empty()) out += fmt::format("X-Request-Id: {}\r\n", request.id);
  for (const HttpHeaders& headers : {response.headers, core_->service.common_headers(request)}) {
    for (const auto& [name, value] : headers) out += fmt::format("{}: {}\r\n", name, value);
  }
  if (core_->draining) keep_alive_ = false;
  out += keep_alive_ ? (http_1_0_ ? "Connection: keep-alive\r\n" : "") : "Connection: close\r\n";
  out += "\r\n";
}

void Session::respond(HttpResponse response) {
  if (status_ != 0 && exchange_) return;
  status_ = response.status;
  streaming_ = chunked_ = false;
  append_head(response, false);
  if (!head_only_ && response.status != 204) pending_ += response.body;
  ended_ = true;
  flush();
}

void Session::start_stream(HttpResponse head) {
  if (status_ != 0) return;
  status_ = head.status;
  streaming_ = true;
  chunked_ = !http_1_0_;
  if (http_1_0_) keep_alive_ = false;
  append_head(head, chunked_);
  pending_ += head.body;
  flush();
}

void Session::write(std::string_view data) {
  if (!streaming_ || ended_) return;
  pending_ += data;
  if (pending_.size() > core_->limits.max_stream_queue_bytes) {
    log_warning(fmt::format("stream.slow_reader id={} queued_bytes={}", exchange_->request().id,
                            pending_.size()));
    return client_gone();
  }
  flush();
}

void Session::end_stream() {
  if (!streaming_ || ended_) return;
  ended_ = true;
  flush();
}

void Session::flush() {
  if (write_in_flight_ || closed_) return;
  in_flight_ = std::exchange(pending_head_, {});
  if (chunked_ && !head_only_) {
    if (!pending_.empty()) in_flight_ += fmt::format("{:x}\r\n{}\r\n", pending_.size(), pending_);
    if (ended_) in_flight_ += "0\r\n\r\n";
  } else if (!head_only_ || !streaming_) {
    in_flight_ += pending_;
  }
  pending_.clear();
  if (ended_) chunked_ = false;  // the end is written once
  if (in_flight_.empty()) {
    if (ended_) finish_reply();
    return;
  }
  write_in_flight_ = true;
  arm(core_->limits.write_timeout + pace(in_flight_.size()));
  asio::async_write(
      socket_, asio::buffer(in_flight_),
      [self = shared_from_this()](error_code ec, size_t /*num_bytes*/) { self->on_written(ec); });
}

void Session::on_written(error_code ec) {
  write_in_flight_ = false;
  if (closed_) return;
  disarm();
  if (ec) return client_gone();
  flush();
}

void Session::finish_reply() {
  if (exchange_) complete(status_);
  if (closed_) return;
  // A drain that began since the head was written closes after the next reply, as that will say.
  if (keep_alive_ && !core_->shutting_down) return wait_for_request();
  linger();
}

void Session::complete(int status) {
  const auto exchange = std::exchange(exchange_, nullptr);
  exchange->drop_callback();
  core_->service.completed(exchange->request(), exchange->log(), status);
}

// Closing with unread input would reset the connection, and the client might never see the reply.
void Session::linger() {
  if (core_->shutting_down) return close();
  state_ = State::kLinger;
  error_code ignored;
  socket_.shutdown(asio::socket_base::shutdown_send, ignored);
  arm(kLingerTime);
  num_lingered_bytes_ = 0;
  body_chunk_.resize(kBodyChunkBytes);
  struct Drain {
    std::shared_ptr<Session> self;
    void operator()(error_code ec, size_t num_bytes) const {
      if (self->closed_) return;
      self->num_lingered_bytes_ += num_bytes;
      if (ec || self->num_lingered_bytes_ > kMaxLingerBytes) return self->close();
      self->socket_.async_read_some(asio::buffer(self->body_chunk_), Drain{self});
    }
  };
  socket_.async_read_some(asio::buffer(body_chunk_), Drain{shared_from_this()});
}

void Session::arm(milliseconds delay) {
  const uint64_t generation = ++timer_generation_;
  timer_.expires_after(delay);
  timer_.async_wait([self = shared_from_this(), generation](error_code ec) {
    if (!ec && !self->closed_ && self->timer_generation_ == generation) self->on_deadline();
  });
}

void Session::disarm() {
  ++timer_generation_;
  timer_.cancel();
}

void Session::on_deadline() {
  switch (state_) {
    case State::kIdle:
    case State::kLinger: return close();
    case State::kReading: {
      error_code ignored;
      socket_.cancel(ignored);  // its handler finds another state and returns
      return send_error(408, "the request did not arrive in time");
    }
    case State::kServing:
      log_warning(fmt::format("connection.write_timeout unsent_bytes={}", in_flight_.size()));
      return client_gone();
  }
}

}  // namespace

void IoThread::Core::run() {
  for (;;) {
    try {
      io.run();
      return;
    } catch (const std::exception& e) {
      log_error(fmt::format("io_thread.exception error=\"{}\"", e.what()));
    }
  }
}

void IoThread::Core::forget(const std::shared_ptr<Session>& session) {
  if (sessions.erase(session) > 0) --num_connections;
  if (shutting_down && sessions.empty()) grace_timer.cancel();
}

void IoThread::Core::close_all() {
  const std::vector<std::shared_ptr<Session>> all(sessions.begin(), sessions.end());
  for (const auto& session : all) session->client_gone();
}

void IoThread::Core::shutdown_all(milliseconds grace) {
  shutting_down = true;
  draining = true;
  const std::vector<std::shared_ptr<Session>> all(sessions.begin(), sessions.end());
  for (const auto& session : all) session->shutdown();
  if (!sessions.empty()) {
    grace_timer.expires_after(grace);
    grace_timer.async_wait([this](error_code) { close_all(); });
  }
  work.reset();
}

IoThread::IoThread(HttpService& service, const HttpLimits& limits)
    : core_(std::make_shared<Core>(service, limits)) {
  core_->thread = std::thread([core = core_.get()] { core->run(); });
}

IoThread::~IoThread() {
  stop(milliseconds(0));
}

void IoThread::adopt(int fd) {
  ++core_->num_connections;  // at once, so that the listener's next choice sees it
  const bool posted = core_->post([core = core_.get(), fd] {
    if (core->shutting_down) {
      ::close(fd);
      --core->num_connections;
      return;
    }
    sockaddr_storage address{};
    socklen_t length = sizeof(address);
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
    asio::generic::stream_protocol::socket socket(core->io);
    error_code ec;
    socket.assign(asio::generic::stream_protocol(address.ss_family, 0), fd, ec);
    if (ec) {
      ::close(fd);
      --core->num_connections;
      return;
    }
    const auto session = std::make_shared<Session>(core->shared_from_this(), std::move(socket));
    core->sessions.insert(session);
    session->wait_for_request();
  });
  if (!posted) ::close(fd);
}

void IoThread::refuse(int fd, HttpService& service) {
  const HttpResponse response = service.protocol_error(503, "too many connections");
  const std::string text = fmt::format(
      "HTTP/1.1 503 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nRetry-After: 1\r\n"
      "Connection: close\r\n\r\n{}",
      reason_phrase(503), response.content_type, response.body.size(), response.body);
  // A fresh socket's buffer holds this; if not, closing says enough.
  if (::send(fd, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
    ::shutdown(fd, SHUT_WR);
  }
  ::close(fd);
}

int32_t IoThread::num_connections() const {
  return core_->num_connections;
}

void IoThread::begin_drain() {
  core_->draining = true;
}

void IoThread::stop(milliseconds grace) {
  if (!core_->thread.joinable()) return;
  core_->post([core = core_.get(), grace] { core->shutdown_all(grace); });
  core_->thread.join();
  {
    const std::lock_guard lock(core_->mutex);
    core_->stopped = true;
  }
  // What was posted while the thread ended would otherwise keep its sessions alive for ever.
  core_->io.restart();
  core_->io.poll();
}

}  // namespace pagoda
