// What all requests of the benchmark have in common at libcurl.
#pragma once

#include <curl/curl.h>

#include <memory>
#include <string>

namespace pagoda {

struct CurlDeleter {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct CurlListDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using CurlHandle = std::unique_ptr<CURL, CurlDeleter>;

// A handle for http and https over HTTP/1.1, without signals. Initialises libcurl at the first
// call; thread-safe.
CurlHandle new_curl_handle(const std::string& ca_file, bool insecure);
void init_curl();

// What went wrong with a transfer, for people: `buffer` (of CURLOPT_ERRORBUFFER) where it says
// enough.
std::string curl_error_text(CURL* easy, CURLcode code, const char* buffer);

}  // namespace pagoda
