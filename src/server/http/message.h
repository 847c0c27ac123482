// HttpRequest and HttpResponse: one message each way, as plain data.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "server/http/memory_budget.h"

namespace pagoda {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

// One request as read from the client: everything in it is untrusted. Move-only.
struct HttpRequest {
  std::string method;   // as sent: "GET"
  std::string path;     // target up to '?', not percent-decoded; without scheme and host
  std::string query;    // behind '?', may be empty
  HttpHeaders headers;  // names in lower case
  std::string body;
  MemoryCharge body_memory;  // what `body` takes; who moves the body out moves this with it
  std::string id;            // the client's X-Request-Id where it is well formed, else drawn here
  TimePoint received{};      // when the last byte was read
  bool from_this_host = false;  // over loopback or a Unix socket; by a proxy there it may be anyone

  // Value of the first header with this (lower-case) name; empty when there is none.
  std::string_view header(std::string_view name) const;
};

// One response, or the head of a stream (`body` is then the first data). Value type.
struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::string body = {};
  HttpHeaders headers = {};
};

// "Not Found" for 404; "Unknown" for a status this server does not use.
std::string_view reason_phrase(int status);

// Whether `text` has the form of a request id that is safe to echo and to log: 1 to 128 characters
// of [A-Za-z0-9._-].
bool is_valid_request_id(std::string_view text);

// 32 hexadecimal digits from the system's random source.
std::string draw_request_id();

// Decodes %XX. False when an escape is malformed or gives a NUL.
bool percent_decode(std::string_view text, std::string& out);

// The value of one name in a list such as "keep-alive, Upgrade", any case.
bool equals_ignoring_case(std::string_view a, std::string_view b);

}  // namespace pagoda
