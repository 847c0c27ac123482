// Python's two ways to format a text: the % operator and str.format().
#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "text/jinja/operators.h"
#include "text/jinja/text_form.h"
#include "text/unicode.h"

namespace pagoda::jinja {
namespace {

constexpr int64_t kMaxWidth = 10'000;

// One conversion, in the terms both notations share.
struct Spec {
  char fill = ' ';
  char align = '\0';  // < > ^ =
  char sign = '-';    // - + or space
  bool alternate = false;
  bool grouped = false;
  int64_t width = 0;
  int64_t precision = -1;
  char type = '\0';
};

std::string pad(std::string text, const Spec& spec, char align) {
  const int64_t missing = spec.width - count_code_points(text);
  if (missing <= 0) return text;
  const auto count = static_cast<size_t>(missing);
  if (align == '<') return text + std::string(count, spec.fill);
  if (align == '^') {
    return std::string(count / 2, spec.fill) + text + std::string(count - count / 2, spec.fill);
  }
  if (align == '=') {
    const size_t sign = !text.empty() && (text[0] == '-' || text[0] == '+' || text[0] == ' ');
    return text.substr(0, sign) + std::string(count, spec.fill) + text.substr(sign);
  }
  return std::string(count, spec.fill) + text;
}

std::string group_thousands(const std::string& digits) {
  size_t end = digits.find_first_not_of("0123456789");
  if (end == std::string::npos) end = digits.size();
  std::string out = digits;
  while (end > 3) {
    end -= 3;
    out.insert(end, ",");
  }
  return out;
}

std::string in_base(uint64_t magnitude, char type, bool alternate) {
  const int base = type == 'x' || type == 'X' ? 16 : type == 'o' ? 8 : type == 'b' ? 2 : 10;
  char buffer[72];
  const auto [end, status] = std::to_chars(buffer, buffer + sizeof(buffer), magnitude, base);
  std::string digits(buffer, end);
  if (type == 'X') digits = to_upper(digits);
  if (alternate && base != 10) digits = std::string("0") + type + digits;
  return digits;
}

std::string sign_of(bool negative, const Spec& spec) {
  if (negative) return "-";
  return spec.sign == '+' ? "+" : spec.sign == ' ' ? " " : "";
}

std::string format_float(double number, const Spec& spec) {
  const double magnitude = std::fabs(number);
  const int64_t precision = spec.precision < 0 ? 6 : spec.precision;
  std::string digits;
  if (!std::isfinite(number)) {
    digits = std::isnan(number) ? "nan" : "inf";
  } else {
    const std::string pattern = std::string("%") + (spec.alternate ? "#" : "") + ".*" +
                                (spec.type == '%' ? 'f' : spec.type);
    const double shown = spec.type == '%' ? magnitude * 100 : magnitude;
    const int size = std::snprintf(nullptr, 0, pattern.c_str(), static_cast<int>(precision), shown);
    digits.resize(static_cast<size_t>(std::max(size, 0)) + 1);
    std::snprintf(digits.data(), digits.size(), pattern.c_str(), static_cast<int>(precision),
                  shown);
    digits.pop_back();
  }
  if (spec.type == '%') digits += '%';
  if (spec.grouped) digits = group_thousands(digits);
  return sign_of(std::signbit(number) && !std::isnan(number), spec) + digits;
}

std::string format_integer(int64_t number, const Spec& spec) {
  const uint64_t magnitude =
      number < 0 ? ~static_cast<uint64_t>(number) + 1 : static_cast<uint64_t>(number);
  std::string digits = in_base(magnitude, spec.type, spec.alternate);
  if (spec.precision > static_cast<int64_t>(digits.size())) {
    digits.insert(0, static_cast<size_t>(spec.precision) - digits.size(), '0');
  }
  if (spec.grouped) digits = group_thousands(digits);
  return sign_of(number < 0, spec) + digits;
}

std::string truncated(std::string text, int64_t precision) {
  if (precision < 0) return text;
  const std::vector<size_t> offsets = code_point_offsets(text);
  if (static_cast<size_t>(precision) < offsets.size()) {
    text.resize(offsets[static_cast<size_t>(precision)]);
  }
  return text;
}

// Reads digits into `out`; stays within kMaxWidth.
Result<void> read_width(std::string_view text, size_t& at, int64_t& out) {
  out = 0;
  while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
    out = out * 10 + (text[at++] - '0');
    if (out > kMaxWidth) return type_error(fmt::format("a format is wider than {}", kMaxWidth));
  }
  return {};
}

// The arguments of one % expression.
class PercentArguments {
 public:
  explicit PercentArguments(const Value& arguments) : all_(arguments) {
    const Sequence* s = arguments.sequence();
    tuple_ = s && s->type == Sequence::Type::kTuple ? s : nullptr;
  }
  ValueResult next() {
    if (!tuple_) {
      if (used_++ > 0) return type_error("not enough arguments for format string");
      return all_;
    }
    if (used_ >= tuple_->items.size()) return type_error("not enough arguments for format string");
    return tuple_->items[used_++];
  }
  ValueResult named(std::string_view name) {
    by_name_ = true;
    if (!all_.dict()) return type_error("format requires a mapping");
    const Value* found = all_.dict()->find(name);
    if (!found) return type_error("KeyError: " + quote_text(name));
    return *found;
  }
  bool left_over() const {
    // What can be indexed counts as a mapping, of which nothing need be used.
    const Sequence* s = all_.sequence();
    if (by_name_ || all_.dict() || all_.is_undefined()) return false;
    if (tuple_) return used_ < tuple_->items.size();
    return used_ == 0 && !(s && s->indexable());
  }

 private:
  const Value& all_;
  const Sequence* tuple_;
  size_t used_ = 0;
  bool by_name_ = false;
};

Result<std::string> convert(Context& context, const Value& value, Spec spec) {
  switch (spec.type) {
    case 's':
    case 'r':
    case 'a': {
      ASSIGN_OR_RETURN(std::string text, context.to_text(value));
      if (spec.type != 's') text = repr(value);
      return truncated(std::move(text), spec.precision);
    }
    case 'c':
      if (value.is_text() && count_code_points(value.text()) == 1) return value.text();
      if (value.is_integral() && value.integer() >= 0 && value.integer() <= 0x10FFFF &&
          (value.integer() < 0xD800 || value.integer() > 0xDFFF)) {
        std::string text;
        append_utf8(text, static_cast<char32_t>(value.integer()));
        return text;
      }
      return type_error("%c requires int or char");
    case 'd':
    case 'i':
    case 'u':
    case 'x':
    case 'X':
    case 'o': {
      if (value.is_undefined()) return undefined_error(value);
      const bool decimal = spec.type == 'd' || spec.type == 'i' || spec.type == 'u';
      if (!value.is_integral() &&
          !(decimal && value.is_float() && std::fabs(value.number()) < 9.2e18)) {
        return type_error(fmt::format("%{} format: a real number is required, not {}", spec.type,
                                      type_name(value)));
      }
      if (decimal) spec.type = 'd';
      return format_integer(
          value.is_float() ? static_cast<int64_t>(value.number()) : value.integer(), spec);
    }
    case 'f':
    case 'F':
    case 'e':
    case 'E':
    case 'g':
    case 'G':
      if (value.is_undefined()) return undefined_error(value);
      if (!value.is_number()) {
        return type_error(fmt::format("must be real number, not {}", type_name(value)));
      }
      return format_float(value.number(), spec);
    default: return type_error(fmt::format("unsupported format character '{}'", spec.type));
  }
}

// Reads a conversion behind '%'; `at` ends on its type.
Result<Spec> read_percent_spec(std::string_view format, size_t& at, PercentArguments& arguments) {
  Spec spec;
  spec.align = '>';
  for (; at < format.size() && std::string_view("#0- +").find(format[at]) != std::string_view::npos;
       ++at) {
    if (format[at] == '#') spec.alternate = true;
    if (format[at] == '-') spec.align = '<';
    if (format[at] == '0' && spec.align != '<') spec.align = '=';
    if (format[at] == '+') spec.sign = '+';
    if (format[at] == ' ' && spec.sign != '+') spec.sign = ' ';
  }
  if (at < format.size() && format[at] == '*') {
    ASSIGN_OR_RETURN(const Value width, arguments.next());
    if (!width.is_integral()) return type_error("* wants int");
    spec.width = width.integer();
    if (spec.width < 0) spec.align = '<';
    if (spec.width < -kMaxWidth || spec.width > kMaxWidth)
      return type_error("a format is too wide");
    spec.width = std::abs(spec.width);
    ++at;
  } else {
    RETURN_IF_ERROR(read_width(format, at, spec.width));
  }
  if (at < format.size() && format[at] == '.') {
    ++at;
    RETURN_IF_ERROR(read_width(format, at, spec.precision));
  }
  while (at < format.size() && (format[at] == 'l' || format[at] == 'h' || format[at] == 'L')) ++at;
  if (at >= format.size()) return type_error("incomplete format");
  spec.type = format[at];
  return spec;
}

}  // namespace

ValueResult format_percent(Context& context, const Value& format_value, const Value& all) {
  const std::string& format = format_value.text();
  PercentArguments arguments(all);
  std::string out;
  for (size_t at = 0; at < format.size(); ++at) {
    if (format[at] != '%') {
      out += format[at];
      continue;
    }
    if (++at >= format.size()) return type_error("incomplete format");
    if (format[at] == '%') {
      out += '%';
      continue;
    }
    Value value;
    bool named = false;
    if (format[at] == '(') {
      const size_t close = format.find(')', at);
      if (close == std::string::npos) return type_error("incomplete format key");
      ASSIGN_OR_RETURN(value,
                       arguments.named(std::string_view(format).substr(at + 1, close - at - 1)));
      named = true;
      at = close + 1;
    }
    ASSIGN_OR_RETURN(Spec spec, read_percent_spec(format, at, arguments));
    if (spec.type == '%') {
      out += '%';
      continue;
    }
    if (!named) {
      ASSIGN_OR_RETURN(value, arguments.next());
    }
    const bool numeric =
        spec.type != 's' && spec.type != 'r' && spec.type != 'a' && spec.type != 'c';
    if (spec.align == '=' && numeric) spec.fill = '0';
    ASSIGN_OR_RETURN(std::string text, convert(context, value, spec));
    out += pad(std::move(text), spec, spec.align == '=' && !numeric ? '>' : spec.align);
    RETURN_IF_ERROR(context.step());
    RETURN_IF_ERROR(context.charge(spec.width));
  }
  if (arguments.left_over()) {
    return type_error("not all arguments converted during string formatting");
  }
  RETURN_IF_ERROR(context.charge(static_cast<int64_t>(format.size())));
  return Value(std::move(out), format_value.is_markup());
}

namespace {

// [[fill]align][sign][#][0][width][,][.precision][type] of a replacement field.
Result<Spec> read_brace_spec(std::string_view text) {
  Spec spec;
  size_t at = 0;
  const auto is_align = [&](size_t i) {
    return i < text.size() && std::string_view("<>^=").find(text[i]) != std::string_view::npos;
  };
  if (is_align(1)) {
    spec.fill = text[0];
    spec.align = text[1];
    at = 2;
  } else if (is_align(0)) {
    spec.align = text[at++];
  }
  if (at < text.size() && (text[at] == '+' || text[at] == '-' || text[at] == ' ')) {
    spec.sign = text[at++];
  }
  if (at < text.size() && text[at] == '#') {
    spec.alternate = true;
    ++at;
  }
  if (at < text.size() && text[at] == '0') {
    if (spec.align == '\0') {
      spec.align = '=';
      spec.fill = '0';
    }
    ++at;
  }
  RETURN_IF_ERROR(read_width(text, at, spec.width));
  if (at < text.size() && text[at] == ',') {
    spec.grouped = true;
    ++at;
  }
  if (at < text.size() && text[at] == '.') {
    ++at;
    RETURN_IF_ERROR(read_width(text, at, spec.precision));
  }
  if (at < text.size()) spec.type = text[at++];
  if (at != text.size()) return type_error("Invalid format specifier");
  return spec;
}

Result<std::string> format_field(Context& context, const Value& value, std::string_view text) {
  if (text.empty()) return context.to_text(value);
  ASSIGN_OR_RETURN(Spec spec, read_brace_spec(text));
  RETURN_IF_ERROR(context.charge(spec.width));
  const bool numeric = value.is_number() && !(value.is_bool() && spec.type == '\0');
  std::string out;
  if (!numeric) {
    if (spec.type != '\0' && spec.type != 's') {
      return type_error(fmt::format("Unknown format code '{}' for object of type '{}'", spec.type,
                                    type_name(value)));
    }
    if (!value.is_text() && !value.is_undefined() && !value.is_bool()) {
      return type_error(
          fmt::format("unsupported format string passed to {}.__format__", type_name(value)));
    }
    ASSIGN_OR_RETURN(out, context.to_text(value));
    out = truncated(std::move(out), spec.precision);
  } else if (value.is_integral() && (spec.type == '\0' || spec.type == 'd' || spec.type == 'x' ||
                                     spec.type == 'X' || spec.type == 'o' || spec.type == 'b')) {
    out = format_integer(value.integer(), spec);
  } else if (spec.type == '\0') {
    if (spec.precision >= 0) return type_error("a precision needs a format type");
    out = sign_of(std::signbit(value.number()), spec) + float_repr(std::fabs(value.number()));
  } else if (std::string_view("eEfFgG%").find(spec.type) != std::string_view::npos) {
    out = format_float(value.number(), spec);
  } else {
    return type_error(fmt::format("Unknown format code '{}' for object of type '{}'", spec.type,
                                  type_name(value)));
  }
  const char align = spec.align != '\0' ? spec.align : numeric ? '>' : '<';
  return pad(std::move(out), spec, align);
}

// name, index or nothing, then .attribute and [item] parts.
ValueResult resolve_field(Context& context, std::string_view field, const Arguments& arguments,
                          int64_t& automatic) {
  const size_t end = std::min(field.find_first_of(".["), field.size());
  const std::string_view first = field.substr(0, end);
  int64_t index = -1;
  if (first.empty()) {
    index = automatic++;
  } else if (first.find_first_not_of("0123456789") == std::string_view::npos && first.size() < 9) {
    index = std::stoll(std::string(first));
  }
  const Value* found = index >= 0 ? (static_cast<size_t>(index) < arguments.positional.size()
                                         ? &arguments.positional[static_cast<size_t>(index)]
                                         : nullptr)
                                  : arguments.find(SIZE_MAX, first);
  if (!found) {
    return type_error(index >= 0 ? "Replacement index out of range for positional args tuple"
                                 : "KeyError: " + quote_text(first));
  }
  Value value = *found;
  std::string_view rest = field.substr(end);
  while (!rest.empty()) {
    const bool bracket = rest[0] == '[';
    const size_t stop =
        bracket ? rest.find(']') : std::min(rest.find_first_of(".[", 1), rest.size());
    if (stop == std::string_view::npos || (!bracket && rest[0] != '.')) {
      return type_error("malformed field in format string");
    }
    const std::string_view name = rest.substr(1, stop - 1);
    const bool number = bracket && !name.empty() && name.size() < 9 &&
                        name.find_first_not_of("0123456789") == std::string_view::npos;
    ASSIGN_OR_RETURN(value, number
                                ? context.item(value, Value(int64_t{std::stoll(std::string(name))}))
                                : context.attribute(value, name));
    rest = rest.substr(bracket ? stop + 1 : stop);
  }
  return value;
}

}  // namespace

ValueResult format_braces(Context& context, const Value& format_value, const Arguments& arguments) {
  const std::string& format = format_value.text();
  std::string out;
  int64_t automatic = 0;
  for (size_t at = 0; at < format.size(); ++at) {
    const char c = format[at];
    if (c != '{' && c != '}') {
      out += c;
      continue;
    }
    if (at + 1 < format.size() && format[at + 1] == c) {
      out += c;
      ++at;
      continue;
    }
    const size_t close = c == '{' ? format.find('}', at) : std::string::npos;
    if (close == std::string::npos)
      return type_error("Single '" + std::string(1, c) + "' encountered in format string");
    std::string_view field = std::string_view(format).substr(at + 1, close - at - 1);
    if (field.find('{') != std::string_view::npos) {
      return type_error("nested replacement fields are not supported");
    }
    std::string_view spec;
    if (const size_t colon = field.find(':'); colon != std::string_view::npos) {
      spec = field.substr(colon + 1);
      field = field.substr(0, colon);
    }
    char conversion = 's';
    bool converted = false;
    if (field.size() >= 2 && field[field.size() - 2] == '!') {
      conversion = field.back();
      converted = true;
      field.remove_suffix(2);
    }
    ASSIGN_OR_RETURN(Value value, resolve_field(context, field, arguments, automatic));
    if (converted) {
      ASSIGN_OR_RETURN(std::string text, context.to_text(value));
      value = Value(conversion == 's' ? std::move(text) : repr(value));
    }
    ASSIGN_OR_RETURN(const std::string text, format_field(context, value, spec));
    RETURN_IF_ERROR(context.step());
    out += text;
    at = close;
  }
  RETURN_IF_ERROR(context.charge(static_cast<int64_t>(format.size())));
  return Value(std::move(out), format_value.is_markup());
}

}  // namespace pagoda::jinja
