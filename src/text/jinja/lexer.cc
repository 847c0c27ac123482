// Lexer: the rules of Jinja2's own lexer, with trim_blocks and lstrip_blocks.
#include "text/jinja/lexer.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <utility>

#include "text/unicode.h"

namespace pagoda::jinja {
namespace {

constexpr size_t kMaxTokens = 1'000'000;

// Line ends become "\n"; one at the very end of the template is dropped.
std::string normalize_newlines(std::string_view source, bool drop_last) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      out.push_back('\n');
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      out.push_back(source[i]);
    }
  }
  if (drop_last && out.ends_with('\n')) out.pop_back();
  return out;
}

size_t skip_space(std::string_view text, size_t offset) {
  while (offset < text.size()) {
    size_t next = offset;
    if (!is_python_space(next_code_point(text, next))) break;
    offset = next;
  }
  return offset;
}

size_t last_non_space(std::string_view text) {
  size_t end = text.size();
  while (end > 0) {
    size_t start = end - 1;
    while (start > 0 && (static_cast<uint8_t>(text[start]) & 0xC0U) == 0x80U) --start;
    size_t offset = start;
    if (!is_python_space(next_code_point(text, offset))) break;
    end = start;
  }
  return end;
}

bool is_name_character(std::string_view text, size_t offset) {
  return offset < text.size() &&
         (text[offset] == '_' || is_word_character(next_code_point(text, offset)));
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

class Lexer {
 public:
  explicit Lexer(std::string source) : source_(std::move(source)) {}
  Result<std::vector<Token>> run();

 private:
  Error error(std::string_view what) const {
    return invalid_argument(fmt::format("template line {}: {}", line_, what));
  }
  void advance_to(size_t offset) {
    line_ += static_cast<int32_t>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(at_),
                                             source_.begin() + static_cast<std::ptrdiff_t>(offset),
                                             '\n'));
    at_ = offset;
  }
  bool at(std::string_view text, size_t offset) const {
    return std::string_view(source_).substr(offset).starts_with(text);
  }
  void put(TokenType type, std::string text = {}) {
    tokens_.push_back({.type = type, .line = line_, .text = std::move(text)});
  }
  void put_data(size_t end, char sign, bool is_variable);
  // If a tag's end stands at at_, steps over it with what it strips.
  bool take_end(std::string_view close);
  Result<void> comment();
  Result<bool> raw();
  Result<void> inside(TokenType begin, TokenType end, std::string_view close);
  Result<void> one_token();
  Result<void> number();
  Result<void> string();
  Result<void> escape(std::string_view body, size_t& i, std::string& out);
  Result<void> operator_token();

  std::string source_;
  size_t at_ = 0;
  int32_t line_ = 1;
  bool line_starting_ = true;  // the part before ended with a line end
  std::string brackets_;       // open ones inside a tag
  std::vector<Token> tokens_;
};

// Data up to a tag that starts at `end`, stripped as the tag's sign and lstrip_blocks ask.
void Lexer::put_data(size_t end, char sign, bool is_variable) {
  std::string_view data = std::string_view(source_).substr(at_, end - at_);
  if (sign == '-') {
    data = data.substr(0, last_non_space(data));
  } else if (sign != '+' && !is_variable) {
    const size_t newline = data.rfind('\n');
    const size_t line_begin = newline == std::string_view::npos ? 0 : newline + 1;
    if ((line_begin > 0 || line_starting_) && skip_space(data, line_begin) == data.size()) {
      data = data.substr(0, line_begin);
    }
  }
  if (!data.empty()) put(TokenType::kData, std::string(data));
  advance_to(end);
}

bool Lexer::take_end(std::string_view close) {
  size_t end = at_;
  const bool is_variable = close == "}}";
  if (source_[at_] == '-' && at(close, at_ + 1)) {
    end = skip_space(source_, at_ + 1 + close.size());
  } else if (!is_variable && source_[at_] == '+' && at(close, at_ + 1)) {
    end = at_ + 1 + close.size();
  } else if (at(close, at_)) {
    end = at_ + close.size();
    if (!is_variable && end < source_.size() && source_[end] == '\n') ++end;
  } else {
    return false;
  }
  advance_to(end);
  line_starting_ = source_[end - 1] == '\n';
  return true;
}

Result<void> Lexer::comment() {
  while (at_ < source_.size()) {
    const size_t hash = source_.find("#}", at_);
    if (hash == std::string::npos) break;
    const bool sign = hash > at_ && (source_[hash - 1] == '-' || source_[hash - 1] == '+');
    advance_to(sign ? hash - 1 : hash);
    if (take_end("#}")) return {};
  }
  return error("Missing end of comment tag");
}

// at_ is behind "{%" and its sign. True if this was a raw block, which is then consumed.
Result<bool> Lexer::raw() {
  size_t offset = skip_space(source_, at_);
  if (!at("raw", offset)) return false;
  offset = skip_space(source_, offset + 3);
  if (at("-%}", offset)) {
    offset = skip_space(source_, offset + 3);
  } else if (at("%}", offset)) {
    offset += 2;
  } else {
    return false;
  }
  advance_to(offset);
  line_starting_ = source_[offset - 1] == '\n';
  for (size_t tag = source_.find("{%", at_); tag != std::string::npos;
       tag = source_.find("{%", tag + 1)) {
    size_t end = tag + 2;
    const char sign =
        end < source_.size() && (source_[end] == '-' || source_[end] == '+') ? source_[end] : '\0';
    if (sign != '\0') ++end;
    end = skip_space(source_, end);
    if (!at("endraw", end)) continue;
    end = skip_space(source_, end + 6);
    if (end >= source_.size() || (!at("%}", end) && !at("-%}", end) && !at("+%}", end))) continue;
    put_data(tag, sign, false);
    advance_to(end);
    take_end("%}");
    return true;
  }
  return error("Missing end of raw directive");
}

Result<std::vector<Token>> Lexer::run() {
  while (at_ < source_.size()) {
    size_t tag = source_.find('{', at_);
    while (tag != std::string::npos && !at("{%", tag) && !at("{{", tag) && !at("{#", tag)) {
      tag = source_.find('{', tag + 1);
    }
    if (tag == std::string::npos) {
      put(TokenType::kData, source_.substr(at_));
      break;
    }
    const char kind = source_[tag + 1];
    const char next = tag + 2 < source_.size() ? source_[tag + 2] : '\0';
    // "{%-%}": the sign belongs to the begin, as the longest match has it.
    const char sign = next == '-' || next == '+' ? next : '\0';
    put_data(tag, sign, kind == '{');
    advance_to(tag + (sign != '\0' ? 3 : 2));
    if (kind == '#') {
      RETURN_IF_ERROR(comment());
    } else if (kind == '{') {
      RETURN_IF_ERROR(inside(TokenType::kVariableBegin, TokenType::kVariableEnd, "}}"));
    } else {
      ASSIGN_OR_RETURN(const bool was_raw, raw());
      if (!was_raw) {
        RETURN_IF_ERROR(inside(TokenType::kBlockBegin, TokenType::kBlockEnd, "%}"));
      }
    }
    if (tokens_.size() > kMaxTokens) return error(fmt::format("more than {} tokens", kMaxTokens));
  }
  put(TokenType::kEnd);
  return std::move(tokens_);
}

Result<void> Lexer::inside(TokenType begin, TokenType end, std::string_view close) {
  put(begin);
  brackets_.clear();
  while (true) {
    advance_to(skip_space(source_, at_));
    if (at_ >= source_.size()) {
      put(TokenType::kEnd);
      return {};  // the parser reports what it expected
    }
    if (brackets_.empty() && take_end(close)) {
      put(end);
      return {};
    }
    RETURN_IF_ERROR(one_token());
    if (tokens_.size() > kMaxTokens) return error(fmt::format("more than {} tokens", kMaxTokens));
  }
}

Result<void> Lexer::one_token() {
  const char c = source_[at_];
  if (is_digit(c)) return number();
  if (c == '"' || c == '\'') return string();
  if (!is_name_character(source_, at_)) return operator_token();
  size_t end = at_;
  while (is_name_character(source_, end)) next_code_point(source_, end);
  put(TokenType::kName, source_.substr(at_, end - at_));
  advance_to(end);
  return {};
}

Result<void> Lexer::number() {
  std::string digits;
  int base = 10;
  size_t end = at_;
  const char prefix = end + 1 < source_.size() ? static_cast<char>(source_[end + 1] | 0x20) : ' ';
  if (source_[end] == '0' && (prefix == 'x' || prefix == 'o' || prefix == 'b')) {
    base = prefix == 'x' ? 16 : prefix == 'o' ? 8 : 2;
    end += 2;
  }
  const auto in_base = [&](size_t i) {
    if (i >= source_.size()) return false;
    const char c = source_[i];
    const char lower = static_cast<char>(c | 0x20);
    const int digit = is_digit(c) ? c - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : 99;
    return digit < base;
  };
  const auto take_digits = [&] {
    while (in_base(end) || (end < source_.size() && source_[end] == '_' && in_base(end + 1))) {
      if (source_[end] != '_') digits.push_back(source_[end]);
      ++end;
    }
  };
  take_digits();
  // "007" is a "00" and a "7", which no expression allows; "00" is a zero.
  const bool has_leading_zero = base == 10 && digits.size() > 1 && digits[0] == '0' &&
                                digits.find_first_not_of('0') != std::string::npos;
  bool is_float = false;
  if (base == 10) {
    const bool after_dot = at_ > 0 && source_[at_ - 1] == '.';
    if (!after_dot && end + 1 < source_.size() && source_[end] == '.' &&
        is_digit(source_[end + 1])) {
      is_float = true;
      digits.push_back(source_[end++]);
      take_digits();
    }
    if (!after_dot && end < source_.size() && (source_[end] == 'e' || source_[end] == 'E')) {
      const bool sign =
          end + 1 < source_.size() && (source_[end + 1] == '+' || source_[end + 1] == '-');
      if (end + 1 + sign < source_.size() && is_digit(source_[end + 1 + sign])) {
        is_float = true;
        digits.append(source_, end, 1 + size_t{sign});
        end += 1 + size_t{sign};
        take_digits();
      }
    }
  }
  if (has_leading_zero && !is_float) return error("a number begins with 0");
  Token token{.type = is_float ? TokenType::kFloat : TokenType::kInteger, .line = line_};
  if (is_float) {
    token.number = std::strtod(digits.c_str(), nullptr);
  } else {
    const char* last = digits.data() + digits.size();
    const auto [stop, status] = std::from_chars(digits.data(), last, token.integer, base);
    if (status != std::errc() || stop != last) return error("a number is out of range");
  }
  tokens_.push_back(std::move(token));
  advance_to(end);
  return {};
}

// One escape of a Python string literal; `i` is at the backslash and ends on its last byte.
Result<void> Lexer::escape(std::string_view body, size_t& i, std::string& out) {
  const char c = body[++i];
  constexpr std::string_view kNames = "\\'\"abfnrtv";
  constexpr std::string_view kValues = "\\'\"\a\b\f\n\r\t\v";
  if (const size_t at = kNames.find(c); at != std::string_view::npos) {
    out.push_back(kValues[at]);
    return {};
  }
  if (c == '\n') return {};
  uint32_t code = 0;
  if (c >= '0' && c <= '7') {
    size_t count = 0;
    while (count < 3 && i + count < body.size() && body[i + count] >= '0' &&
           body[i + count] <= '7') {
      code = code * 8 + static_cast<uint32_t>(body[i + count++] - '0');
    }
    i += count - 1;
  } else if (c == 'x' || c == 'u' || c == 'U') {
    const size_t width = c == 'x' ? 2 : c == 'u' ? 4 : 8;
    if (body.size() - i - 1 < width) return error("a string has a truncated escape");
    const char* first = body.data() + i + 1;
    const auto [stop, status] = std::from_chars(first, first + width, code, 16);
    if (status != std::errc() || stop != first + width) return error("a string has a bad escape");
    i += width;
  } else if (c == 'N') {
    return error("a string names a character; \\N{} is not supported");
  } else {
    out.push_back('\\');
    out.push_back(c);
    return {};
  }
  if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) {
    return error("a string escapes something that is no character");
  }
  append_utf8(out, code);
  return {};
}

Result<void> Lexer::string() {
  const char quote = source_[at_];
  size_t end = at_ + 1;
  while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
  if (end >= source_.size()) return error(fmt::format("unexpected char \"{}\"", quote));
  const std::string_view body = std::string_view(source_).substr(at_ + 1, end - at_ - 1);
  std::string text;
  for (size_t i = 0; i < body.size(); ++i) {
    if (body[i] == '\\') {
      RETURN_IF_ERROR(escape(body, i, text));
    } else {
      text.push_back(body[i]);
    }
  }
  put(TokenType::kString, std::move(text));
  advance_to(end + 1);
  return {};
}

Result<void> Lexer::operator_token() {
  constexpr std::array<std::string_view, 26> kOperators = {
      "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
      "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};
  for (const std::string_view candidate : kOperators) {
    if (!at(candidate, at_)) continue;
    const char c = candidate[0];
    if (c == '(' || c == '[' || c == '{') {
      brackets_.push_back(c);
    } else if (c == ')' || c == ']' || c == '}') {
      const char open = c == ')' ? '(' : c == ']' ? '[' : '{';
      if (brackets_.empty() || brackets_.back() != open) {
        return error(fmt::format("unexpected '{}'", c));
      }
      brackets_.pop_back();
    }
    put(TokenType::kOperator, std::string(candidate));
    advance_to(at_ + candidate.size());
    return {};
  }
  size_t end = at_;
  next_code_point(source_, end);
  return error(fmt::format("unexpected char '{}'", source_.substr(at_, end - at_)));
}

}  // namespace

Result<std::vector<Token>> tokenize(std::string_view source) {
  return Lexer(normalize_newlines(source, true)).run();
}

}  // namespace pagoda::jinja
