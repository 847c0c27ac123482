// Filters: the list of names, and the filters of single values.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "text/jinja/builtins.h"
#include "text/jinja/case.h"
#include "text/jinja/operators.h"
#include "text/jinja/text_form.h"
#include "text/unicode.h"

namespace pagoda::jinja {
namespace {

// A filter's parameters behind the value, in order, and how many of them must be given. "*": it
// checks them itself.
struct Signature {
  std::string_view name;
  std::string_view parameters = {};
  size_t num_required = 0;
};

constexpr Signature kFilters[] = {
    {"abs"},
    {"attr", "name", 1},
    {"batch", "linecount,fill_with", 1},
    {"capitalize"},
    {"center", "width"},
    {"count"},
    {"d", "default_value,boolean"},
    {"default", "default_value,boolean"},
    {"dictsort", "case_sensitive,by,reverse"},
    {"e"},
    {"escape"},
    {"filesizeformat", "binary"},
    {"first"},
    {"float", "default"},
    {"forceescape"},
    {"format", "*"},
    {"groupby", "attribute,default,case_sensitive", 1},
    {"indent", "width,first,blank"},
    {"int", "default,base"},
    {"items"},
    {"join", "d,attribute"},
    {"last"},
    {"length"},
    {"list"},
    {"lower"},
    {"map", "*"},
    {"max", "case_sensitive,attribute"},
    {"min", "case_sensitive,attribute"},
    {"pprint"},
    {"random"},
    {"reject", "*"},
    {"rejectattr", "*"},
    {"replace", "old,new,count", 2},
    {"reverse"},
    {"round", "precision,method"},
    {"safe"},
    {"select", "*"},
    {"selectattr", "*"},
    {"slice", "slices,fill_with", 1},
    {"sort", "reverse,case_sensitive,attribute"},
    {"string"},
    {"striptags"},
    {"sum", "attribute,start"},
    {"title"},
    {"tojson", "ensure_ascii,indent,separators,sort_keys"},
    {"trim", "chars"},
    {"truncate", "length,killwords,end,leeway"},
    {"unique", "case_sensitive,attribute"},
    {"upper"},
    {"urlencode"},
    {"urlize", "*"},
    {"wordcount"},
    {"wordwrap", "width,break_long_words,wrapstring,break_on_hyphens"},
    {"xmlattr", "autospace"},
};
// Names Jinja2 has and this build refuses: what they give is random, or is for people or HTML only.
constexpr std::array<std::string_view, 3> kUnsupported = {"pprint", "random", "urlize"};

const Signature* find_signature(std::string_view name) {
  const auto* found = std::find_if(std::begin(kFilters), std::end(kFilters),
                                   [&](const Signature& entry) { return entry.name == name; });
  return found == std::end(kFilters) ? nullptr : found;
}

// Refuses arguments that are too many, unknown, given twice or missing.
Result<void> check_arguments(const Signature& signature, const Arguments& arguments) {
  if (signature.parameters == "*") return {};
  size_t num_parameters = 0, num_found = 0;
  for (std::string_view rest = signature.parameters; !rest.empty(); ++num_parameters) {
    const std::string_view parameter = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), parameter.size() + 1));
    const bool by_place = num_parameters < arguments.positional.size();
    const bool by_name = arguments.find(SIZE_MAX, parameter) != nullptr;
    if (by_place && by_name) {
      return type_error(fmt::format("filter '{}' got multiple values for argument '{}'",
                                    signature.name, parameter));
    }
    if (!by_place && !by_name && num_parameters < signature.num_required) {
      return type_error(
          fmt::format("filter '{}' misses its argument '{}'", signature.name, parameter));
    }
    num_found += by_name;
  }
  if (arguments.positional.size() > num_parameters) {
    return type_error(fmt::format("filter '{}' takes at most {} arguments, not {}", signature.name,
                                  num_parameters, arguments.positional.size()));
  }
  if (num_found < arguments.named.size()) {
    return type_error(
        fmt::format("filter '{}' got an unexpected keyword argument", signature.name));
  }
  return {};
}

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
  std::string digits;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      digits += text[i];
      continue;
    }
    const auto is_decimal = [&](size_t at) { return text[at] >= '0' && text[at] <= '9'; };
    if (i == 0 || i + 1 == text.size() || !is_decimal(i - 1) || !is_decimal(i + 1)) return false;
  }
  const char* last = digits.data() + digits.size();
  const auto [end, status] = std::from_chars(digits.data(), last, out);
  if (status == std::errc::result_out_of_range && end == last) {
    out = std::strtod(digits.c_str(), nullptr);  // infinity or zero, as in Python
    return true;
  }
  return status == std::errc() && end == last && !digits.empty();
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
  const std::string prefix = change_case(text.substr(0, 2), Case::kLower);
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

// Python's round(n, p) of an integer: for a negative p to a multiple of 10**-p, halves to even
// ones.
ValueResult round_integer(int64_t number, int64_t precision) {
  if (precision >= 0) return Value(number);
  if (precision < -18) return Value(int64_t{0});
  int64_t scale = 1;
  for (int64_t i = 0; i < -precision; ++i) scale *= 10;
  int64_t quotient = number / scale;
  const int64_t rest = std::abs(number % scale), half = scale / 2;
  if (rest > half || (rest == half && quotient % 2 != 0)) quotient += number < 0 ? -1 : 1;
  int64_t rounded = 0;
  if (__builtin_mul_overflow(quotient, scale, &rounded)) return too_large();
  return Value(rounded);
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
    return input.is_integral() ? round_integer(input.integer(), precision)
                               : Value(round_decimal(input.number(), precision));
  }
  if (method != "ceil" && method != "floor") {
    return type_error("method must be common, ceil or floor");
  }
  const double scale = std::pow(10.0, static_cast<double>(precision));
  const double scaled = input.number() * scale;
  if (!std::isfinite(scaled) || scale == 0.0) {
    return type_error("round: the value is too large for this precision");
  }
  // Python rounds to an integer here, which has no negative zero.
  return Value(((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) + 0.0) / scale);
}

ValueResult filter_abs(const Value& input) {
  if (input.is_undefined()) return undefined_error(input);
  if (input.is_float()) return Value(std::fabs(input.number()));
  if (!input.is_integral()) {
    return type_error(fmt::format("bad operand type for abs(): '{}'", type_name(input)));
  }
  return input.integer() < 0 ? negate(input) : ValueResult(Value(input.integer()));
}

// 13 kB, 4.1 MB: by 1000, or with `binary` by 1024.
ValueResult filter_filesizeformat(const Value& input, const Arguments& arguments) {
  if (input.is_undefined()) return undefined_error(input);
  double bytes = 0;
  if (input.is_number()) {
    bytes = input.number();
  } else if (!input.is_text() || !parse_float(input.text(), bytes)) {
    return type_error("filesizeformat: the value is not a number");
  }
  const Value* binary_value = arguments.find(0, "binary");
  const bool binary = binary_value && truth(*binary_value);
  const double base = binary ? 1024 : 1000;
  if (bytes == 1) return make_text("1 Byte");
  if (bytes < base) {
    if (!std::isfinite(bytes)) return type_error("cannot convert float infinity to integer");
    return Value(fmt::format("{:.0f} Bytes", std::trunc(bytes) + 0.0));
  }
  double unit = base;
  for (const char prefix : std::string_view("kMGTPEZY")) {
    unit *= base;
    if (bytes < unit || prefix == 'Y') {
      const char shown = binary && prefix == 'k' ? 'K' : prefix;
      return Value(fmt::format("{:.1f} {}{}", base * bytes / unit, shown, binary ? "iB" : "B"));
    }
  }
  return Value();
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
  if (name == "filesizeformat") return answer(filter_filesizeformat(input, arguments));
  if (name == "attr") return answer(filter_attr(context, input, arguments));
  if (name == "length" || name == "count") {
    ASSIGN_OR_RETURN(const int64_t length, context.length(input));
    return answer(Value(length));
  }
  return MaybeValue(nullptr);
}

}  // namespace

bool is_filter(std::string_view name) {
  return find_signature(name) != nullptr;
}

ValueResult apply_filter(Context& context, std::string_view name, const Value& input,
                         const Arguments& arguments) {
  RETURN_IF_ERROR(context.step());
  const Signature* signature = find_signature(name);
  if (!signature) return invalid_argument(fmt::format("No filter named '{}'.", name));
  if (std::find(kUnsupported.begin(), kUnsupported.end(), name) != kUnsupported.end()) {
    return Error{ErrorCode::kUnsupported, fmt::format("filter '{}' is not supported", name)};
  }
  RETURN_IF_ERROR(check_arguments(*signature, arguments));
  for (const auto family : {value_filter, text_filter, sequence_filter, selection_filter}) {
    ASSIGN_OR_RETURN(const std::shared_ptr<const Value> found,
                     family(context, name, input, arguments));
    if (found) return *found;
  }
  return Error{ErrorCode::kInternal, fmt::format("filter '{}' has no code", name)};
}

}  // namespace pagoda::jinja
