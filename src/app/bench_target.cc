// Addresses, keys, signals.
#include "app/bench_target.h"

#include <fmt/core.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string_view>

#include "app/model_files.h"
#include "app/model_source.h"
#include "base/env.h"
#include "base/printable.h"
#include "bench/terminal.h"

namespace pagoda {
namespace {

// More than servers take; and libcurl says "Out of memory" of what it cannot send.
constexpr size_t kMaxHeaderBytes = size_t{64} << 10;

std::atomic<bool> stop_asked = false;

void on_signal(int) {
  // A second one ends the process as it would without a handler.
  if (stop_asked.exchange(true)) std::_Exit(130);
}

std::vector<std::string> split(std::string_view text, char at) {
  std::vector<std::string> out;
  while (true) {
    const size_t end = std::min(text.find(at), text.size());
    if (end > 0) out.emplace_back(text.substr(0, end));
    if (end == text.size()) return out;
    text.remove_prefix(end + 1);
  }
}

// Without a slash at the end, and with "/v1" where no path was given.
Result<std::string> checked_base_url(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  const size_t scheme = url.find("://");
  const std::string_view name = std::string_view(url).substr(0, std::min(scheme, url.size()));
  if (scheme == std::string::npos || (name != "http" && name != "https") ||
      url.size() == scheme + 3) {
    return invalid_argument(
        fmt::format("base-url: '{:.200}' is no http or https address such as "
                    "http://127.0.0.1:8000/v1",
                    url));
  }
  const size_t path = url.find('/', scheme + 3);
  if (std::string_view(url).substr(0, path).find('@') != std::string_view::npos) {
    return invalid_argument(
        "base-url: holds a user or a password, which would stand in every report; give --api-key "
        "or --header");
  }
  if (path == std::string::npos) url += "/v1";
  return url;
}

Result<std::vector<std::string>> headers_of(const BenchTarget& target) {
  std::vector<std::string> headers = target.headers;
  const std::string key =
      !target.api_key.empty() ? target.api_key : env_value("OPENAI_API_KEY").value_or("");
  if (!key.empty()) headers.push_back("Authorization: Bearer " + key);
  for (const std::string& header : headers) {
    const bool bad = std::any_of(header.begin(), header.end(), [](char c) {
      return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    });
    if (bad || header.find(':') == std::string::npos) {
      return invalid_argument("header: is not 'Name: value' of printable characters");
    }
    if (header.size() > kMaxHeaderBytes) {
      return invalid_argument(fmt::format("header: '{}' has {} bytes, over the limit of {}",
                                          printable(header.substr(0, header.find(':')), 40),
                                          header.size(), kMaxHeaderBytes));
    }
  }
  return headers;
}

// The first name in the answer of GET /models. kUnavailable says what the answer is instead.
Result<std::string> first_model(const std::string& text) {
  const auto what = [&](const char* is) {
    return Error{ErrorCode::kUnavailable, fmt::format("{}: '{}'", is, printable(text, 100))};
  };
  const auto json = parse_json(text);
  if (!json.ok()) return what("answers no JSON");
  if (!json->is_object() || !json->contains("data") || !(*json)["data"].is_array()) {
    return what("answers no list of models, which is an object with an array \"data\"");
  }
  const Json& data = (*json)["data"];
  if (data.empty()) return Error{ErrorCode::kUnavailable, "lists no model"};
  if (!data[0].is_object() || !data[0].contains("id") || !data[0]["id"].is_string()) {
    return what("lists a model without an \"id\"");
  }
  const auto name = data[0]["id"].get<std::string>();
  if (name.empty() || printable(name, std::string::npos) != name) {
    return what("lists a model whose name cannot be printed");
  }
  return name;
}

// What to call the model when nobody said so.
Result<std::string> ask_for_model(const std::string& url, const Result<std::string>& models) {
  auto name = models.ok() ? first_model(*models) : models;
  if (name.ok()) return name;
  // An error of http_get() begins with the address.
  const std::string reason =
      models.ok() ? fmt::format("{} {}", url, name.error().message) : name.error().message;
  return Error{ErrorCode::kUnavailable,
               fmt::format("model: the server does not say what it has: {}; give --model", reason)};
}

}  // namespace

HttpOptions http_options(const LoadPlan& plan) {
  return {.headers = plan.headers, .ca_file = plan.ca_file, .insecure = plan.insecure};
}

std::string metrics_url(const std::string& base_url) {
  const size_t host = base_url.find("://") + 3;
  return base_url.substr(0, base_url.find('/', host)) + "/metrics";
}

Result<LoadPlan> plan_for(const BenchTarget& target) {
  LoadPlan plan;
  const std::string urls = !target.base_url.empty()
                               ? target.base_url
                               : env_value("OPENAI_API_BASE").value_or("http://127.0.0.1:8000/v1");
  for (const std::string& url : split(urls, ';')) {
    ASSIGN_OR_RETURN(std::string base, checked_base_url(url));
    plan.base_urls.push_back(std::move(base));
  }
  if (plan.base_urls.empty()) return invalid_argument("base-url: is empty");
  ASSIGN_OR_RETURN(plan.headers, headers_of(target));
  auto extra = parse_json(target.extra_body);
  if (!extra.ok() || !extra->is_object()) {
    return invalid_argument(
        fmt::format("extra-body: is no JSON object: '{:.200}'", target.extra_body));
  }
  plan.extra = std::move(extra).value();
  if (!(target.request_timeout_s > 0.0 && target.request_timeout_s <= 1e6)) {
    return invalid_argument(
        fmt::format("request-timeout: {} s is outside 0 to 1000000", target.request_timeout_s));
  }
  plan.timeout = std::chrono::milliseconds(std::llround(target.request_timeout_s * 1e3));
  plan.ca_file = target.ca_file;
  plan.insecure = target.insecure;
  plan.model = target.model;
  const std::string url = plan.base_urls[0] + "/models";
  const auto models = http_get(url, http_options(plan));
  if (!models.ok()) {
    const ErrorCode code = models.error().code;
    if (code == ErrorCode::kUnavailable || code == ErrorCode::kUnauthenticated) {
      return models.error();
    }
  }
  if (plan.model.empty()) {
    ASSIGN_OR_RETURN(plan.model, ask_for_model(url, models));
  }
  return plan;
}

Result<std::vector<std::pair<std::string, std::string>>> parse_metadata(const std::string& text) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const std::string& item : split(text, ',')) {
    const size_t equals = item.find('=');
    if (equals == std::string::npos) {
      return invalid_argument(fmt::format("metadata: '{:.100}' is not KEY=VALUE", item));
    }
    out.emplace_back(item.substr(0, equals), item.substr(equals + 1));
  }
  return out;
}

Result<std::shared_ptr<const Tokenizer>> open_tokenizer(const std::string& model) {
  if (model.empty()) return std::shared_ptr<const Tokenizer>();
  ASSIGN_OR_RETURN(const ModelSource source, resolve_tokenizer(model));
  return read_model_tokenizer(source.path);
}

LoadSession::LoadSession() {
  stop_asked = false;
  struct sigaction action {};
  action.sa_handler = on_signal;  // without SA_RESTART: the wait for events must end
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
}

LoadSession::~LoadSession() {
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

const std::atomic<bool>& LoadSession::stop() const {
  return stop_asked;
}

LoadHooks LoadSession::hooks(const LoadPlan& plan) const {
  LoadHooks hooks;
  hooks.stop = &stop_asked;
  if (isatty(STDERR_FILENO) == 1) {
    hooks.progress = [&plan](const LoadProgress& progress) {
      std::fprintf(stderr, "\r%-79s", progress_text(progress, plan).c_str());
    };
  }
  return hooks;
}

void LoadSession::end_progress() const {
  if (isatty(STDERR_FILENO) == 1) std::fprintf(stderr, "\r%-79s\r", "");
}

void count_output_tokens(LoadResult& result, const Tokenizer* tokenizer) {
  for (RequestRecord& record : result.records) {
    if (record.cause != FailureCause::kNone) continue;
    record.output_tokens = record.usage_output_tokens;
    if (record.output_tokens > 0) continue;
    record.output_tokens = static_cast<int64_t>(record.piece_ns.size());
    if (tokenizer == nullptr) continue;
    const auto ids =
        tokenizer->encode(record.reasoning + record.content,
                          {.add_special_tokens = false, .parse_special_tokens = false});
    if (ids.ok()) record.output_tokens = static_cast<int64_t>(ids->size());
  }
}

Result<void> check_writable(const std::string& path) {
  if (path.empty()) return {};
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (!folder.empty()) std::filesystem::create_directories(folder, error);
  if (std::filesystem::exists(path, error) && !std::filesystem::is_regular_file(path, error)) {
    return invalid_argument(fmt::format("{}: is no file", path));
  }
  if (!std::ofstream(path, std::ios::binary | std::ios::app)) {
    return invalid_argument(fmt::format("{}: cannot be written: {}", path, std::strerror(errno)));
  }
  return {};
}

Result<void> check_folder(const std::string& path) {
  if (path.empty()) return {};
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return invalid_argument(fmt::format("{}: {}", path, error.message()));
  if (access(path.c_str(), W_OK | X_OK) == 0) return {};
  return invalid_argument(fmt::format("{}: cannot be written: {}", path, std::strerror(errno)));
}

Result<void> write_text_file(const std::string& path, const std::string& text) {
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (!folder.empty()) std::filesystem::create_directories(folder, error);
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  if (!out) {
    return Error{ErrorCode::kInternal,
                 fmt::format("{}: cannot be written: {}", path, std::strerror(errno))};
  }
  return {};
}

}  // namespace pagoda
