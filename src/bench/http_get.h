// http_get: one small answer of a server under test.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/result.h"

namespace pagoda {

struct HttpOptions {
  std::vector<std::string> headers;  // "Name: value"
  std::string ca_file;               // further certificate authorities; empty: the system's
  bool insecure = false;             // any certificate
  std::chrono::milliseconds timeout{5000};
};

// The body of a 200 of at most 16 MiB. Blocks; thread-safe. kUnavailable when there is no answer,
// kUnauthenticated for 401 and 403, kNotFound for 404, kInternal for any other status.
Result<std::string> http_get(const std::string& url, const HttpOptions& options);

}  // namespace pagoda
