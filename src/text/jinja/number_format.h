// What Python's two ways to format a text share: one conversion of a number or a text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace pagoda::jinja {

inline constexpr int64_t kMaxFormatWidth = 10'000;  // also of a precision

// One conversion, in the terms both notations share.
struct FormatSpec {
  std::string fill = " ";  // one character
  char align = '\0';       // < > ^ = ; \0: as the type has it
  char sign = '\0';        // - + space; \0: as '-'
  bool alternate = false;
  char grouping = '\0';  // , _ ; \0: none
  int64_t width = 0;
  int64_t precision = -1;
  char type = '\0';
};

// Reads digits at `at`, which ends behind them. kInvalidArgument above kMaxFormatWidth.
Result<int64_t> read_format_width(std::string_view text, size_t& at);

// Fills up to the width, by `align` of < > ^ =.
std::string pad_format(std::string text, const FormatSpec& spec, char align);

// Digits of a number with its sign, grouped and, with '=' and a fill of "0", padded. Types of an
// integer: d x X o b; of a float: e E f F g G %, and \0 as Python writes one without a type.
std::string format_integer(int64_t number, const FormatSpec& spec);
std::string format_float(double number, const FormatSpec& spec);

// The first `precision` characters; all when it is negative.
std::string first_characters(std::string text, int64_t precision);

}  // namespace pagoda::jinja
