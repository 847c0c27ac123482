// How values are written: Python's str() and repr(), and JSON.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "text/jinja/value.h"

namespace pagoda::jinja {

// Python's str() and repr(). Their size is bounded by the weight of the value.
std::string text_form(const Value& value);
std::string repr(const Value& value);
// repr() of a text: quotes, and escapes for what is not printable.
std::string quote_text(std::string_view text);
// With escapes for what is not ASCII, as ascii() of Python.
std::string ascii_only(std::string_view text);
// repr() of a float: the shortest digits that read back the same.
std::string float_repr(double number);

struct JsonFormat {
  bool ensure_ascii = false;
  bool sort_keys = false;
  bool indented = false;
  std::string indent = {};  // of one level
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};
// Python's json.dumps(). kInvalidArgument for a value JSON has no form for.
Result<std::string> json_form(const Value& value, const JsonFormat& format);

// HTML escapes of MarkupSafe.
std::string escape_html(std::string_view text);

}  // namespace pagoda::jinja
