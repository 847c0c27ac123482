// JsonScanner: strings, integers and balanced skipping (RFC 8259).
#include "text/json_scanner.h"

#include <fmt/core.h>

#include <charconv>

#include "text/unicode.h"

namespace pagoda {
namespace {

bool is_json_space(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

}  // namespace

bool JsonScanner::fail() {
  failed_ = true;
  return false;
}

Error JsonScanner::error() const {
  return invalid_argument(fmt::format("JSON: malformed text at byte {}", offset_));
}

char JsonScanner::peek() {
  while (offset_ < text_.size() && is_json_space(text_[offset_])) ++offset_;
  return offset_ < text_.size() ? text_[offset_] : '\0';
}

bool JsonScanner::at_end() {
  peek();
  return offset_ >= text_.size();
}

bool JsonScanner::enter(char open) {
  if (failed_ || peek() != open) return fail();
  ++offset_;
  first_ = true;
  return true;
}

bool JsonScanner::next_item(char close) {
  if (failed_) return false;
  left_container_ = false;
  const char c = peek();
  if (c == close) {
    ++offset_;
    left_container_ = true;
    first_ = false;
    return false;
  }
  if (!first_) {
    if (c != ',') return fail();
    ++offset_;
  }
  first_ = false;
  return true;
}

bool JsonScanner::next_member(std::string& key) {
  if (!next_item('}')) return false;
  if (!read_string(key) || peek() != ':') return fail();
  ++offset_;
  return true;
}

bool JsonScanner::next_element() {
  return next_item(']');
}

bool JsonScanner::read_hex4(uint32_t& out) {
  if (text_.size() - offset_ < 4) return fail();
  const char* begin = text_.data() + offset_;
  const auto [end, status] = std::from_chars(begin, begin + 4, out, 16);
  if (status != std::errc() || end != begin + 4) return fail();
  offset_ += 4;
  return true;
}

bool JsonScanner::read_escape(std::string& out) {
  constexpr std::string_view kNames = "\"\\/bfnrt";
  constexpr std::string_view kValues = "\"\\/\b\f\n\r\t";
  if (offset_ >= text_.size()) return fail();
  const char c = text_[offset_++];
  if (const size_t at = kNames.find(c); at != std::string_view::npos) {
    out.push_back(kValues[at]);
    return true;
  }
  uint32_t unit = 0;
  if (c != 'u' || !read_hex4(unit)) return fail();
  if (unit >= 0xD800 && unit <= 0xDBFF) {
    uint32_t low = 0;
    if (!text_.substr(offset_).starts_with("\\u")) return fail();
    offset_ += 2;
    if (!read_hex4(low) || low < 0xDC00 || low > 0xDFFF) return fail();
    unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
  } else if (unit >= 0xDC00 && unit <= 0xDFFF) {
    return fail();
  }
  append_utf8(out, unit);
  return true;
}

bool JsonScanner::read_string(std::string& out) {
  out.clear();
  if (failed_ || peek() != '"') return fail();
  ++offset_;
  size_t run = offset_;
  while (offset_ < text_.size()) {
    const char c = text_[offset_];
    if (c == '"' || c == '\\') {
      out.append(text_, run, offset_ - run);
      ++offset_;
      if (c == '"') return true;
      if (!read_escape(out)) return false;
      run = offset_;
    } else if (static_cast<uint8_t>(c) < 0x20) {
      return fail();
    } else {
      ++offset_;
    }
  }
  return fail();
}

bool JsonScanner::read_integer(int64_t& out) {
  if (failed_) return false;
  peek();
  const char* begin = text_.data() + offset_;
  const auto [end, status] = std::from_chars(begin, text_.data() + text_.size(), out);
  if (status != std::errc()) return fail();
  offset_ += static_cast<size_t>(end - begin);
  return true;
}

bool JsonScanner::skip_string() {
  for (++offset_; offset_ < text_.size(); ++offset_) {
    if (text_[offset_] == '\\') {
      ++offset_;
    } else if (text_[offset_] == '"') {
      ++offset_;
      return true;
    }
  }
  offset_ = text_.size();
  return fail();
}

std::string_view JsonScanner::skip_value() {
  if (failed_) return {};
  peek();
  const size_t begin = offset_;
  int64_t depth = 0;
  while (offset_ < text_.size()) {
    const char c = text_[offset_];
    if (c == '"') {
      if (!skip_string()) return {};
    } else if (c == '{' || c == '[') {
      ++depth;
      ++offset_;
    } else if (c == '}' || c == ']') {
      if (depth == 0) break;  // the end of the container around a number or word
      --depth;
      ++offset_;
    } else if (depth == 0 && (c == ',' || is_json_space(c))) {
      break;
    } else {
      ++offset_;
      continue;
    }
    if (depth == 0) break;
  }
  if (depth != 0 || offset_ == begin) fail();
  return text_.substr(begin, offset_ - begin);
}

}  // namespace pagoda
