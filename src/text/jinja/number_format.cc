// Numbers as Python's format() and % write them.
#include "text/jinja/number_format.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "text/jinja/case.h"
#include "text/jinja/context.h"
#include "text/jinja/text_form.h"
#include "text/unicode.h"

namespace pagoda::jinja {
namespace {

std::string repeat(std::string_view unit, int64_t count) {
  std::string out;
  for (int64_t i = 0; i < count; ++i) out += unit;
  return out;
}

// Separators between groups of the `num_digits` leading digits.
std::string group(const std::string& digits, size_t num_digits, char separator, size_t size) {
  std::string out = digits;
  for (size_t end = num_digits; end > size;) {
    end -= size;
    out.insert(end, 1, separator);
  }
  return out;
}

std::string in_base(uint64_t magnitude, char type) {
  const int base = type == 'x' || type == 'X' ? 16 : type == 'o' ? 8 : type == 'b' ? 2 : 10;
  char buffer[72];
  const auto [end, status] = std::to_chars(buffer, buffer + sizeof(buffer), magnitude, base);
  std::string digits(buffer, end);
  return type == 'X' ? change_case(digits, Case::kUpper) : digits;
}

std::string sign_of(bool negative, const FormatSpec& spec) {
  if (negative) return "-";
  return spec.sign == '+' ? "+" : spec.sign == ' ' ? " " : "";
}

// Sign, prefix and grouped digits; zeros in front are grouped too.
std::string assemble(const std::string& sign, const std::string& digits, size_t num_digits,
                     size_t group_size, const FormatSpec& spec) {
  if (spec.grouping == '\0') return sign + digits;
  std::string grouped = group(digits, num_digits, spec.grouping, group_size);
  if (spec.align != '=' || spec.fill != "0") return sign + grouped;
  const int64_t missing = spec.width - static_cast<int64_t>(sign.size() + grouped.size());
  if (missing <= 0) return sign + grouped;
  // Too many zeros, then as many as the width wants; a group never begins with its separator.
  const std::string padded =
      group(std::string(static_cast<size_t>(missing), '0') + digits,
            num_digits + static_cast<size_t>(missing), spec.grouping, group_size);
  size_t start =
      padded.size() - std::min(padded.size(), static_cast<size_t>(spec.width) - sign.size());
  if (padded[start] == spec.grouping) --start;
  return sign + padded.substr(start);
}

std::string print_float(const std::string& pattern, int64_t precision, double number) {
  const int size = std::snprintf(nullptr, 0, pattern.c_str(), static_cast<int>(precision), number);
  std::string out(static_cast<size_t>(std::max(size, 0)) + 1, '\0');
  std::snprintf(out.data(), out.size(), pattern.c_str(), static_cast<int>(precision), number);
  out.pop_back();
  return out;
}

// Without trailing zeros behind the point, and without a bare point.
std::string without_zeros(std::string digits) {
  if (digits.find('.') == std::string::npos) return digits;
  digits.resize(digits.find_last_not_of('0') + 1);
  if (digits.back() == '.') digits.pop_back();
  return digits;
}

// A float without a type but with a precision: significant digits, and ".0" for a whole number.
std::string general_form(double magnitude, int64_t precision) {
  precision = std::max<int64_t>(precision, 1);
  const std::string text = print_float("%.*e", precision - 1, magnitude);
  const size_t e = text.find('e');
  const int64_t exponent = std::strtol(text.c_str() + e + 1, nullptr, 10);
  if (exponent < -4 || exponent >= precision - 1) {
    return without_zeros(text.substr(0, e)) + text.substr(e);
  }
  const std::string fixed = without_zeros(print_float("%.*f", precision - 1 - exponent, magnitude));
  return fixed.find('.') == std::string::npos ? fixed + ".0" : fixed;
}

std::string magnitude_form(double magnitude, const FormatSpec& spec) {
  if (spec.type == '\0') {
    return spec.precision < 0 ? float_repr(magnitude) : general_form(magnitude, spec.precision);
  }
  const int64_t precision = spec.precision < 0 ? 6 : spec.precision;
  const bool percent = spec.type == '%';
  const std::string pattern =
      std::string("%") + (spec.alternate ? "#" : "") + ".*" + (percent ? 'f' : spec.type);
  return print_float(pattern, precision, percent ? magnitude * 100 : magnitude) +
         (percent ? "%" : "");
}

}  // namespace

Result<int64_t> read_format_width(std::string_view text, size_t& at) {
  int64_t width = 0;
  while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
    width = width * 10 + (text[at++] - '0');
    if (width > kMaxFormatWidth) {
      return type_error(fmt::format("a format is wider than {}", kMaxFormatWidth));
    }
  }
  return width;
}

std::string pad_format(std::string text, const FormatSpec& spec, char align) {
  const int64_t missing = spec.width - count_code_points(text);
  if (missing <= 0) return text;
  if (align == '<') return text + repeat(spec.fill, missing);
  if (align == '^') {
    return repeat(spec.fill, missing / 2) + text + repeat(spec.fill, missing - missing / 2);
  }
  if (align == '=') {
    size_t front = !text.empty() && (text[0] == '-' || text[0] == '+' || text[0] == ' ');
    const bool prefixed = spec.alternate && text.size() > front + 1 && text[front] == '0' &&
                          std::string_view("xXob").find(text[front + 1]) != std::string_view::npos;
    if (prefixed) front += 2;
    return text.substr(0, front) + repeat(spec.fill, missing) + text.substr(front);
  }
  return repeat(spec.fill, missing) + text;
}

std::string format_integer(int64_t number, const FormatSpec& spec) {
  const uint64_t magnitude =
      number < 0 ? ~static_cast<uint64_t>(number) + 1 : static_cast<uint64_t>(number);
  std::string digits = in_base(magnitude, spec.type);
  if (spec.precision > static_cast<int64_t>(digits.size())) {
    digits.insert(0, static_cast<size_t>(spec.precision) - digits.size(), '0');
  }
  const bool has_prefix = spec.alternate &&
                          std::string_view("xXob").find(spec.type) != std::string_view::npos &&
                          spec.type != '\0';
  const std::string sign =
      sign_of(number < 0, spec) + (has_prefix ? std::string("0") + spec.type : std::string());
  const bool decimal = spec.type == 'd' || spec.type == '\0';
  return assemble(sign, digits, digits.size(), decimal ? 3 : 4, spec);
}

std::string format_float(double number, const FormatSpec& spec) {
  const std::string sign = sign_of(std::signbit(number) && !std::isnan(number), spec);
  if (!std::isfinite(number)) {
    std::string name = std::isnan(number) ? "nan" : "inf";
    if (spec.type == 'F' || spec.type == 'E' || spec.type == 'G') {
      name = change_case(name, Case::kUpper);
    }
    return sign + name + (spec.type == '%' ? "%" : "");
  }
  const std::string digits = magnitude_form(std::fabs(number), spec);
  const size_t whole = std::min(digits.find_first_not_of("0123456789"), digits.size());
  return assemble(sign, digits, whole, 3, spec);
}

std::string first_characters(std::string text, int64_t precision) {
  if (precision < 0) return text;
  const std::vector<size_t> offsets = code_point_offsets(text);
  if (static_cast<size_t>(precision) < offsets.size()) {
    text.resize(offsets[static_cast<size_t>(precision)]);
  }
  return text;
}

}  // namespace pagoda::jinja
