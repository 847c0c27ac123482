// The rules of access.
#include "server/access.h"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
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

constexpr size_t kMaxKeyFileBytes = size_t{1} << 20;

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
  // What proxies add, even when it is empty.
  const bool forwarded = std::ranges::any_of(request.headers, [](const auto& header) {
    const std::string& name = header.first;
    return name.starts_with("x-forwarded") || name == "forwarded" || name == "via" ||
           name == "x-real-ip" || name == "cf-connecting-ip" || name == "true-client-ip";
  });
  return request.from_this_host && !forwarded && keys_.identify(request).has_value();
}

bool AccessPolicy::accepts_origin(const HttpRequest& request) const {
  const std::string_view origin = request.header("origin");
  if (origin.empty()) return true;
  const size_t scheme = origin.find("://");
  if (scheme != std::string_view::npos &&
      equals_ignoring_case(origin.substr(scheme + 3), request.header("host"))) {
    return true;
  }
  return std::ranges::any_of(origins_, [origin](const std::string& allowed) {
    return allowed == "*" || allowed == origin;
  });
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
  std::error_code error;
  if (std::filesystem::exists(path, error) && !std::filesystem::is_regular_file(path, error)) {
    return invalid_argument(fmt::format("api-key-file '{}': is not a regular file", path),
                            "api-key-file");
  }
  errno = 0;
  std::ifstream file(path);
  // peek() fails on a folder, which opens like a file.
  if (!file || (file.peek() == std::ifstream::traits_type::eof() && errno != 0)) {
    return invalid_argument(
        fmt::format("api-key-file '{}': {}", path, std::generic_category().message(errno)),
        "api-key-file");
  }
  std::vector<std::string> keys;
  size_t num_bytes = 0;
  for (std::string line; std::getline(file, line);) {
    num_bytes += line.size() + 1;
    if (num_bytes > kMaxKeyFileBytes) {
      return invalid_argument(
          fmt::format("api-key-file '{}': is larger than {} bytes", path, kMaxKeyFileBytes),
          "api-key-file");
    }
    // Some editors begin a file with a byte order mark.
    if (num_bytes == line.size() + 1 && line.starts_with("\xEF\xBB\xBF")) line.erase(0, 3);
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
