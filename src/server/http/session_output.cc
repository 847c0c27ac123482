// The output side of a connection: replies, streams and the end.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <exception>
#include <utility>

#include "base/log.h"
#include "server/http/session.h"

namespace pagoda {

namespace asio = boost::asio;
using boost::system::error_code;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds kLingerTime{1000};
// A write of this much must be taken within write_timeout and its own time at the least pace.
constexpr size_t kWriteSliceBytes = size_t{256} << 10;
// Whole replies above this size count as body memory until they are sent.
constexpr size_t kLargeReplyBytes = size_t{64} << 10;

std::string_view http_date() {
  thread_local std::array<char, 40> text{};
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  const size_t n = std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return {text.data(), n};
}

bool has_body(int status) {
  return status != 204 && status != 304;
}

}  // namespace

void Session::send_error(const ProtocolError& error) {
  keep_alive_ = false;
  state_ = State::kServing;
  disarm();
  respond(core_->service.protocol_error(error));
}

void Session::append_head(const HttpResponse& response, bool chunked) {
  const HttpRequest& request = exchange_ ? exchange_->request() : request_;
  std::string& out = pending_head_;
  out += fmt::format("HTTP/1.1 {} {}\r\nDate: {}\r\n", response.status,
                     reason_phrase(response.status), http_date());
  if (has_body(response.status)) {
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
  if (response.body.size() > kLargeReplyBytes) {
    reply_memory_ = MemoryCharge(core_->body_memory);
    if (!reply_memory_.grow_to(response.body.size(), 0)) {
      response = core_->service.protocol_error(
          {503, "reply_memory",
           fmt::format("the {} bytes for bodies are full of replies that nobody has read yet",
                       core_->body_memory->limit_bytes())});
    }
  }
  status_ = response.status;
  streaming_ = chunked_ = false;
  append_head(response, false);
  if (!head_only_ && has_body(response.status)) pending_ += response.body;
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
    in_flight_.reserve(in_flight_.size() + pending_.size());  // appending might double it
    in_flight_ += pending_;
  }
  pending_ = {};                 // its memory too
  if (ended_) chunked_ = false;  // the end is written once
  if (in_flight_.empty()) {
    if (ended_) finish_reply();
    return;
  }
  num_written_ = 0;
  write_in_flight_ = true;
  write_slice();
}

void Session::write_slice() {
  const std::string_view slice =
      std::string_view(in_flight_).substr(num_written_, kWriteSliceBytes);
  arm(core_->limits.write_timeout + pace(slice.size()));
  transport_.async_write(slice, [self = shared_from_this()](error_code ec, size_t num_bytes) {
    self->on_written(ec, num_bytes);
  });
}

void Session::on_written(error_code ec, size_t num_bytes) {
  if (!closed_ && !ec) {
    num_written_ += num_bytes;
    if (num_written_ < in_flight_.size()) return write_slice();
  }
  write_in_flight_ = false;
  if (closed_) return;
  disarm();
  if (ec) return client_gone();
  flush();
}

void Session::finish_reply() {
  if (exchange_) complete(status_);
  if (closed_) return;
  in_flight_ = {};
  reply_memory_ = {};
  status_ = 0;
  ended_ = false;
  // A drain that began since the head was written closes after the next reply, as that will say.
  if (keep_alive_ && !core_->shutting_down) return wait_for_request();
  linger();
}

void Session::complete(int status) {
  const auto exchange = std::exchange(exchange_, nullptr);
  exchange->finish();
  core_->service.completed(exchange->request(), exchange->log(), status);
}

// Closing with unread input would reset the connection, and the client might never see the reply.
void Session::linger() {
  state_ = State::kLinger;
  num_lingered_bytes_ = 0;
  arm(kLingerTime);
  if (transport_.is_tls()) {
    // What was sent ends with close_notify: the client can tell that nothing was cut off.
    transport_.async_shutdown([self = shared_from_this()](error_code) {
      if (self->closed_) return;
      error_code ignored;
      self->transport_.socket().shutdown(asio::socket_base::shutdown_send, ignored);
      self->drain_socket();
    });
    return;
  }
  error_code ignored;
  transport_.socket().shutdown(asio::socket_base::shutdown_send, ignored);
  if (core_->shutting_down || input_ended_) return close();
  read_more();
}

// Reads below TLS, to see the client close.
void Session::drain_socket() {
  if (core_->shutting_down || input_ended_) return close();
  const auto space = asio::buffer(core_->body_piece);  // what is in it is nobody's
  transport_.socket().async_read_some(space,
                                      [self = shared_from_this()](error_code ec, size_t num_bytes) {
                                        if (self->closed_) return;
                                        self->num_lingered_bytes_ += num_bytes;
                                        if (ec || self->num_lingered_bytes_ > kMaxLingeredBytes)
                                          return self->close();
                                        self->drain_socket();
                                      });
}

void Exchange::respond(HttpResponse response) {
  if (session_->serves(this)) session_->respond(std::move(response));
}

void Exchange::start_stream(HttpResponse head) {
  if (!session_->serves(this)) return;
  started_ = true;
  session_->start_stream(std::move(head));
}

void Exchange::write(std::string_view data) {
  if (session_->serves(this)) session_->write(data);
}

void Exchange::end_stream() {
  if (session_->serves(this)) session_->end_stream();
}

void Exchange::on_end(std::function<void(EndCause)> callback) {
  if (session_->serves(this)) end_callback_ = std::move(callback);
}

void Exchange::post(std::function<void()> work) {
  session_->core().post([self = shared_from_this(), task = std::move(work)] {
    try {
      task();
    } catch (const std::exception& e) {
      if (self->session_->serves(self.get())) self->session_->fail(e.what());
    }
  });
}

void Exchange::end(EndCause cause) {
  if (const auto callback = std::exchange(end_callback_, nullptr)) callback(cause);
}

void Exchange::finish() {
  ended_ = true;
  end_callback_ = nullptr;
}

}  // namespace pagoda
