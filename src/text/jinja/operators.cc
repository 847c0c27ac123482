// Python's operators: arithmetic with its int, float and bool, sequences, order.
#include "text/jinja/operators.h"

#include <fmt/core.h>

#include <cmath>
#include <string>
#include <utility>

#include "text/jinja/text_form.h"

namespace pagoda::jinja {
namespace {

Error overflow() {
  return invalid_argument("an integer of the template goes beyond 64 bits");
}

Error no_operator(std::string_view op, const Value& left, const Value& right) {
  return type_error(fmt::format("unsupported operand type(s) for {}: '{}' and '{}'", op,
                                type_name(left), type_name(right)));
}

ValueResult add_text(Context& context, const Value& left, const Value& right) {
  // Markup escapes what is added to it, from either side.
  const bool markup = left.is_markup() || right.is_markup();
  RETURN_IF_ERROR(context.charge(static_cast<int64_t>(left.text().size() + right.text().size()) *
                                 (markup ? 5 : 1)));
  const auto part = [&](const Value& value) {
    return markup && !value.is_markup() ? escape_html(value.text()) : value.text();
  };
  if (markup) return Value(part(left) + part(right), true);
  std::string out;
  out.reserve(left.text().size() + right.text().size());
  out.append(left.text()).append(right.text());
  return Value(std::move(out));
}

ValueResult add_sequences(Context& context, const Sequence& left, const Sequence& right) {
  RETURN_IF_ERROR(context.charge_items(left.items.size() + right.items.size()));
  std::vector<Value> items = left.items;
  items.insert(items.end(), right.items.begin(), right.items.end());
  return make_sequence(left.type, std::move(items));
}

ValueResult repeat(Context& context, const Value& value, int64_t count) {
  count = std::max<int64_t>(count, 0);
  if (value.is_text()) {
    const auto size = static_cast<int64_t>(value.text().size());
    if (size > 0 && count > kMaxValueWeight / size) {
      return invalid_argument(
          fmt::format("a repeated text is larger than {} bytes", kMaxValueWeight));
    }
    RETURN_IF_ERROR(context.charge(size * count));
    std::string out;
    out.reserve(static_cast<size_t>(size * count));
    for (int64_t i = 0; i < count && size > 0; ++i) out += value.text();
    return Value(std::move(out), value.is_markup());
  }
  const Sequence& s = *value.sequence();
  const auto size = static_cast<int64_t>(s.items.size());
  if (size > 0 && count > kMaxValueWeight / size) {
    return invalid_argument("a repeated list is too large");
  }
  RETURN_IF_ERROR(context.charge_items(static_cast<size_t>(size * count)));
  std::vector<Value> items;
  for (int64_t i = 0; i < count && size > 0; ++i) {
    items.insert(items.end(), s.items.begin(), s.items.end());
  }
  return make_sequence(s.type, std::move(items));
}

bool is_list_or_tuple(const Value& value) {
  const Sequence* s = value.sequence();
  return s && (s->type == Sequence::Type::kList || s->type == Sequence::Type::kTuple);
}

ValueResult integer_power(int64_t base, int64_t exponent) {
  if (exponent < 0) {
    if (base == 0) return type_error("0.0 cannot be raised to a negative power");
    return Value(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
  int64_t result = 1;
  while (exponent > 0) {
    if ((exponent & 1) != 0 && __builtin_mul_overflow(result, base, &result)) return overflow();
    exponent >>= 1;
    if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) return overflow();
  }
  return Value(result);
}

ValueResult integer_operation(std::string_view op, int64_t left, int64_t right) {
  int64_t result = 0;
  if (op == "+")
    return __builtin_add_overflow(left, right, &result) ? overflow() : ValueResult(Value(result));
  if (op == "-")
    return __builtin_sub_overflow(left, right, &result) ? overflow() : ValueResult(Value(result));
  if (op == "*")
    return __builtin_mul_overflow(left, right, &result) ? overflow() : ValueResult(Value(result));
  if (op == "**") return integer_power(left, right);
  if (right == 0) {
    return type_error(op == "/" ? "division by zero" : "integer division or modulo by zero");
  }
  if (op == "/") return Value(static_cast<double>(left) / static_cast<double>(right));
  if (right == -1) {  // INT64_MIN / -1 traps
    if (op == "%") return Value(int64_t{0});
    return __builtin_sub_overflow(int64_t{0}, left, &result) ? overflow()
                                                             : ValueResult(Value(result));
  }
  // Python rounds towards minus infinity.
  const int64_t remainder = left % right;
  const bool adjust = remainder != 0 && (remainder < 0) != (right < 0);
  if (op == "%") return Value(adjust ? remainder + right : remainder);
  return Value(left / right - (adjust ? 1 : 0));
}

ValueResult float_operation(std::string_view op, double left, double right) {
  if (op == "+") return Value(left + right);
  if (op == "-") return Value(left - right);
  if (op == "*") return Value(left * right);
  if (op == "**") {
    if (left == 0.0 && right < 0.0) {
      return type_error("0.0 cannot be raised to a negative power");
    }
    const double result = std::pow(left, right);
    if (std::isnan(result) && !std::isnan(left) && !std::isnan(right)) {
      return type_error("complex numbers are not supported");
    }
    if (std::isinf(result) && std::isfinite(left) && std::isfinite(right)) {
      return type_error("(34, 'Numerical result out of range')");
    }
    return Value(result);
  }
  if (right == 0.0) {
    return type_error(op == "/"   ? "float division by zero"
                      : op == "%" ? "float modulo"
                                  : "float floor division by zero");
  }
  if (op == "/") return Value(left / right);
  double remainder = std::fmod(left, right);
  double quotient = (left - remainder) / right;
  if (remainder != 0.0) {
    if ((right < 0) != (remainder < 0)) {
      remainder += right;
      quotient -= 1.0;
    }
  } else {
    remainder = std::copysign(0.0, right);
  }
  if (op == "%") return Value(remainder);
  if (quotient == 0.0) return Value(std::copysign(0.0, left / right));
  const double floored = std::floor(quotient);
  return Value(quotient - floored > 0.5 ? floored + 1.0 : floored);
}

}  // namespace

ValueResult binary_operation(Context& context, std::string_view op, const Value& left,
                             const Value& right) {
  if (op == "%" && left.is_text()) return format_percent(context, left, right);
  for (const Value* side : {&left, &right}) {
    if (side->is_undefined()) return undefined_error(*side);
  }
  if (left.is_number() && right.is_number()) {
    if (left.is_integral() && right.is_integral()) {
      return integer_operation(op, left.integer(), right.integer());
    }
    return float_operation(op, left.number(), right.number());
  }
  if (op == "+") {
    if (left.is_text() && right.is_text()) return add_text(context, left, right);
    if (is_list_or_tuple(left) && is_list_or_tuple(right) &&
        left.sequence()->type == right.sequence()->type) {
      return add_sequences(context, *left.sequence(), *right.sequence());
    }
    if (left.is_text()) {
      return type_error(
          fmt::format("can only concatenate str (not \"{}\") to str", type_name(right)));
    }
  }
  if (op == "*") {
    const auto repeatable = [](const Value& v) { return v.is_text() || is_list_or_tuple(v); };
    if (repeatable(left) && right.is_integral()) return repeat(context, left, right.integer());
    if (repeatable(right) && left.is_integral()) return repeat(context, right, left.integer());
  }
  return no_operator(op == "**" ? "** or pow()" : op, left, right);
}

ValueResult negate(const Value& value) {
  if (value.is_undefined()) return undefined_error(value);
  if (value.is_integral()) return integer_operation("-", 0, value.integer());
  if (value.is_float()) return Value(-value.number());
  return type_error(fmt::format("bad operand type for unary -: '{}'", type_name(value)));
}

ValueResult plus(const Value& value) {
  if (value.is_undefined()) return undefined_error(value);
  if (value.is_integral()) return Value(value.integer());
  if (value.is_float()) return value;
  return type_error(fmt::format("bad operand type for unary +: '{}'", type_name(value)));
}

Result<bool> comparison(Context& context, std::string_view op, const Value& left,
                        const Value& right) {
  if (op == "in") return context.contains(right, left);
  if (op == "not in") {
    ASSIGN_OR_RETURN(const bool found, context.contains(right, left));
    return !found;
  }
  RETURN_IF_ERROR(context.step(std::min(left.weight(), right.weight()) / 16));
  if (op == "==") return equal(left, right);
  if (op == "!=") return !equal(left, right);
  for (const Value* side : {&left, &right}) {
    if (side->is_undefined()) return undefined_error(*side);
  }
  if ((left.is_float() && std::isnan(left.number())) ||
      (right.is_float() && std::isnan(right.number()))) {
    return false;
  }
  int order = 0;
  if (!compare(left, right, order)) {
    return type_error(fmt::format("'{}' not supported between instances of '{}' and '{}'", op,
                                  type_name(left), type_name(right)));
  }
  if (op == "<") return order < 0;
  if (op == "<=") return order <= 0;
  if (op == ">") return order > 0;
  return order >= 0;
}

}  // namespace pagoda::jinja
