// libcurl's easy interface.
#include "bench/http_get.h"

#include <curl/curl.h>
#include <fmt/core.h>

#include <array>
#include <memory>

#include "bench/curl_setup.h"

namespace pagoda {
namespace {

constexpr size_t kMaxBytes = size_t{16} << 20;

size_t on_bytes(char* data, size_t, size_t size, void* user) {
  auto& body = *static_cast<std::string*>(user);
  if (body.size() + size > kMaxBytes) return 0;
  body.append(data, size);
  return size;
}

}  // namespace

Result<std::string> http_get(const std::string& url, const HttpOptions& options) {
  const CurlHandle easy = new_curl_handle(options.ca_file, options.insecure);
  std::unique_ptr<curl_slist, CurlListDeleter> headers;
  for (const std::string& header : options.headers) {
    headers.reset(curl_slist_append(headers.release(), header.c_str()));
  }
  std::string body;
  std::array<char, CURL_ERROR_SIZE> message{};
  curl_easy_setopt(easy.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(easy.get(), CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(easy.get(), CURLOPT_WRITEFUNCTION, &on_bytes);
  curl_easy_setopt(easy.get(), CURLOPT_WRITEDATA, &body);
  curl_easy_setopt(easy.get(), CURLOPT_ERRORBUFFER, message.data());
  curl_easy_setopt(easy.get(), CURLOPT_TIMEOUT_MS, static_cast<long>(options.timeout.count()));
  const CURLcode code = curl_easy_perform(easy.get());
  long status = 0;
  curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &status);
  if (code != CURLE_OK) {
    return Error{
        ErrorCode::kUnavailable,
        fmt::format("{}: {}", url,
                    code == CURLE_WRITE_ERROR ? "the answer is over 16 MiB"
                                              : curl_error_text(easy.get(), code, message.data()))};
  }
  if (status == 200) return body;
  const ErrorCode kind = status == 401 || status == 403 ? ErrorCode::kUnauthenticated
                         : status == 404                ? ErrorCode::kNotFound
                                                        : ErrorCode::kInternal;
  return Error{kind, fmt::format("{}: HTTP status {}", url, status)};
}

}  // namespace pagoda
