// Asking other servers, and rows of their answers.
#include "server/monitor/replica_watch.h"

#include <curl/curl.h>
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <utility>

namespace pagoda {
namespace {

constexpr std::chrono::seconds kInterval{2};
// Nobody looks any more: two polls of a page were missed.
constexpr std::chrono::seconds kInterest{10};
constexpr long kTimeoutMs = 2000;
constexpr int kPollMs = 100;
constexpr size_t kMaxBody = size_t{4} << 20;
constexpr size_t kMaxText = 200;
constexpr size_t kMaxRayRows = 500;
constexpr const char* kNotAsked = "not asked yet";

constexpr std::array kStates{"STARTING", "UPDATING", "RECOVERING",
                             "RUNNING",  "STOPPING", "UNHEALTHY"};
constexpr std::array kTexts{"model", "version"};
constexpr std::array kNumbers{
    "pid",        "uptime_s", "running",        "waiting", "generation_tokens_per_s",
    "ttft_p99_s", "kv_usage", "prefix_hit_rate"};

Json text_of(const Json& from, const char* name) {
  const auto found = from.find(name);
  if (found == from.end() || !found->is_string()) return {};
  return found->get_ref<const std::string&>().substr(0, kMaxText);
}

Json number_of(const Json& from, const char* name) {
  const auto found = from.find(name);
  return found != from.end() && found->is_number() ? *found : Json();
}

// Ray's words only: others are of a version that is not known here.
std::string state_of(const Json& from) {
  const Json state = text_of(from, "state");
  const bool known =
      state.is_string() && std::ranges::find(kStates, state.get<std::string>()) != kStates.end();
  return known ? state.get<std::string>() : "UNHEALTHY";
}

Json empty_row(const std::string& id) {
  Json row = Json::object();
  row["id"] = id;
  row["state"] = "UNHEALTHY";
  row["address"] = id;
  for (const char* name : kTexts) row[name] = Json();
  for (const char* name : kNumbers) row[name] = Json();
  row["last_seen_s"] = Json();
  row["error"] = Json();
  return row;
}

Result<Json> parse_answer(std::string_view body) {
  ASSIGN_OR_RETURN(Json json, parse_json(body, {.max_depth = 32, .max_bytes = kMaxBody}));
  if (!json.is_object()) return invalid_argument("the answer is no JSON object");
  return json;
}

// The member if it is an object, else an empty one.
const Json& object_of(const Json& from, const char* name) {
  static const Json kNone = Json::object();
  const auto found = from.find(name);
  return found != from.end() && found->is_object() ? *found : kNone;
}

void add_ray_replica(const Json& replica, const std::string& application, std::vector<Json>& rows) {
  if (!replica.is_object()) return;
  const Json id = text_of(replica, "replica_id");
  Json row =
      empty_row(fmt::format("{}/{}", application, id.is_string() ? id.get<std::string>() : "?"));
  row["state"] = state_of(replica);
  const Json address = text_of(replica, "node_ip");
  if (address.is_string()) row["address"] = address;
  row["pid"] = number_of(replica, "pid");
  row["model"] = application.substr(0, kMaxText);
  const Json started = number_of(replica, "start_time_s");
  if (started.is_number()) {
    const double now =
        std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
    row["uptime_s"] = std::max(0.0, now - started.get<double>());
  }
  rows.push_back(std::move(row));
}

size_t take_body(char* bytes, size_t size, size_t count, void* body) {
  std::string& text = *static_cast<std::string*>(body);
  if (text.size() + size * count > kMaxBody) return 0;
  text.append(bytes, size * count);
  return size * count;
}

// One GET, on its way from construction until remove_from().
class Fetch {
 public:
  Fetch(const std::string& url, const std::string& api_key, CURLM* multi)
      : easy_(curl_easy_init(), curl_easy_cleanup), headers_(nullptr, curl_slist_free_all) {
    if (easy_ == nullptr) return;
    if (!api_key.empty()) {
      headers_.reset(
          curl_slist_append(nullptr, fmt::format("Authorization: Bearer {}", api_key).c_str()));
    }
    CURL* easy = easy_.get();
    curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, kTimeoutMs);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers_.get());
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &body_);
    curl_multi_add_handle(multi, easy);
  }

  CURL* handle() const { return easy_.get(); }
  void end(CURLcode code) { code_ = code; }
  void remove_from(CURLM* multi) {
    if (easy_ != nullptr) curl_multi_remove_handle(multi, easy_.get());
  }

  Result<std::string> body() const {
    if (code_ != CURLE_OK) return Error{ErrorCode::kUnavailable, curl_easy_strerror(code_)};
    long status = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
    if (status != 200) return Error{ErrorCode::kUnavailable, fmt::format("status {}", status)};
    return body_;
  }

 private:
  std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> easy_;
  std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> headers_;
  std::string body_;
  CURLcode code_ = CURLE_OPERATION_TIMEDOUT;
};

// "http://host:8000/" -> "host:8000".
std::string host_of(const std::string& url) {
  std::string host = url.substr(std::min(url.find("://") + 3, url.size()));
  while (host.ends_with('/')) host.pop_back();
  return host;
}

std::string joined(std::string url, std::string_view path) {
  while (url.ends_with('/')) url.pop_back();
  return url.append(path);
}

}  // namespace

Result<Json> peer_row(std::string_view body) {
  ASSIGN_OR_RETURN(const Json json, parse_answer(body));
  const auto rows = json.find("replicas");
  if (rows == json.end() || !rows->is_array() || rows->empty() || !rows->front().is_object()) {
    return invalid_argument("the answer has no row of a server");
  }
  const Json& from = rows->front();
  Json row = empty_row("");
  row["state"] = state_of(from);
  for (const char* name : kTexts) row[name] = text_of(from, name);
  for (const char* name : kNumbers) row[name] = number_of(from, name);
  return row;
}

Result<std::vector<Json>> ray_rows(std::string_view body) {
  ASSIGN_OR_RETURN(const Json json, parse_answer(body));
  std::vector<Json> rows;
  for (const auto& [application, details] : object_of(json, "applications").items()) {
    if (!details.is_object()) continue;
    for (const auto& [name, deployment] : object_of(details, "deployments").items()) {
      const auto replicas = deployment.is_object() ? deployment.find("replicas") : deployment.end();
      if (replicas == deployment.end() || !replicas->is_array()) continue;
      for (const Json& replica : *replicas) {
        if (rows.size() < kMaxRayRows) add_ray_replica(replica, application, rows);
      }
    }
  }
  return rows;
}

struct ReplicaWatch::Impl {
  // One address that is asked, and what it last said.
  struct Source {
    std::string name;
    std::string url;
    std::string api_key;
    bool is_ray = false;
    std::vector<Json> rows = {};
    std::optional<TimePoint> seen = {};
    std::string error = kNotAsked;
  };

  explicit Impl(ReplicaSources from) {
    for (const std::string& peer : from.peers) {
      sources.push_back({.name = host_of(peer),
                         .url = joined(peer, "/dashboard/api/replicas"),
                         .api_key = from.peer_api_key});
    }
    if (!from.ray_dashboard.empty()) {
      sources.push_back({.name = host_of(from.ray_dashboard),
                         .url = joined(from.ray_dashboard, "/api/serve/applications/"),
                         .api_key = "",
                         .is_ray = true});
    }
    thread = std::thread([this] { run(); });
  }

  void run() {
    std::unique_lock lock(mutex);
    while (true) {
      wake.wait(lock, [this] { return stopping || real_clock().now() < wanted_until; });
      if (stopping) return;
      lock.unlock();
      ask_all();
      lock.lock();
      wake.wait_for(lock, kInterval, [this] { return stopping; });
    }
  }

  bool is_stopping() {
    const std::lock_guard lock(mutex);
    return stopping;
  }

  void ask_all() {
    const std::unique_ptr<CURLM, decltype(&curl_multi_cleanup)> multi(curl_multi_init(),
                                                                      curl_multi_cleanup);
    if (multi == nullptr) return;
    // Addresses and keys do not change, so they are read without the lock.
    std::vector<std::unique_ptr<Fetch>> fetches;
    for (const Source& source : sources) {
      fetches.push_back(std::make_unique<Fetch>(source.url, source.api_key, multi.get()));
    }
    for (int num_open = 1; num_open > 0 && !is_stopping();) {
      if (curl_multi_perform(multi.get(), &num_open) != CURLM_OK) break;
      if (num_open > 0) curl_multi_poll(multi.get(), nullptr, 0, kPollMs, nullptr);
    }
    int num_left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi.get(), &num_left)) {
      if (message->msg != CURLMSG_DONE) continue;
      const auto done = std::ranges::find(fetches, message->easy_handle, &Fetch::handle);
      if (done != fetches.end()) (*done)->end(message->data.result);
    }
    for (size_t i = 0; i < sources.size(); ++i) {
      fetches[i]->remove_from(multi.get());
      take(sources[i], fetches[i]->body());
    }
  }

  void take(Source& source, const Result<std::string>& body) {
    Result<std::vector<Json>> rows = body.ok() ? rows_of(source, *body) : body.error();
    const std::lock_guard lock(mutex);
    source.error = rows.ok() ? "" : rows.error().message;
    if (!rows.ok()) return;
    source.rows = std::move(rows).value();
    source.seen = real_clock().now();
  }

  static Result<std::vector<Json>> rows_of(const Source& source, std::string_view body) {
    if (source.is_ray) return ray_rows(body);
    ASSIGN_OR_RETURN(Json row, peer_row(body));
    row["id"] = row["address"] = source.name;
    return std::vector<Json>{std::move(row)};
  }

  std::vector<Source> sources;  // their rows, seen and error guarded by mutex
  std::mutex mutex;
  std::condition_variable wake;
  TimePoint wanted_until{};  // guarded by mutex
  bool stopping = false;     // guarded by mutex
  std::thread thread;        // last: the others exist when it starts
};

ReplicaWatch::ReplicaWatch(ReplicaSources sources)
    : impl_(std::make_unique<Impl>(std::move(sources))) {
}

ReplicaWatch::~ReplicaWatch() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->wake.notify_all();
  impl_->thread.join();
}

std::vector<Json> ReplicaWatch::rows(TimePoint now) {
  std::vector<Json> all;
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->wanted_until = now + kInterest;
    for (const Impl::Source& source : impl_->sources) {
      std::vector<Json> rows = source.rows;
      if (rows.empty() && !source.error.empty()) rows.push_back(empty_row(source.name));
      for (Json& row : rows) {
        if (source.seen) row["last_seen_s"] = std::max(0.0, seconds_between(*source.seen, now));
        if (source.error.empty()) continue;
        row["state"] = source.error == kNotAsked ? Json() : Json("UNHEALTHY");
        row["error"] = source.error;
      }
      std::ranges::move(rows, std::back_inserter(all));
    }
  }
  impl_->wake.notify_all();
  return all;
}

}  // namespace pagoda
