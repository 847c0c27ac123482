// libcurl's multi interface behind FetchSession.
#include "hub/fetch_session.h"

#include <curl/curl.h>
#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <mutex>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/printable.h"

namespace pagoda {
namespace {

constexpr int kMaxRedirects = 8;
constexpr size_t kMaxHeaderBytes = size_t{256} << 10;
// Of an answer whose body nobody wants: redirects, errors.
constexpr size_t kMaxIgnoredBytes = size_t{1} << 20;
constexpr long kConnectTimeoutMs = 15'000;
// A connection on which less than a byte a second comes for this long is as good as cut.
constexpr long kStallSeconds = 30;
constexpr long kReceiveBufferBytes = 256L << 10;

struct EasyDeleter {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct ListDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
struct UrlDeleter {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using EasyHandle = std::unique_ptr<CURL, EasyDeleter>;
using HeaderList = std::unique_ptr<curl_slist, ListDeleter>;
using UrlHandle = std::unique_ptr<CURLU, UrlDeleter>;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

std::string url_part(CURLU* url, CURLUPart part) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, CURLU_DEFAULT_PORT) != CURLUE_OK) return "";
  std::string copy(text);
  curl_free(text);
  return copy;
}

// "https://host:443", or empty for what is no http or https address.
std::string origin_of(const std::string& text) {
  const UrlHandle url(curl_url());
  CHECK(url != nullptr);
  if (curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK) return "";
  const std::string scheme = lower(url_part(url.get(), CURLUPART_SCHEME));
  if (scheme != "http" && scheme != "https") return "";
  return fmt::format("{}://{}:{}", scheme, lower(url_part(url.get(), CURLUPART_HOST)),
                     url_part(url.get(), CURLUPART_PORT));
}

// Where a redirect leads; empty when it must not be followed.
std::string redirect_target(const std::string& from, std::string_view location) {
  const UrlHandle url(curl_url());
  CHECK(url != nullptr);
  if (curl_url_set(url.get(), CURLUPART_URL, from.c_str(), 0) != CURLUE_OK) return "";
  // A relative address is resolved against the one that is set; a user in it is refused.
  if (curl_url_set(url.get(), CURLUPART_URL, std::string(location).c_str(),
                   CURLU_DISALLOW_USER | CURLU_URLENCODE) != CURLUE_OK) {
    return "";
  }
  char* text = nullptr;
  if (curl_url_get(url.get(), CURLUPART_URL, &text, 0) != CURLUE_OK) return "";
  std::string target(text);
  curl_free(text);
  const std::string origin = origin_of(target);
  if (origin.empty()) return "";
  if (origin_of(from).starts_with("https:") && !origin.starts_with("https:")) return "";
  return target;
}

FetchEnd::Kind kind_of(CURLcode code) {
  switch (code) {
    case CURLE_OK: return FetchEnd::Kind::kAnswered;
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_PROXY: return FetchEnd::Kind::kUnreachable;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_URL_MALFORMAT: return FetchEnd::Kind::kRefused;
    default: return FetchEnd::Kind::kCut;
  }
}

// One request on its way through its redirects.
struct Transfer {
  FetchRequest request;
  EasyHandle easy;
  HeaderList header_list;
  FetchHead head;
  size_t header_bytes = 0;
  size_t ignored_bytes = 0;
  bool with_token = true;
  bool stopped = false;  // by a callback
  int num_redirects = 0;
  char error[CURL_ERROR_SIZE] = {};

  // The end of the headers of one answer; false ends the request.
  bool head_is_complete() {
    if (head.status < 200) return true;  // an interim answer: another follows
    if (request.on_head && !request.on_head(head)) stopped = true;
    return !stopped;
  }

  bool take_header(std::string_view line) {
    header_bytes += line.size();
    if (header_bytes > kMaxHeaderBytes) return false;
    if (line.starts_with("HTTP/")) {
      head.headers.clear();
      head.status = 0;
      const std::string_view code = trimmed(line.substr(std::min(line.find(' '), line.size())));
      std::from_chars(code.data(), code.data() + code.size(), head.status);
      return true;
    }
    const std::string_view text = trimmed(line);
    if (text.empty()) return head_is_complete();
    const size_t colon = text.find(':');
    if (colon == std::string_view::npos) return true;
    head.headers[lower(text.substr(0, colon))] = trimmed(text.substr(colon + 1));
    return true;
  }

  bool take_body(std::string_view data) {
    const bool wanted = head.status >= 200 && head.status < 300 && request.on_data;
    if (!wanted) {
      ignored_bytes += data.size();
      return ignored_bytes <= kMaxIgnoredBytes;
    }
    if (!request.on_data(data)) stopped = true;
    return !stopped;
  }
};

size_t header_callback(char* data, size_t size, size_t count, void* transfer) {
  const size_t num_bytes = size * count;
  return static_cast<Transfer*>(transfer)->take_header({data, num_bytes}) ? num_bytes : 0;
}

size_t write_callback(char* data, size_t size, size_t count, void* transfer) {
  const size_t num_bytes = size * count;
  // Anything but num_bytes ends the transfer; so it is with an empty piece, which curl does not
  // send.
  return static_cast<Transfer*>(transfer)->take_body({data, num_bytes}) ? num_bytes : num_bytes + 1;
}

void initialize_curl() {
  static std::once_flag once;
  std::call_once(once, [] { CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK); });
}

class CurlSession final : public FetchSession {
 public:
  CurlSession(const HubConfig& config, CURLM* multi)
      : config_(config), origin_(origin_of(config.endpoint)), multi_(multi) {}

  ~CurlSession() override {
    for (auto& [easy, transfer] : transfers_) curl_multi_remove_handle(multi_, easy);
    transfers_.clear();
    curl_multi_cleanup(multi_);
  }

  void start(FetchRequest request) override {
    auto transfer = std::make_unique<Transfer>();
    transfer->head.url = request.url;
    transfer->request = std::move(request);
    transfer->easy.reset(curl_easy_init());
    CHECK(transfer->easy != nullptr);
    set_up(*transfer);
    launch(std::move(transfer));
  }

  int num_running() const override { return static_cast<int>(transfers_.size()); }

  Result<void> poll(std::chrono::milliseconds timeout) override {
    int running = 0;
    CURLMcode code = curl_multi_perform(multi_, &running);
    if (code == CURLM_OK && !finish_done()) {
      code = curl_multi_poll(multi_, nullptr, 0, static_cast<int>(timeout.count()), nullptr);
      if (code == CURLM_OK) code = curl_multi_perform(multi_, &running);
      finish_done();
    }
    if (code == CURLM_OK) return {};
    return Error{ErrorCode::kInternal, fmt::format("libcurl: {}", curl_multi_strerror(code))};
  }

 private:
  template <typename Value>
  static void set(CURL* easy, CURLoption option, Value value) {
    CHECK(curl_easy_setopt(easy, option, value) == CURLE_OK);
  }

  // What stays the same for all redirects.
  void set_up(Transfer& transfer) {
    CURL* easy = transfer.easy.get();
    set(easy, CURLOPT_NOSIGNAL, 1L);
    set(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    // HTTP/2 would put all ranges of a file on one connection.
    set(easy, CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_1_1});
    set(easy, CURLOPT_FOLLOWLOCATION, 0L);
    set(easy, CURLOPT_CONNECTTIMEOUT_MS, kConnectTimeoutMs);
    set(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    set(easy, CURLOPT_LOW_SPEED_TIME, kStallSeconds);
    set(easy, CURLOPT_BUFFERSIZE, kReceiveBufferBytes);
    set(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    set(easy, CURLOPT_ERRORBUFFER, static_cast<char*>(transfer.error));
    set(easy, CURLOPT_HEADERFUNCTION, &header_callback);
    set(easy, CURLOPT_HEADERDATA, static_cast<void*>(&transfer));
    set(easy, CURLOPT_WRITEFUNCTION, &write_callback);
    set(easy, CURLOPT_WRITEDATA, static_cast<void*>(&transfer));
    set(easy, CURLOPT_NOPROXY, config_.no_proxy.c_str());
    if (transfer.request.head_only) set(easy, CURLOPT_NOBODY, 1L);
    if (!config_.ca_file.empty()) set(easy, CURLOPT_CAINFO, config_.ca_file.c_str());
    if (!config_.user_agent.empty()) set(easy, CURLOPT_USERAGENT, config_.user_agent.c_str());
  }

  // Sets the address and what depends on it, and lets it run.
  void launch(std::unique_ptr<Transfer> transfer) {
    Transfer& t = *transfer;
    CURL* easy = t.easy.get();
    FetchHead head;
    head.url = std::move(t.head.url);
    t.head = std::move(head);
    t.head.at_hub = origin_of(t.head.url) == origin_;
    t.with_token = t.with_token && t.head.at_hub;
    t.header_bytes = 0;
    t.ignored_bytes = 0;
    t.error[0] = '\0';
    set(easy, CURLOPT_URL, t.head.url.c_str());
    const bool secure = lower(t.head.url.substr(0, 6)) == "https:";
    // Never null: libcurl would look into the environment by rules of its own.
    set(easy, CURLOPT_PROXY, (secure ? config_.https_proxy : config_.http_proxy).c_str());
    HeaderList list;
    const auto add = [&list](const std::string& header) {
      curl_slist* longer = curl_slist_append(list.get(), header.c_str());
      CHECK(longer != nullptr);
      static_cast<void>(list.release());
      list.reset(longer);
    };
    add("Accept-Encoding: identity");
    for (const std::string& header : t.request.headers) add(header);
    if (t.with_token && !config_.token.empty()) add("Authorization: Bearer " + config_.token);
    set(easy, CURLOPT_HTTPHEADER, list.get());
    t.header_list = std::move(list);
    CHECK(curl_multi_add_handle(multi_, easy) == CURLM_OK);
    transfers_[easy] = std::move(transfer);
  }

  // True when at least one request has ended or gone on to another address.
  bool finish_done() {
    std::vector<std::pair<CURL*, CURLcode>> done;
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
      if (message->msg == CURLMSG_DONE)
        done.emplace_back(message->easy_handle, message->data.result);
    }
    for (const auto& [easy, code] : done) {
      curl_multi_remove_handle(multi_, easy);
      std::unique_ptr<Transfer> transfer = std::move(transfers_.at(easy));
      transfers_.erase(easy);
      finish(std::move(transfer), code);
    }
    return !done.empty();
  }

  void finish(std::unique_ptr<Transfer> transfer, CURLcode code) {
    Transfer& t = *transfer;
    FetchEnd end;
    end.kind = t.stopped ? FetchEnd::Kind::kStopped : kind_of(code);
    if (end.kind == FetchEnd::Kind::kAnswered && t.head.status < 200) {
      end.kind = FetchEnd::Kind::kCut;  // nothing but interim answers
      end.message = "no answer came";
    } else if (end.kind != FetchEnd::Kind::kAnswered && end.kind != FetchEnd::Kind::kStopped) {
      end.message = printable(t.error[0] != '\0' ? t.error : curl_easy_strerror(code));
    }
    if (end.kind == FetchEnd::Kind::kAnswered && t.head.is_redirect() && follow(transfer, end)) {
      return;
    }
    end.head = std::move(t.head);
    if (t.request.on_end) t.request.on_end(end);
  }

  // True when `transfer` has gone on to another address. Otherwise it is still the caller's.
  bool follow(std::unique_ptr<Transfer>& transfer, FetchEnd& end) {
    Transfer& t = *transfer;
    const std::string target = redirect_target(t.head.url, t.head.header("location"));
    if (t.request.head_only && !target.empty() && origin_of(target) != origin_) return false;
    if (target.empty() || ++t.num_redirects > kMaxRedirects) {
      end.kind = FetchEnd::Kind::kRefused;
      end.message = target.empty() ? fmt::format("a redirect to '{}' is not followed",
                                                 printable(t.head.header("location"), 80))
                                   : fmt::format("more than {} redirects", kMaxRedirects);
      return false;
    }
    t.head.url = target;
    launch(std::move(transfer));
    return true;
  }

  const HubConfig& config_;
  const std::string origin_;
  CURLM* const multi_;  // owned
  std::map<CURL*, std::unique_ptr<Transfer>> transfers_;
};

}  // namespace

bool FetchHead::is_redirect() const {
  return (status == 301 || status == 302 || status == 303 || status == 307 || status == 308) &&
         headers.contains("location");
}

std::string_view FetchHead::header(const std::string& name) const {
  const auto at = headers.find(name);
  return at == headers.end() ? std::string_view() : std::string_view(at->second);
}

Result<std::unique_ptr<FetchSession>> FetchSession::create(const HubConfig& config) {
  initialize_curl();
  if (origin_of(config.endpoint).empty()) {
    return invalid_argument("HF_ENDPOINT is not an http or https address");
  }
  CURLM* multi = curl_multi_init();
  CHECK(multi != nullptr);
  return std::unique_ptr<FetchSession>(std::make_unique<CurlSession>(config, multi));
}

std::string percent_encoded(std::string_view text, std::string_view kept) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       c == '-' || c == '.' || c == '_' || c == '~' ||
                       kept.find(c) != std::string_view::npos;
    if (plain) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

bool parse_content_range(std::string_view text, ContentRange& range) {
  constexpr std::string_view kUnit = "bytes ";
  if (!text.starts_with(kUnit)) return false;
  const char* at = text.data() + kUnit.size();
  const char* const end = text.data() + text.size();
  int64_t* const numbers[] = {&range.first, &range.last, &range.num_bytes};
  const char marks[] = {'-', '/', '\0'};
  for (size_t i = 0; i < 3; ++i) {
    const auto [next, error] = std::from_chars(at, end, *numbers[i]);
    if (error != std::errc() || *numbers[i] < 0) return false;
    const bool last = i == 2;
    if (last ? next != end : next == end || *next != marks[i]) return false;
    at = last ? next : next + 1;
  }
  return range.first <= range.last && range.last < range.num_bytes;
}

}  // namespace pagoda
