// HttpExchange and HttpService: what a connection offers its handler, and what it asks of it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "server/http/message.h"

namespace pagoda {

// What the one log line of a request says beyond the request itself. Filled by the handler.
struct RequestLog {
  std::string route;  // pattern of the route, the metric label; "unmatched" when there is none
  std::string model;  // empty: not a generation, and the fields below are unset
  bool stream = false;
  int32_t num_choices = 0;
  int32_t num_prompt_tokens = 0;
  int32_t num_cached_tokens = 0;
  int32_t num_output_tokens = 0;
  double ttft_s = 0;  // from the whole request to its first token; 0: none came
  std::string finish_reason;
};

// Why an exchange ends before its handler has ended it.
enum class EndCause {
  kClientGone,  // nothing can be sent any more
  kShutdown,    // the server stops: a last message may still be sent, now
};

// One request and its reply. Held by shared_ptr by its connection and its handler. All methods are
// for the connection's I/O thread, except post(). Once the reply is complete or the client is gone,
// every call is without effect.
class HttpExchange {
 public:
  virtual ~HttpExchange() = default;
  virtual HttpRequest& request() = 0;
  virtual RequestLog& log() = 0;

  // The whole reply. Once, and not with start_stream().
  virtual void respond(HttpResponse response) = 0;

  // Or a stream: head, then data in any pieces, then the end. What is written while an earlier
  // write is under way goes out together. A client that does not read in time loses the connection.
  virtual void start_stream(HttpResponse head) = 0;
  virtual void write(std::string_view data) = 0;
  virtual void end_stream() = 0;
  virtual bool stream_started() const = 0;

  // Whether the reply is complete or the client gone. Thread-safe: work for nobody can be dropped.
  virtual bool ended() const = 0;

  // `callback` runs at most once, on the I/O thread, when the exchange ends early. It is dropped
  // when the reply is complete.
  virtual void on_end(std::function<void(EndCause)> callback) = 0;

  // Runs `work` on the connection's I/O thread, in the order posted. Thread-safe. Dropped when the
  // thread has stopped. An exception in `work` ends the exchange with 500.
  virtual void post(std::function<void()> work) = 0;
};

// Why a connection answers a request itself.
struct ProtocolError {
  int status = 400;
  std::string_view reason;  // a label of the metric: "slow", "body_size", "malformed", ...
  std::string message;      // for the client
};

// What connections do with requests. Thread-safe: called from every I/O thread. Must outlive them.
class HttpService {
 public:
  virtual ~HttpService() = default;
  // Called with an empty body as soon as the head is read; a response refuses the request before
  // its body is.
  virtual std::optional<HttpResponse> check_head(const HttpRequest& request) = 0;
  // Answers now or later, through the exchange.
  virtual void handle(std::shared_ptr<HttpExchange> exchange) = 0;
  // Headers that every reply to this request carries (CORS).
  virtual HttpHeaders common_headers(const HttpRequest& request) = 0;
  // The reply to something that is not HTTP, too large, too slow or more than there is room for.
  virtual HttpResponse protocol_error(const ProtocolError& error) = 0;
  // A connection ended before any request: `reason` is a label ("tls_handshake").
  virtual void connection_refused(std::string_view reason) = 0;
  // Called once for each request after handle(), when its reply is written or its client is gone
  // (`status` is 499 when that was before any reply).
  virtual void completed(const HttpRequest& request, const RequestLog& log, int status) = 0;
};

}  // namespace pagoda
