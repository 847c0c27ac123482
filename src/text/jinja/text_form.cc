// How values are written: Python's str() and repr(), and JSON.
#include "text/jinja/text_form.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <vector>

#include "text/unicode.h"

namespace pagoda::jinja {
namespace {

// Python's str.isprintable for one character.
bool printable(char32_t c) {
  if (c < 0x7F) return c >= 0x20;
  return is_printable(c);
}

void append_repr(const Value& value, std::string& out);

template <typename Items>
void append_list(const Items& items, std::string_view open, std::string_view close,
                 std::string& out) {
  out += open;
  bool first = true;
  for (const Value& item : items) {
    if (!first) out += ", ";
    first = false;
    append_repr(item, out);
  }
  out += close;
}

void append_sequence(const Sequence& s, std::string& out) {
  switch (s.type) {
    case Sequence::Type::kList: return append_list(s.items, "[", "]", out);
    case Sequence::Type::kTuple:
      return append_list(s.items, "(", s.items.size() == 1 ? ",)" : ")", out);
    case Sequence::Type::kRange:
      out += fmt::format("range({}, {}", s.range_start, s.range_stop);
      if (s.range_step != 1) out += fmt::format(", {}", s.range_step);
      out += ")";
      return;
    case Sequence::Type::kDictKeys: return append_list(s.items, "dict_keys([", "])", out);
    case Sequence::Type::kDictValues: return append_list(s.items, "dict_values([", "])", out);
    case Sequence::Type::kDictItems: return append_list(s.items, "dict_items([", "])", out);
    case Sequence::Type::kIterator: out += "<generator object>"; return;
  }
}

void append_dict(const Dict& dict, std::string& out) {
  out += '{';
  bool first = true;
  for (const auto& [key, value] : dict.items) {
    if (!first) out += ", ";
    first = false;
    append_repr(key, out);
    out += ": ";
    append_repr(value, out);
  }
  out += '}';
}

void append_repr(const Value& value, std::string& out) {
  if (value.is_text()) {
    if (value.is_markup()) {
      out += "Markup(" + quote_text(value.text()) + ")";
    } else {
      out += quote_text(value.text());
    }
  } else if (value.is_undefined()) {
    out += "Undefined";
  } else if (const Sequence* s = value.sequence()) {
    append_sequence(*s, out);
  } else if (const Dict* d = value.dict()) {
    append_dict(*d, out);
  } else {
    out += text_form(value);
  }
}

void append_json_text(std::string_view text, bool ensure_ascii, std::string& out) {
  out += '"';
  for (size_t offset = 0; offset < text.size();) {
    const size_t begin = offset;
    const char32_t c = next_code_point(text, offset);
    switch (c) {
      case '"': out += "\\\""; continue;
      case '\\': out += "\\\\"; continue;
      case '\n': out += "\\n"; continue;
      case '\r': out += "\\r"; continue;
      case '\t': out += "\\t"; continue;
      case '\b': out += "\\b"; continue;
      case '\f': out += "\\f"; continue;
      default: break;
    }
    if (c < 0x20 || (ensure_ascii && c > 0x7E && c <= 0xFFFF)) {
      out += fmt::format("\\u{:04x}", static_cast<uint32_t>(c));
    } else if (ensure_ascii && c > 0xFFFF) {
      const auto bits = static_cast<uint32_t>(c) - 0x10000;
      out += fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (bits >> 10), 0xDC00 + (bits & 0x3FF));
    } else {
      out += text.substr(begin, offset - begin);
    }
  }
  out += '"';
}

std::string json_float(double number) {
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number > 0 ? "Infinity" : "-Infinity";
  return float_repr(number);
}

class JsonWriter {
 public:
  explicit JsonWriter(const JsonFormat& format) : format_(format) {}
  Result<void> write(const Value& value, int32_t level);
  std::string take() { return std::move(out_); }

 private:
  void new_line(int32_t level) {
    if (!format_.indented) return;
    out_ += '\n';
    for (int32_t i = 0; i < level; ++i) out_ += format_.indent;
  }
  Result<void> write_key(const Value& key);
  Result<void> write_list(const Sequence& list, int32_t level);
  Result<void> write_dict(const Dict& dict, int32_t level);

  const JsonFormat& format_;
  std::string out_;
};

Result<void> JsonWriter::write(const Value& value, int32_t level) {
  if (value.is_text()) {
    append_json_text(value.text(), format_.ensure_ascii, out_);
  } else if (value.is_none()) {
    out_ += "null";
  } else if (value.is_bool()) {
    out_ += value.integer() != 0 ? "true" : "false";
  } else if (value.is_int()) {
    out_ += fmt::format("{}", value.integer());
  } else if (value.is_float()) {
    out_ += json_float(value.number());
  } else if (value.dict()) {
    return write_dict(*value.dict(), level);
  } else if (value.sequence() && (value.sequence()->type == Sequence::Type::kList ||
                                  value.sequence()->type == Sequence::Type::kTuple)) {
    return write_list(*value.sequence(), level);
  } else {
    return invalid_argument(
        fmt::format("Object of type {} is not JSON serializable", type_name(value)));
  }
  return {};
}

Result<void> JsonWriter::write_list(const Sequence& list, int32_t level) {
  if (list.items.empty()) {
    out_ += "[]";
    return {};
  }
  out_ += '[';
  for (size_t i = 0; i < list.items.size(); ++i) {
    if (i > 0) out_ += format_.item_separator;
    new_line(level + 1);
    RETURN_IF_ERROR(write(list.items[i], level + 1));
  }
  new_line(level);
  out_ += ']';
  return {};
}

Result<void> JsonWriter::write_key(const Value& key) {
  if (key.is_text()) {
    append_json_text(key.text(), format_.ensure_ascii, out_);
    return {};
  }
  if (!key.is_none() && !key.is_number()) {
    return invalid_argument(
        fmt::format("keys must be str, int, float, bool or None, not {}", type_name(key)));
  }
  out_ += '"';
  RETURN_IF_ERROR(write(key, 0));
  out_ += '"';
  return {};
}

Result<void> JsonWriter::write_dict(const Dict& dict, int32_t level) {
  if (dict.items.empty()) {
    out_ += "{}";
    return {};
  }
  std::vector<const std::pair<Value, Value>*> items;
  for (const auto& item : dict.items) items.push_back(&item);
  if (format_.sort_keys) {
    bool sortable = true;
    std::stable_sort(items.begin(), items.end(), [&](const auto* left, const auto* right) {
      int order = 0;
      if (!compare(left->first, right->first, order)) sortable = false;
      return order < 0;
    });
    if (!sortable) return invalid_argument("tojson: keys of several types cannot be sorted");
  }
  out_ += '{';
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out_ += format_.item_separator;
    new_line(level + 1);
    RETURN_IF_ERROR(write_key(items[i]->first));
    out_ += format_.key_separator;
    RETURN_IF_ERROR(write(items[i]->second, level + 1));
  }
  new_line(level);
  out_ += '}';
  return {};
}

}  // namespace

std::string quote_text(std::string_view text) {
  const bool double_quotes =
      text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos;
  const char quote = double_quotes ? '"' : '\'';
  std::string out(1, quote);
  for (size_t offset = 0; offset < text.size();) {
    const size_t begin = offset;
    const char32_t c = next_code_point(text, offset);
    const auto code = static_cast<uint32_t>(c);
    if (c == static_cast<char32_t>(quote) || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (printable(c)) {
      out += text.substr(begin, offset - begin);
    } else if (c <= 0xFF) {
      out += fmt::format("\\x{:02x}", code);
    } else if (c <= 0xFFFF) {
      out += fmt::format("\\u{:04x}", code);
    } else {
      out += fmt::format("\\U{:08x}", code);
    }
  }
  out += quote;
  return out;
}

std::string ascii_only(std::string_view text) {
  std::string out;
  for (size_t offset = 0; offset < text.size();) {
    const auto code = static_cast<uint32_t>(next_code_point(text, offset));
    if (code < 0x80) {
      out += static_cast<char>(code);
    } else {
      out += code <= 0xFF     ? fmt::format("\\x{:02x}", code)
             : code <= 0xFFFF ? fmt::format("\\u{:04x}", code)
                              : fmt::format("\\U{:08x}", code);
    }
  }
  return out;
}

std::string float_repr(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number > 0 ? "inf" : "-inf";
  char buffer[64];
  const auto [end, status] =
      std::to_chars(buffer, buffer + sizeof(buffer), number, std::chars_format::scientific);
  std::string_view text(buffer, static_cast<size_t>(end - buffer));
  // d[.ddd]e±xx: plain notation for exponents from -4 to 15, as Python chooses.
  const size_t e = text.find('e');
  int exponent = 0;
  const char* digits_of_exponent = text.data() + e + (text[e + 1] == '+' ? 2 : 1);
  std::from_chars(digits_of_exponent, end, exponent);
  if (exponent < -4 || exponent >= 16) return std::string(text);
  std::string sign, digits;
  for (const char c : text.substr(0, e)) {
    if (c == '-') {
      sign = "-";
    } else if (c != '.') {
      digits += c;
    }
  }
  if (exponent < 0) {
    return sign + "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
  }
  const size_t whole = static_cast<size_t>(exponent) + 1;
  if (digits.size() <= whole) return sign + digits + std::string(whole - digits.size(), '0') + ".0";
  return sign + digits.substr(0, whole) + "." + digits.substr(whole);
}

std::string repr(const Value& value) {
  std::string out;
  append_repr(value, out);
  return out;
}

std::string text_form(const Value& value) {
  if (value.is_text()) return value.text();
  if (value.is_undefined()) return {};
  if (value.is_none()) return "None";
  if (value.is_bool()) return value.integer() != 0 ? "True" : "False";
  if (value.is_int()) return fmt::format("{}", value.integer());
  if (value.is_float()) return float_repr(value.number());
  if (const Object* object = value.object()) return object->repr();
  return repr(value);
}

Result<std::string> json_form(const Value& value, const JsonFormat& format) {
  JsonWriter writer(format);
  RETURN_IF_ERROR(writer.write(value, 0));
  return writer.take();
}

std::string escape_html(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&#34;"; break;
      case '\'': out += "&#39;"; break;
      default: out += c;
    }
  }
  return out;
}

}  // namespace pagoda::jinja
