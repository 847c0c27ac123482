// Session and Exchange: one HTTP/1.1 connection, and one request on it.
#pragma once

#include <array>
#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "server/http/exchange.h"
#include "server/http/io_core.h"

namespace pagoda {

class Exchange;

// Owned by Core::sessions and by its own pending operations. I/O thread only.
//
// One read is under way whenever input can matter: between requests, in a request, and while a
// reply is made, when it sees the client leave and keeps pipelined requests for later.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(std::shared_ptr<IoThread::Core> core, Transport::Socket socket, NewConnection connection);

  // Call once, after the session is in Core::sessions.
  void start();
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
  enum class State { kHandshake, kIdle, kReading, kServing, kLinger };
  using error_code = boost::system::error_code;
  static constexpr size_t kMaxLingeredBytes = size_t{4} << 20;  // read and dropped at the end
  using Milliseconds = std::chrono::milliseconds;

  // session.cc: input.
  void on_handshake(error_code ec);
  void wait_for_request();
  void begin_request();
  void read_more();
  void on_read(error_code ec, size_t num_bytes);
  void on_input_end(error_code ec);
  void parse();
  bool parse_head();
  void take_head();
  void take_target(std::string_view target);
  bool head_is_acceptable();
  bool body_has_room();
  void send_continue();
  bool parse_body();
  bool append_body(std::string_view piece);
  void extend_deadline(size_t num_bytes);
  void refuse_input(error_code ec);
  void dispatch();
  void close();
  void arm(Milliseconds delay);
  void disarm();
  void on_deadline();
  Milliseconds pace(size_t num_bytes) const {
    return Milliseconds(static_cast<int64_t>(num_bytes) * 1000 /
                        core_->limits.min_bytes_per_second);
  }

  // session_output.cc: output.
  void send_error(const ProtocolError& error);
  void append_head(const HttpResponse& response, bool chunked);
  void flush();
  void write_slice();
  void on_written(error_code ec, size_t num_bytes);
  void finish_reply();
  void complete(int status);
  void linger();
  void drain_socket();

  std::shared_ptr<IoThread::Core> core_;
  Transport transport_;
  NewConnection connection_;
  boost::asio::steady_timer timer_;
  uint64_t timer_generation_ = 0;
  State state_ = State::kIdle;
  bool closed_ = false;

  std::array<char, 8192> read_space_;  // of the read under way
  bool reading_ = false;               // a read is under way
  bool input_ended_ = false;
  boost::beast::flat_buffer buffer_;  // read and not yet parsed
  std::optional<boost::beast::http::request_parser<boost::beast::http::buffer_body>> parser_;
  TimePoint deadline_{};  // of the request being read
  HttpRequest request_;   // until dispatch() hands it to the exchange
  bool keep_alive_ = false;
  bool head_only_ = false;
  bool http_1_0_ = false;

  std::shared_ptr<Exchange> exchange_;
  int status_ = 0;          // of the reply; 0: none yet
  bool streaming_ = false;  // start_stream() was called
  bool chunked_ = false;
  bool ended_ = false;        // the reply is complete in pending_
  std::string pending_head_;  // to be sent as it is, before pending_
  std::string pending_;       // payload; framed as one chunk when chunked_
  std::string in_flight_;
  size_t num_written_ = 0;     // of in_flight_
  MemoryCharge reply_memory_;  // of a large whole reply
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
  void respond(HttpResponse response) override;
  void start_stream(HttpResponse head) override;
  void write(std::string_view data) override;
  void end_stream() override;
  bool stream_started() const override { return started_; }
  bool ended() const override { return ended_; }
  void on_end(std::function<void(EndCause)> callback) override;
  void post(std::function<void()> work) override;

  // For Session.
  void end(EndCause cause);
  // The reply is complete or the client gone.
  void finish();

 private:
  std::shared_ptr<Session> session_;
  HttpRequest request_;
  RequestLog log_;
  bool started_ = false;
  std::atomic<bool> ended_ = false;
  std::function<void(EndCause)> end_callback_;
};

}  // namespace pagoda
