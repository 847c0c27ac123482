// AccessPolicy: who may ask what: keys, the Host header, origins of web pages.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "server/api_keys.h"
#include "server/http/message.h"
#include "server/server.h"

namespace pagoda {

// Immutable after construction; thread-safe.
class AccessPolicy {
 public:
  explicit AccessPolicy(const ServerConfig& config);

  // Nothing when the request carries no key of ours and one is needed.
  std::optional<Client> identify(const HttpRequest& request) const {
    return keys_.identify(request);
  }

  // Whether the Host header is one this server answers to. A page that points its own name at
  // 127.0.0.1 (DNS rebinding) is stopped here: the browser still sends that name.
  bool accepts_host(const HttpRequest& request) const;

  // Whether the request may see what operators see: it carries the admin key, or there is none, and
  // it comes from this host and not through a proxy.
  bool is_operator(const HttpRequest& request) const;

  // Whether the request comes from no page, from one of this server's own, or from an allowed
  // origin. A foreign page could not read the reply, but would have the work done.
  bool accepts_origin(const HttpRequest& request) const;

  // The headers that let a page of an allowed origin read the reply. Never credentials.
  HttpHeaders cors_headers(const HttpRequest& request) const;

 private:
  ApiKeys keys_;
  std::optional<ApiKeys> admin_key_;
  std::vector<std::string> hosts_;  // lower case; empty: any
  bool host_may_be_absent_ = true;
  std::vector<std::string> origins_;
};

// The keys of a file, one a line; blank lines and lines that begin with '#' are skipped.
// kInvalidArgument naming the file when it cannot be read or has no key.
Result<std::vector<std::string>> read_api_keys(const std::string& path);

}  // namespace pagoda
