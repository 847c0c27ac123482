// The input side of a connection: reading and parsing requests, noticing that a client leaves.
#include "server/http/session.h"

#include <fmt/core.h>

#include <algorithm>
#include <boost/beast/http/error.hpp>
#include <exception>
#include <utility>

#include "base/log.h"

namespace pagoda {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;
using std::chrono::milliseconds;

namespace {

constexpr size_t kMaxPipelinedBytes = size_t{64} << 10;
// A sixteenth of the memory for bodies is kept for those up to this size, so that ordinary requests
// are served while large ones wait for room.
constexpr size_t kSmallBodyBytes = size_t{64} << 10;
constexpr size_t kSmallBodyShare = 16;

size_t kept_free(const MemoryBudget& budget, size_t num_bytes) {
  return num_bytes <= kSmallBodyBytes ? 0 : budget.limit_bytes() / kSmallBodyShare;
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return lower;
}

}  // namespace

Session::Session(std::shared_ptr<IoThread::Core> core, Transport::Socket socket,
                 NewConnection connection)
    : core_(std::move(core)),
      transport_(std::move(socket), core_->tls.get()),
      connection_(std::move(connection)),
      timer_(core_->io) {
}

void Session::start() {
  if (!connection_.refusal.empty()) {
    // Nobody who is refused is worth a handshake.
    if (transport_.is_tls()) return close();
    return send_error({503, "connections", connection_.refusal});
  }
  if (!transport_.is_tls()) return wait_for_request();
  state_ = State::kHandshake;
  arm(core_->limits.read_timeout);
  transport_.async_handshake(
      [self = shared_from_this()](error_code ec) { self->on_handshake(ec); });
}

void Session::on_handshake(error_code ec) {
  if (closed_) return;
  if (!ec) return wait_for_request();
  core_->service.connection_refused("tls_handshake");
  close();
}

void Session::wait_for_request() {
  state_ = State::kIdle;
  head_only_ = false;
  if (buffer_.size() > 0) return begin_request();
  if (input_ended_) return close();
  buffer_.shrink_to_fit();
  arm(core_->limits.idle_timeout);
  read_more();
}

void Session::begin_request() {
  state_ = State::kReading;
  deadline_ = real_clock().now() + core_->limits.read_timeout;
  parser_.emplace();
  parser_->header_limit(static_cast<uint32_t>(core_->limits.max_header_bytes));
  parser_->body_limit(core_->limits.max_body_bytes);
  request_ = HttpRequest{};
  arm(core_->limits.read_timeout);
  parse();
}

void Session::read_more() {
  if (reading_ || closed_) return;
  if (input_ended_) {
    if (state_ != State::kServing) close();
    return;
  }
  reading_ = true;
  transport_.async_read_some(read_space_,
                             [self = shared_from_this()](error_code ec, size_t num_bytes) {
                               self->on_read(ec, num_bytes);
                             });
}

void Session::on_read(error_code ec, size_t num_bytes) {
  reading_ = false;
  if (closed_) return;
  if (state_ == State::kLinger) {
    num_lingered_bytes_ += num_bytes;
    // Under TLS the shutdown and the socket itself are read from now on.
    if (transport_.is_tls()) return;
    if (ec || num_lingered_bytes_ > kMaxLingeredBytes) return close();
    return read_more();
  }
  if (num_bytes > 0) {
    const auto space = buffer_.prepare(num_bytes);
    std::copy_n(read_space_.data(), num_bytes, static_cast<char*>(space.data()));
    buffer_.commit(num_bytes);
  }
  if (ec) return on_input_end(ec);
  switch (state_) {
    case State::kIdle: return begin_request();
    case State::kReading: return parse();
    case State::kServing:
      // Pipelined requests wait in the buffer, so that the end behind them is seen.
      if (!ended_ && buffer_.size() < kMaxPipelinedBytes) read_more();
      return;
    case State::kHandshake:
    case State::kLinger: return;
  }
}

void Session::on_input_end(error_code ec) {
  input_ended_ = true;
  if (state_ != State::kServing) return close();
  if (ended_) return;  // the reply is being written, and that shows whether anybody reads it
  if (core_->limits.allow_half_close && ec == asio::error::eof) return;
  client_gone();
}

void Session::parse() {
  while (!closed_ && state_ == State::kReading) {
    const bool goes_on = parser_->is_header_done() ? parse_body() : parse_head();
    if (!goes_on) return;
  }
}

// Whether parsing can go on with what has been read.
bool Session::parse_head() {
  error_code ec = http::error::need_more;
  if (buffer_.size() > 0) buffer_.consume(parser_->put(buffer_.data(), ec));
  if (ec == http::error::need_more) {
    read_more();
    return false;
  }
  if (parser_->is_header_done() || ec) take_head();
  if (ec) {
    refuse_input(ec);
    return false;
  }
  if (!head_is_acceptable()) return false;
  if (auto refusal = core_->service.check_head(request_)) {
    // The rest of this request would be read as the next one.
    if (!parser_->is_done()) keep_alive_ = false;
    state_ = State::kServing;
    disarm();
    respond(std::move(*refusal));
    return false;
  }
  if (parser_->is_done()) {
    dispatch();
    return false;
  }
  if (!body_has_room()) return false;
  parser_->eager(true);
  request_.body_memory = MemoryCharge(core_->body_memory);
  const bool expects = equals_ignoring_case(request_.header("expect"), "100-continue");
  if (expects && !http_1_0_ && buffer_.size() == 0) {
    send_continue();
    return false;
  }
  return true;
}

void Session::take_head() {
  auto& message = parser_->get();
  keep_alive_ = message.keep_alive();
  http_1_0_ = message.version() < 11;
  request_.method = std::string(message.method_string());
  request_.from_this_host = connection_.from_this_host;
  head_only_ = request_.method == "HEAD";
  for (const auto& field : message) {
    request_.headers.emplace_back(lower_case(field.name_string()), std::string(field.value()));
  }
  take_target({message.target().data(), message.target().size()});
  const std::string_view id = request_.header("x-request-id");
  request_.id = is_valid_request_id(id) ? std::string(id) : draw_request_id();
}

// RFC 9112 3.2: "/path?query", or "http://host/path?query", whose host then counts, not the header.
void Session::take_target(std::string_view target) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!equals_ignoring_case(target.substr(0, scheme.size()), scheme)) continue;
    target.remove_prefix(scheme.size());
    const size_t end = std::min(target.find_first_of("/?"), target.size());
    const std::string host(target.substr(0, end));
    target.remove_prefix(end);
    for (auto& [name, value] : request_.headers) {
      if (name == "host") value = host;
    }
    break;
  }
  const size_t question = target.find('?');
  request_.path = std::string(target.substr(0, question));
  if (request_.path.empty()) request_.path = "/";
  if (question != std::string_view::npos) request_.query = std::string(target.substr(question + 1));
}

bool Session::head_is_acceptable() {
  const auto hosts = std::ranges::count_if(
      request_.headers, [](const auto& header) { return header.first == "host"; });
  const std::string_view expect = request_.header("expect");
  const std::string_view coding = request_.header("transfer-encoding");
  if (request_.path.size() + request_.query.size() > core_->limits.max_target_bytes) {
    send_error({414, "header_size",
                fmt::format("the request target is longer than {} bytes",
                            core_->limits.max_target_bytes)});
  } else if (hosts > 1 || (hosts == 0 && !http_1_0_)) {
    send_error({400, "malformed", "an HTTP/1.1 request needs exactly one Host header"});
  } else if (!coding.empty() && !equals_ignoring_case(coding, "chunked")) {
    send_error({400, "malformed", "the only transfer coding known is chunked"});
  } else if (!expect.empty() && !equals_ignoring_case(expect, "100-continue")) {
    send_error({417, "malformed", "the only expectation known is 100-continue"});
  } else {
    return true;
  }
  return false;
}

// Refuses by its announced length what would not find room now, before any of it is read.
bool Session::body_has_room() {
  const MemoryBudget& budget = *core_->body_memory;
  const auto length = parser_->content_length();
  if (!length.has_value()) return true;
  const size_t wanted = static_cast<size_t>(*length) + kept_free(budget, *length);
  if (budget.used_bytes() + wanted <= budget.limit_bytes()) return true;
  refuse_input(http::error::buffer_overflow);
  return false;
}

void Session::send_continue() {
  in_flight_ = "HTTP/1.1 100 Continue\r\n\r\n";
  write_in_flight_ = true;
  transport_.async_write(in_flight_,
                         [self = shared_from_this()](error_code ec, size_t /*num_bytes*/) {
                           self->write_in_flight_ = false;
                           if (self->closed_) return;
                           if (ec) return self->client_gone();
                           // A reply may have been made meanwhile (408).
                           self->state_ == State::kReading ? self->parse() : self->flush();
                         });
  read_more();
}

bool Session::parse_body() {
  if (parser_->is_done()) {
    dispatch();
    return false;
  }
  if (write_in_flight_) return false;  // the client waits for "100 Continue"
  const size_t num_bytes_before = request_.body.size();
  error_code ec = http::error::need_more;
  if (buffer_.size() > 0) {
    auto& space = core_->body_piece;
    auto& body = parser_->get().body();
    body.data = space.data();
    body.size = space.size();
    ec = {};
    buffer_.consume(parser_->put(buffer_.data(), ec));
    if (ec == http::error::need_buffer) ec = {};
    if (!append_body({space.data(), space.size() - body.size})) return false;
  }
  extend_deadline(request_.body.size() - num_bytes_before);
  // What waits for its end is the frame of a chunk or the trailers: content is taken at once.
  if (ec == http::error::need_more && buffer_.size() > core_->limits.max_header_bytes) {
    ec = http::error::header_limit;
  }
  if (ec == http::error::need_more) {
    read_more();
    return false;
  }
  if (ec) refuse_input(ec);
  return !ec;
}

// What has come extends the time for the rest, but an upload that stops gains nothing by its
// beginning.
void Session::extend_deadline(size_t num_bytes) {
  const TimePoint now = real_clock().now();
  deadline_ = std::min<TimePoint>(deadline_ + pace(num_bytes), now + core_->limits.read_timeout);
  arm(std::max(milliseconds(1), std::chrono::duration_cast<milliseconds>(deadline_ - now)));
}

// Grows by doubling, but never beyond the announced length.
bool Session::append_body(std::string_view piece) {
  std::string& body = request_.body;
  const size_t needed = body.size() + piece.size();
  if (needed > body.capacity()) {
    const uint64_t most = std::max<uint64_t>(
        needed, parser_->content_length().value_or(core_->limits.max_body_bytes));
    const auto capacity =
        static_cast<size_t>(std::min<uint64_t>(most, std::max(needed, 2 * body.capacity())));
    if (!request_.body_memory.grow_to(capacity, kept_free(*core_->body_memory, capacity))) {
      refuse_input(http::error::buffer_overflow);
      return false;
    }
    // reserve() alone would double, whatever is asked.
    std::string grown;
    grown.reserve(capacity);
    grown += body;
    body = std::move(grown);
  }
  body += piece;
  return true;
}

void Session::refuse_input(error_code ec) {
  request_.body = {};
  request_.body_memory.release();
  if (ec == http::error::body_limit) {
    send_error(
        {413, "body_size",
         fmt::format("the request body is larger than {} bytes", core_->limits.max_body_bytes)});
  } else if (ec == http::error::header_limit) {
    send_error(
        {431, "header_size",
         fmt::format("the request line and headers, or the frame of a chunk and trailers, are "
                     "larger than {} bytes",
                     core_->limits.max_header_bytes)});
  } else if (ec == http::error::buffer_overflow) {
    send_error({503, "body_memory",
                fmt::format("the {} bytes for request bodies are in use; try again",
                            core_->body_memory->limit_bytes())});
  } else {
    send_error({400, "malformed", "malformed HTTP request: " + ec.message()});
  }
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
  if (serves(exchange.get()) && !ended_) read_more();
}

void Session::fail(const char* what) {
  log_error(fmt::format("request.failed id={} error=\"{}\"", exchange_->request().id, what));
  const auto exchange = exchange_;
  exchange->end(EndCause::kClientGone);
  if (closed_ || exchange_ != exchange) return;
  if (status_ == 0) {
    keep_alive_ = false;
    respond(core_->service.protocol_error({500, "failure", "internal error"}));
  } else if (!ended_) {
    client_gone();
  }
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
  transport_.socket().close(ignored);
  connection_.slot.reset();
  request_ = {};
  buffer_ = {};
  core_->forget(shared_from_this());
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
    case State::kHandshake: core_->service.connection_refused("tls_handshake"); return close();
    case State::kLinger: return close();
    case State::kIdle: return transport_.is_tls() ? linger() : close();
    case State::kReading:
      request_.body = {};
      request_.body_memory.release();
      return send_error({408, "slow", "the request did not arrive in time"});
    case State::kServing:
      log_warning(fmt::format("connection.write_timeout unsent_bytes={}", in_flight_.size()));
      return client_gone();
  }
}

}  // namespace pagoda
