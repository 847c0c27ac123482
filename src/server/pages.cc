// Choosing an embedded file, and the headers that keep a page to itself.
#include "server/pages.h"

#include <string>

#include "server/openai/errors.h"

namespace pagoda {
namespace {

// Trusted types let only the sanitizer's policy make HTML of text.
constexpr const char* kContentSecurityPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types dompurify";

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Takes the part before the next comma off `list`.
std::string_view next_member(std::string_view& list) {
  const size_t comma = list.find(',');
  const std::string_view member = list.substr(0, comma);
  list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
  return trimmed(member);
}

// Whether an Accept-Encoding header takes this encoding: named without q=0.
bool accepts_encoding(std::string_view header, std::string_view encoding) {
  while (!header.empty()) {
    std::string_view member = next_member(header);
    const size_t semicolon = member.find(';');
    if (!equals_ignoring_case(trimmed(member.substr(0, semicolon)), encoding)) continue;
    if (semicolon == std::string_view::npos) return true;
    const std::string_view weight = trimmed(member.substr(semicolon + 1));
    return weight.find_first_of("123456789") != std::string_view::npos;
  }
  return false;
}

// If-None-Match compares weakly (RFC 9110, 13.1.2).
bool names_tag(std::string_view header, std::string_view etag) {
  while (!header.empty()) {
    std::string_view member = next_member(header);
    if (member == "*") return true;
    if (member.starts_with("W/")) member.remove_prefix(2);
    if (member == etag) return true;
  }
  return false;
}

const PageFile* choose(std::span<const PageFile> files, std::string_view url,
                       const HttpRequest& request) {
  const std::string_view accepted = request.header("accept-encoding");
  const PageFile* best = nullptr;
  for (const PageFile& file : files) {
    if (file.url != url) continue;
    if (file.encoding != "identity" && !accepts_encoding(accepted, file.encoding)) continue;
    if (best == nullptr || file.bytes.size() < best->bytes.size()) best = &file;
  }
  return best;
}

}  // namespace

bool wants_page(const HttpRequest& request) {
  return (request.method == "GET" || request.method == "HEAD") &&
         request.header("accept").find("text/html") != std::string_view::npos;
}

HttpResponse page_response(std::span<const PageFile> files, std::string_view url,
                           const HttpRequest& request) {
  const PageFile* file = choose(files, url, request);
  if (file == nullptr) return openai::status_response(404, "there is no such page; see GET /");
  HttpResponse response;
  const bool is_unchanged = names_tag(request.header("if-none-match"), file->etag);
  response.status = is_unchanged ? 304 : 200;
  response.content_type = file->media_type;
  if (!is_unchanged) response.body = file->bytes;
  const bool has_hash = url.starts_with("/assets/");
  response.headers = {
      {"ETag", std::string(file->etag)},
      {"Vary", "Accept, Accept-Encoding"},
      {"Cache-Control", has_hash ? "public, max-age=31536000, immutable" : "no-cache"},
      {"Content-Security-Policy", kContentSecurityPolicy},
      {"Cross-Origin-Opener-Policy", "same-origin"},
      {"Cross-Origin-Resource-Policy", "same-origin"},
      {"Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"},
      {"Referrer-Policy", "no-referrer"},
      {"X-Content-Type-Options", "nosniff"},
      {"X-Frame-Options", "DENY"}};
  if (file->encoding != "identity" && !is_unchanged) {
    response.headers.emplace_back("Content-Encoding", std::string(file->encoding));
  }
  return response;
}

}  // namespace pagoda
