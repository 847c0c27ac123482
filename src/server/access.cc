// The rules of access.
#include "server/access.h"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <system_error>

#include "server/http/listener.h"

namespace pagoda {
namespace {

// A host in lower case, without its port and without the dot that may end a full name.
std::string host_name(std::string_view host) {
  const size_t colon = host.rfind(':');
  const bool in_brackets =
      colon != std::string_view::npos && host.find(']', colon) != std::string_view::npos;
  if (colon != std::string_view::npos && !in_brackets) host = host.substr(0, colon);
  if (host.ends_with('.')) host.remove_suffix(1);
  std::string name(host);
  for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return name;
}

std::string in_header(const std::string& address) {
  return std::ranges::count(address, ':') > 1 && !address.starts_with('[') ? "[" + address + "]"
                                                                           : address;
}

}  // namespace

AccessPolicy::AccessPolicy(const ServerConfig& config)
    : keys_(config.api_keys), origins_(config.allowed_origins) {
  if (!config.admin_key.empty()) admin_key_.emplace(std::vector<std::string>{config.admin_key});
  const bool any = std::ranges::find(config.allowed_hosts, "*") != config.allowed_hosts.end();
  if (any) return;
  for (const std::string& host : config.allowed_hosts) hosts_.push_back(host_name(in_header(host)));
  host_may_be_absent_ = hosts_.empty();
  if (hosts_.empty() && config.uds_path.empty() && is_loopback_host(config.host)) {
    hosts_ = {"localhost", "127.0.0.1", "[::1]", host_name(in_header(config.host))};
  }
}

bool AccessPolicy::accepts_host(const HttpRequest& request) const {
  if (hosts_.empty()) return true;
  const std::string_view host = request.header("host");
  // Browsers always send one; HTTP/1.0 programs need not.
  if (host.empty() && host_may_be_absent_) return true;
  return std::ranges::find(hosts_, host_name(host)) != hosts_.end();
}

bool AccessPolicy::is_operator(const HttpRequest& request) const {
  if (admin_key_.has_value()) return admin_key_->identify(request).has_value();
  const bool forwarded =
      !request.header("x-forwarded-for").empty() || !request.header("forwarded").empty();
  return request.from_this_host && !forwarded && keys_.identify(request).has_value();
}

HttpHeaders AccessPolicy::cors_headers(const HttpRequest& request) const {
  if (origins_.empty()) return {};
  const std::string_view origin = request.header("origin");
  const bool any = std::ranges::find(origins_, "*") != origins_.end();
  HttpHeaders headers = {{"Vary", "Origin"}};
  if (origin.empty() || (!any && std::ranges::find(origins_, origin) == origins_.end())) {
    return headers;
  }
  headers.emplace_back("Access-Control-Allow-Origin", any ? "*" : std::string(origin));
  headers.emplace_back("Access-Control-Expose-Headers", "X-Request-Id, Retry-After");
  return headers;
}

Result<std::vector<std::string>> read_api_keys(const std::string& path) {
  errno = 0;
  std::ifstream file(path);
  // peek() fails on a folder, which opens like a file.
  if (!file || (file.peek() == std::ifstream::traits_type::eof() && errno != 0)) {
    return invalid_argument(
        fmt::format("api-key-file '{}': {}", path, std::generic_category().message(errno)),
        "api-key-file");
  }
  std::vector<std::string> keys;
  for (std::string line; std::getline(file, line);) {
    const size_t begin = line.find_first_not_of(" \t\r");
    if (begin == std::string::npos || line[begin] == '#') continue;
    keys.push_back(line.substr(begin, line.find_last_not_of(" \t\r") - begin + 1));
  }
  if (keys.empty()) {
    return invalid_argument(fmt::format("api-key-file '{}': has no key", path), "api-key-file");
  }
  return keys;
}

}  // namespace pagoda
