// The % operator of a text: printf-style formatting.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "text/jinja/number_format.h"
#include "text/jinja/operators.h"
#include "text/jinja/text_form.h"
#include "text/unicode.h"

namespace pagoda::jinja {
namespace {

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

Result<std::string> convert(Context& context, const Value& value, FormatSpec spec) {
  switch (spec.type) {
    case 's':
    case 'r':
    case 'a': {
      ASSIGN_OR_RETURN(std::string text, context.to_text(value));
      if (spec.type != 's') text = repr(value);
      if (spec.type == 'a') text = ascii_only(text);
      return first_characters(std::move(text), spec.precision);
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
Result<FormatSpec> read_percent_spec(std::string_view format, size_t& at,
                                     PercentArguments& arguments) {
  FormatSpec spec;
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
    if (spec.width < -kMaxFormatWidth || spec.width > kMaxFormatWidth)
      return type_error("a format is too wide");
    spec.width = std::abs(spec.width);
    ++at;
  } else {
    ASSIGN_OR_RETURN(spec.width, read_format_width(format, at));
  }
  if (at < format.size() && format[at] == '.') {
    ++at;
    if (at < format.size() && format[at] == '*') {
      ++at;
      ASSIGN_OR_RETURN(const Value precision, arguments.next());
      if (!precision.is_integral()) return type_error("* wants int");
      if (precision.integer() > kMaxFormatWidth) return type_error("a format is too wide");
      spec.precision = std::max<int64_t>(precision.integer(), 0);
    } else {
      ASSIGN_OR_RETURN(spec.precision, read_format_width(format, at));
    }
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
    ASSIGN_OR_RETURN(FormatSpec spec, read_percent_spec(format, at, arguments));
    if (!named) {
      ASSIGN_OR_RETURN(value, arguments.next());
    }
    const bool numeric =
        spec.type != 's' && spec.type != 'r' && spec.type != 'a' && spec.type != 'c';
    if (spec.align == '=' && numeric) spec.fill = "0";
    ASSIGN_OR_RETURN(std::string text, convert(context, value, spec));
    if (format_value.is_markup() && !value.is_markup()) {
      RETURN_IF_ERROR(context.charge(static_cast<int64_t>(text.size()) * 5));
      text = escape_html(text);
    }
    out += pad_format(std::move(text), spec, spec.align == '=' && !numeric ? '>' : spec.align);
    RETURN_IF_ERROR(context.step());
    RETURN_IF_ERROR(context.charge(spec.width));
  }
  if (arguments.left_over()) {
    return type_error("not all arguments converted during string formatting");
  }
  RETURN_IF_ERROR(context.charge(static_cast<int64_t>(format.size())));
  return Value(std::move(out), format_value.is_markup());
}

}  // namespace pagoda::jinja
