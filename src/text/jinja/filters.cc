// Filters: the list of names, and the filters of single values.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "text/jinja/builtins.h"
#include "text/jinja/operators.h"
#include "text/jinja/text_form.h"
#include "text/unicode.h"

namespace pagoda::jinja {
namespace {

constexpr std::array<std::string_view, 54> kFilters = {
    "abs",        "attr",     "batch",   "capitalize", "center",        "count",     "d",
    "default",    "dictsort", "e",       "escape",     "first",         "float",     "forceescape",
    "format",     "groupby",  "indent",  "int",        "items",         "join",      "last",
    "length",     "list",     "lower",   "map",        "max",           "min",       "reject",
    "rejectattr", "replace",  "reverse", "round",      "safe",          "select",    "selectattr",
    "slice",      "sort",     "string",  "striptags",  "sum",           "title",     "tojson",
    "trim",       "truncate", "unique",  "upper",      "urlencode",     "wordcount", "wordwrap",
    "pprint",     "random",   "urlize",  "xmlattr",    "filesizeformat"};
// Names Jinja2 has and this build refuses: their results are random or only of use in HTML.
constexpr std::array<std::string_view, 6> kUnsupported = {"pprint",  "random",         "urlize",
                                                          "xmlattr", "filesizeformat", "wordwrap"};

MaybeValue answer(ValueResult result) {
  RETURN_IF_ERROR(result);
  return std::make_shared<const Value>(*std::move(result));
}

// Python's float(text), without its rarer spellings.
bool parse_float(std::string_view text, double& out) {
  while (!text.empty() && is_python_space(static_cast<uint8_t>(text.front())))
    text.remove_prefix(1);
  while (!text.empty() && is_python_space(static_cast<uint8_t>(text.back()))) text.remove_suffix(1);
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), out);
  return status == std::errc() && end == text.data() + text.size() && !text.empty();
}

// Python's int(text, base). False when it is no integer; `overflow` when it is one too large.
bool parse_int(std::string_view text, int64_t base, int64_t& out, bool& overflow) {
  while (!text.empty() && is_python_space(static_cast<uint8_t>(text.front())))
    text.remove_prefix(1);
  while (!text.empty() && is_python_space(static_cast<uint8_t>(text.back()))) text.remove_suffix(1);
  std::string digits;
  if (text.starts_with('-') || text.starts_with('+')) {
    if (text.front() == '-') digits = "-";
    text.remove_prefix(1);
  }
  const std::string prefix = to_lower(text.substr(0, 2));
  if ((base == 16 && prefix == "0x") || (base == 8 && prefix == "0o") ||
      (base == 2 && prefix == "0b")) {
    text.remove_prefix(2);
  }
  for (size_t i = 0; i < text.size(); ++i) {
    const bool between = i > 0 && i + 1 < text.size() && text[i - 1] != '_';
    if (text[i] == '_' && between) continue;
    if (text[i] == '-' || text[i] == '+' || text[i] == '_') return false;
    digits += text[i];
  }
  const char* last = digits.data() + digits.size();
  const auto [end, status] = std::from_chars(digits.data(), last, out, static_cast<int>(base));
  overflow = status == std::errc::result_out_of_range && end == last;
  return status == std::errc() && end == last;
}

Error too_large() {
  return invalid_argument("an integer of the template goes beyond 64 bits");
}

ValueResult filter_int(const Value& input, const Arguments& arguments) {
  const Value* otherwise = arguments.find(0, "default");
  const Value fallback = otherwise ? *otherwise : Value(int64_t{0});
  const Value* base_value = arguments.find(1, "base");
  const int64_t base = base_value && base_value->is_integral() ? base_value->integer() : 10;
  if (base < 2 || base > 36) return type_error("int() base must be >= 2 and <= 36, or 0");
  if (input.is_undefined()) return undefined_error(input);
  if (input.is_integral()) return Value(input.integer());
  double number = 0;
  if (input.is_text()) {
    int64_t integer = 0;
    bool overflow = false;
    if (parse_int(input.text(), base, integer, overflow)) return Value(integer);
    if (overflow) return too_large();
    if (!parse_float(input.text(), number)) return fallback;
  } else if (input.is_float()) {
    number = input.number();
  } else {
    return fallback;
  }
  if (std::isnan(number)) return fallback;
  if (std::isinf(number)) return type_error("cannot convert float infinity to integer");
  if (std::fabs(number) >= 9.2233720368547758e18) return too_large();
  return Value(static_cast<int64_t>(number));
}

ValueResult filter_float(const Value& input, const Arguments& arguments) {
  if (input.is_undefined()) return undefined_error(input);
  if (input.is_number()) return Value(input.number());
  double number = 0;
  if (input.is_text() && parse_float(input.text(), number)) return Value(number);
  const Value* otherwise = arguments.find(0, "default");
  return otherwise ? *otherwise : Value(0.0);
}

// Python's round(x, n): to the nearest, halves to even, by the exact decimal value.
double round_decimal(double number, int64_t precision) {
  if (precision > 300 || !std::isfinite(number)) return number;
  if (precision < -300) return 0.0;
  if (precision >= 0) {
    // Printing with n digits rounds the exact binary value correctly.
    const std::string text = fmt::format("{:.{}f}", number, precision);
    return std::strtod(text.c_str(), nullptr);
  }
  const double scale = std::pow(10.0, static_cast<double>(-precision));
  return std::nearbyint(number / scale) * scale;
}

ValueResult filter_round(const Value& input, const Arguments& arguments) {
  if (input.is_undefined()) return undefined_error(input);
  const Value* precision_value = arguments.find(0, "precision");
  const Value* method_value = arguments.find(1, "method");
  const std::string method =
      method_value && method_value->is_text() ? method_value->text() : "common";
  const int64_t precision =
      precision_value && precision_value->is_integral() ? precision_value->integer() : 0;
  if (!input.is_number()) {
    return type_error(fmt::format("type {} doesn't define __round__ method", type_name(input)));
  }
  if (method == "common") {
    if (input.is_integral() && precision >= 0) return Value(input.integer());
    const double rounded = round_decimal(input.number(), precision);
    return input.is_integral() ? Value(static_cast<int64_t>(rounded)) : Value(rounded);
  }
  if (method != "ceil" && method != "floor") {
    return type_error("method must be common, ceil or floor");
  }
  const double scale = std::pow(10.0, static_cast<double>(precision));
  const double scaled = input.number() * scale;
  return Value((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale);
}

ValueResult filter_abs(const Value& input) {
  if (input.is_undefined()) return undefined_error(input);
  if (input.is_float()) return Value(std::fabs(input.number()));
  if (!input.is_integral()) {
    return type_error(fmt::format("bad operand type for abs(): '{}'", type_name(input)));
  }
  return input.integer() < 0 ? negate(input) : ValueResult(Value(input.integer()));
}

ValueResult filter_tojson(Context& context, const Value& input, const Arguments& arguments) {
  JsonFormat format;
  if (const Value* v = arguments.find(0, "ensure_ascii")) format.ensure_ascii = truth(*v);
  if (const Value* v = arguments.find(1, "indent"); v && !v->is_none()) {
    format.indented = true;
    format.item_separator = ",";
    if (v->is_text()) {
      format.indent = v->text();
    } else if (v->is_integral()) {
      format.indent =
          std::string(static_cast<size_t>(std::clamp<int64_t>(v->integer(), 0, 64)), ' ');
    } else {
      return type_error("tojson: indent must be a number or a text");
    }
    if (format.indent.size() > 64 || (v->is_integral() && v->integer() > 64)) {
      return type_error("tojson: indent is larger than 64");
    }
  }
  if (const Value* v = arguments.find(2, "separators"); v && !v->is_none()) {
    const Sequence* pair = v->sequence();
    if (!pair || pair->items.size() != 2 || !pair->items[0].is_text() ||
        !pair->items[1].is_text()) {
      return type_error("tojson: separators must be two texts");
    }
    format.item_separator = pair->items[0].text();
    format.key_separator = pair->items[1].text();
    if (format.item_separator.size() + format.key_separator.size() > 64) {
      return type_error("tojson: separators are too long");
    }
  }
  if (const Value* v = arguments.find(3, "sort_keys")) format.sort_keys = truth(*v);
  RETURN_IF_ERROR(context.step(input.weight() / 64));
  // Each part may bring a line break, its indent and separators of its own.
  const auto overhead =
      static_cast<int64_t>(format.indent.size()) * (input.depth() + 1) / 8 +
      static_cast<int64_t>(format.item_separator.size() + format.key_separator.size()) / 8;
  RETURN_IF_ERROR(context.charge(input.weight() * (1 + overhead)));
  ASSIGN_OR_RETURN(std::string text, json_form(input, format));
  return Value(std::move(text));
}

ValueResult filter_items(const Value& input) {
  std::vector<Value> items;
  if (input.is_undefined()) return make_sequence(Sequence::Type::kIterator, std::move(items));
  if (!input.dict()) return type_error("Can only get item pairs from a mapping.");
  for (const auto& [key, value] : input.dict()->items) {
    ASSIGN_OR_RETURN(Value pair, make_tuple({key, value}));
    items.push_back(std::move(pair));
  }
  return make_sequence(Sequence::Type::kIterator, std::move(items));
}

ValueResult filter_default(const Value& input, const Arguments& arguments) {
  const Value* boolean = arguments.find(1, "boolean");
  if (!input.is_undefined() && !(boolean && truth(*boolean) && !truth(input))) return input;
  const Value* otherwise = arguments.find(0, "default_value");
  return otherwise ? *otherwise : make_text("");
}

ValueResult filter_attr(Context& context, const Value& input, const Arguments& arguments) {
  const Value* name = arguments.find(0, "name");
  if (!name || !name->is_text()) return type_error("attr: a name is needed");
  if (input.is_undefined()) return undefined_error(input);
  ASSIGN_OR_RETURN(const auto own, context.own_attribute(input, name->text()));
  return own ? *own : missing(input, *name);
}

MaybeValue value_filter(Context& context, std::string_view name, const Value& input,
                        const Arguments& arguments) {
  if (name == "default" || name == "d") return answer(filter_default(input, arguments));
  if (name == "tojson") return answer(filter_tojson(context, input, arguments));
  if (name == "items") return answer(filter_items(input));
  if (name == "int") return answer(filter_int(input, arguments));
  if (name == "float") return answer(filter_float(input, arguments));
  if (name == "round") return answer(filter_round(input, arguments));
  if (name == "abs") return answer(filter_abs(input));
  if (name == "attr") return answer(filter_attr(context, input, arguments));
  if (name == "length" || name == "count") {
    ASSIGN_OR_RETURN(const int64_t length, context.length(input));
    return answer(Value(length));
  }
  return MaybeValue(nullptr);
}

}  // namespace

bool is_filter(std::string_view name) {
  return std::find(kFilters.begin(), kFilters.end(), name) != kFilters.end();
}

ValueResult apply_filter(Context& context, std::string_view name, const Value& input,
                         const Arguments& arguments) {
  RETURN_IF_ERROR(context.step());
  for (const auto family : {value_filter, text_filter, sequence_filter, selection_filter}) {
    ASSIGN_OR_RETURN(const std::shared_ptr<const Value> found,
                     family(context, name, input, arguments));
    if (found) return *found;
  }
  if (std::find(kUnsupported.begin(), kUnsupported.end(), name) != kUnsupported.end()) {
    return Error{ErrorCode::kUnsupported, fmt::format("filter '{}' is not supported", name)};
  }
  return invalid_argument(fmt::format("No filter named '{}'.", name));
}

}  // namespace pagoda::jinja
