// Once for the process, and once for each handle.
#include "bench/curl_setup.h"

#include <fmt/core.h>

#include <cerrno>
#include <mutex>
#include <system_error>

#include "base/check.h"

namespace pagoda {

void init_curl() {
  static std::once_flag once;
  std::call_once(once, [] { CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK); });
}

CurlHandle new_curl_handle(const std::string& ca_file, bool insecure) {
  init_curl();
  CurlHandle easy(curl_easy_init());
  CHECK(easy != nullptr);
  curl_easy_setopt(easy.get(), CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy.get(), CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(easy.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy.get(), CURLOPT_USERAGENT, "pagoda-bench");
  if (!ca_file.empty()) curl_easy_setopt(easy.get(), CURLOPT_CAINFO, ca_file.c_str());
  if (insecure) {
    curl_easy_setopt(easy.get(), CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(easy.get(), CURLOPT_SSL_VERIFYHOST, 0L);
  }
  return easy;
}

std::string curl_error_text(CURL* easy, CURLcode code, const char* buffer) {
  // It has no other code for this, and its own words are "Out of memory".
  if (code == CURLE_OUT_OF_MEMORY) {
    return "a header of the answer is over 100 KiB, more than libcurl takes (or there is no "
           "memory)";
  }
  const std::string text = buffer[0] != '\0' ? buffer : curl_easy_strerror(code);
  long system_error = 0;
  curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &system_error);
  if (code != CURLE_COULDNT_CONNECT || system_error == 0) return text;
  const char* hint = system_error == EADDRNOTAVAIL
                         ? ": no local port is left for a further connection to this address"
                     : system_error == EMFILE ? ": see ulimit -n"
                                              : "";
  return fmt::format("{} ({}{})", text,
                     std::generic_category().message(static_cast<int>(system_error)), hint);
}

}  // namespace pagoda
