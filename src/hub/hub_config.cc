// Reads the variables of the hub.
#include "hub/hub_config.h"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "hub/model_ref.h"

namespace pagoda {
namespace {

using Variables = std::function<std::optional<std::string>(std::string_view)>;

constexpr size_t kMaxTokenBytes = 4096;

std::string upper(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

std::string trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1));
}

bool is_true(const std::optional<std::string>& value) {
  const std::string text = upper(value.value_or(""));
  return text == "1" || text == "ON" || text == "YES" || text == "TRUE";
}

// A variable of curl's: in small letters or capitals.
std::string either(const Variables& variable, const std::string& lower) {
  if (const auto value = variable(lower)) return *value;
  return variable(upper(lower)).value_or("");
}

// `~` as shells and Hugging Face's tools understand it.
Result<std::string> expanded(const Variables& variable, const std::string& path,
                             const std::string& name) {
  std::string full = path;
  if (path == "~" || path.starts_with("~/")) {
    const auto home = variable("HOME");
    if (!home) return invalid_argument(name + " begins with ~ and HOME is not set");
    full = *home + path.substr(1);
  }
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(full, error);
  if (error) return invalid_argument(fmt::format("{}: {}", name, error.message()));
  return absolute.lexically_normal().string();
}

Result<std::string> home_of_hugging_face(const Variables& variable) {
  if (const auto home = variable("HF_HOME")) return expanded(variable, *home, "HF_HOME");
  if (const auto cache = variable("XDG_CACHE_HOME")) {
    return expanded(variable, *cache + "/huggingface", "XDG_CACHE_HOME");
  }
  if (!variable("HOME")) {
    return invalid_argument("no folder for models: set HF_HUB_CACHE, HF_HOME or HOME");
  }
  return expanded(variable, "~/.cache/huggingface", "HOME");
}

Result<std::string> read_token(const Variables& variable, const std::string& home) {
  std::string token;
  std::string source = "HF_TOKEN";
  if (const auto value = variable("HF_TOKEN")) {
    token = trimmed(*value);
  } else {
    ASSIGN_OR_RETURN(source, expanded(variable, variable("HF_TOKEN_PATH").value_or(home + "/token"),
                                      "HF_TOKEN_PATH"));
    std::ifstream file(source, std::ios::binary);
    std::string text(kMaxTokenBytes + 2, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    token = trimmed(std::string_view(text).substr(0, static_cast<size_t>(file.gcount())));
  }
  // It becomes a header: a line break in it would be a header of somebody else's choice.
  const bool sendable = token.size() <= kMaxTokenBytes &&
                        std::ranges::all_of(token, [](char c) { return c > 0x20 && c < 0x7F; });
  if (!sendable) {
    return invalid_argument(source + " holds no token: there are characters that cannot be sent");
  }
  return token;
}

Result<std::string> read_endpoint(const Variables& variable, const std::string& standard) {
  std::string endpoint = trimmed(variable("HF_ENDPOINT").value_or(standard));
  while (endpoint.ends_with('/')) endpoint.pop_back();
  const std::string scheme = upper(endpoint.substr(0, endpoint.find("://")));
  const bool good = (scheme == "HTTP" || scheme == "HTTPS") &&
                    endpoint.find_first_of("@?# \t\r\n\\") == std::string::npos &&
                    endpoint.size() > scheme.size() + 3;
  if (good) return endpoint;
  return invalid_argument(
      "HF_ENDPOINT is not an address such as https://huggingface.co (http or https, no user, no "
      "query)");
}

}  // namespace

Result<HubConfig> read_hub_config(const Variables& variable) {
  HubConfig config;
  ASSIGN_OR_RETURN(config.endpoint, read_endpoint(variable, config.endpoint));
  std::string home;
  if (const auto cache = variable("HF_HUB_CACHE")) {
    ASSIGN_OR_RETURN(config.cache_dir, expanded(variable, *cache, "HF_HUB_CACHE"));
    const auto found = home_of_hugging_face(variable);
    if (found.ok()) home = *found;
  } else {
    ASSIGN_OR_RETURN(home, home_of_hugging_face(variable));
    config.cache_dir = (std::filesystem::path(home) / "hub").string();
  }
  ASSIGN_OR_RETURN(config.token, read_token(variable, home));
  config.offline = is_true(variable("HF_HUB_OFFLINE"));
  const std::string any = either(variable, "all_proxy");
  config.http_proxy = either(variable, "http_proxy");
  config.https_proxy = either(variable, "https_proxy");
  if (config.http_proxy.empty()) config.http_proxy = any;
  if (config.https_proxy.empty()) config.https_proxy = any;
  config.no_proxy = either(variable, "no_proxy");
  config.ca_file = variable("SSL_CERT_FILE").value_or("");
  return config;
}

}  // namespace pagoda
