// FetchSession: many HTTP requests at once from one thread, by libcurl, with redirects under our
// rules.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "hub/hub_config.h"

namespace pagoda {

// Status line and headers of one answer.
struct FetchHead {
  int status = 0;       // 0: no answer came
  std::string url;      // that was asked
  bool at_hub = false;  // asked of the hub itself: no redirect has led to another server
  std::map<std::string, std::string> headers;  // names in lower case; the last of equal ones

  bool is_redirect() const;
  // The value, or empty.
  std::string_view header(const std::string& name) const;
};

// How a request ended.
struct FetchEnd {
  enum class Kind {
    kAnswered,     // with any status; the whole body came
    kStopped,      // a callback said so
    kUnreachable,  // no connection: name, address, proxy
    kCut,          // the connection broke, or nothing came for a while
    kRefused,      // TLS or a redirect that must not be followed: trying again is of no use
  };
  Kind kind = Kind::kAnswered;
  FetchHead head;
  std::string message;  // for people, unless kAnswered or kStopped; holds no header of the request
};

struct FetchRequest {
  std::string url;
  bool head_only = false;  // HEAD, which stays at the hub: a redirect elsewhere is its answer
  std::vector<std::string> headers;  // "Name: value"; sent to every server on the way
  // Called for each answer, redirects too; false ends the request. May be null.
  std::function<bool(const FetchHead&)> on_head;
  // Called with pieces of the body of the last answer; false ends the request. May be null.
  std::function<bool(std::string_view)> on_data;
  // Called once, from poll(). It may start other requests.
  std::function<void(const FetchEnd&)> on_end;
};

// One thread only. The token of the configuration goes to the hub's own scheme, host and port, and
// to no server behind a redirect, nor to the hub again after one. Redirects: at most 8, to http or
// https, never from https to http. TLS certificates are verified.
class FetchSession {
 public:
  // REQUIRES: `config` outlives the session.
  static Result<std::unique_ptr<FetchSession>> create(const HubConfig& config);
  virtual ~FetchSession() = default;  // ends what runs, without its on_end
  FetchSession(const FetchSession&) = delete;
  FetchSession& operator=(const FetchSession&) = delete;

  // The request runs while poll() is called. REQUIRES: request.url is one of the hub.
  virtual void start(FetchRequest request) = 0;
  virtual int num_running() const = 0;
  // Moves everything on and waits for something to happen, for `timeout` at most. kInternal when
  // libcurl itself fails.
  virtual Result<void> poll(std::chrono::milliseconds timeout) = 0;

 protected:
  FetchSession() = default;
};

// `text` with every byte but letters, digits, '-', '.', '_', '~' and those of `kept` as %XX.
std::string percent_encoded(std::string_view text, std::string_view kept = "");

// The first and last byte and the whole size of "bytes 0-9/100" (RFC 9110, 14.4); false for others.
struct ContentRange {
  int64_t first = 0;
  int64_t last = 0;
  int64_t num_bytes = 0;
};
bool parse_content_range(std::string_view text, ContentRange& range);

}  // namespace pagoda
