// The pages in the binary (the chat and the dashboard) as browsers ask for them.
#pragma once

#include <span>
#include <string_view>

#include "server/http/message.h"

namespace pagoda {

// One file in one encoding. Views of static data.
struct PageFile {
  std::string_view url;  // "/", "/dashboard", "/assets/..."
  std::string_view media_type;
  std::string_view
      encoding;           // "identity", "gzip" or "br"; every file is there as identity or alone
  std::string_view etag;  // strong and quoted; another one for each encoding
  std::string_view bytes;
};

// What the build embedded: always "/" and "/dashboard". Thread-safe.
std::span<const PageFile> embedded_pages();

// Whether the request comes from somebody who looks at a page, and not from a program: a GET whose
// Accept header names HTML.
bool wants_page(const HttpRequest& request);

// The file at `url` in the smallest encoding that the client takes, or 304 when the client has it;
// 404 when there is none. What carries a hash in its name may be kept for ever; the others are
// asked for each time. Every reply has a Content-Security-Policy that allows this server's own
// scripts and styles only, nothing inline, nothing evaluated and no requests elsewhere.
HttpResponse page_response(std::span<const PageFile> files, std::string_view url,
                           const HttpRequest& request);

}  // namespace pagoda
