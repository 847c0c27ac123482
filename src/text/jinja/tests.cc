// Tests: what stands behind `is`.
#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "text/jinja/builtins.h"
#include "text/jinja/operators.h"
#include "text/unicode.h"

namespace pagoda::jinja {
namespace {

using Test = Result<bool> (*)(Context& context, const Value& input, const Arguments& arguments);

struct NamedTest {
  std::string_view name;
  Test test;
  size_t num_arguments = 0;
};

Result<Value> first_argument(const Arguments& arguments) {
  if (arguments.positional.empty()) return type_error("a test misses its argument");
  return arguments.positional[0];
}

template <char kOp0, char kOp1 = '\0'>
Result<bool> test_order(Context& context, const Value& input, const Arguments& arguments) {
  constexpr char kName[] = {kOp0, kOp1, '\0'};
  ASSIGN_OR_RETURN(const Value other, first_argument(arguments));
  return comparison(context, kName, input, other);
}

Result<bool> test_in(Context& context, const Value& input, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Value container, first_argument(arguments));
  return context.contains(container, input);
}

Result<bool> test_sameas(Context&, const Value& input, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Value other, first_argument(arguments));
  return input.same_as(other);
}

Result<bool> test_divisibleby(Context& context, const Value& input, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Value divisor, first_argument(arguments));
  ASSIGN_OR_RETURN(const Value rest, binary_operation(context, "%", input, divisor));
  return !truth(rest) && rest.is_number();
}

template <int64_t kRest>
Result<bool> test_parity(Context& context, const Value& input, const Arguments&) {
  ASSIGN_OR_RETURN(const Value rest, binary_operation(context, "%", input, Value(int64_t{2})));
  return rest.is_number() && rest.number() == static_cast<double>(kRest);
}

Result<bool> test_defined(Context&, const Value& input, const Arguments&) {
  return !input.is_undefined();
}
Result<bool> test_undefined(Context&, const Value& input, const Arguments&) {
  return input.is_undefined();
}
Result<bool> test_none(Context&, const Value& input, const Arguments&) {
  return input.is_none();
}
Result<bool> test_boolean(Context&, const Value& input, const Arguments&) {
  return input.is_bool();
}
template <bool kWanted>
Result<bool> test_constant(Context&, const Value& input, const Arguments&) {
  return input.is_bool() && truth(input) == kWanted;
}
Result<bool> test_integer(Context&, const Value& input, const Arguments&) {
  return input.is_int();
}
Result<bool> test_float(Context&, const Value& input, const Arguments&) {
  return input.is_float();
}
Result<bool> test_number(Context&, const Value& input, const Arguments&) {
  return input.is_number();
}
Result<bool> test_string(Context&, const Value& input, const Arguments&) {
  return input.is_text();
}
Result<bool> test_escaped(Context&, const Value& input, const Arguments&) {
  return input.is_markup();
}
Result<bool> test_mapping(Context&, const Value& input, const Arguments&) {
  return input.dict() != nullptr;
}
Result<bool> test_callable(Context&, const Value& input, const Arguments&) {
  // Undefined has a __call__, which raises.
  return input.is_undefined() || (input.object() && input.object()->callable());
}
Result<bool> test_iterable(Context&, const Value& input, const Arguments&) {
  return input.is_text() || input.sequence() || input.dict() || input.is_undefined() ||
         (input.object() && input.object()->type_name() == "LoopContext");
}
// Has a length and can be indexed.
Result<bool> test_sequence(Context&, const Value& input, const Arguments&) {
  const Sequence* s = input.sequence();
  return input.is_text() || input.dict() || input.is_undefined() || (s && s->indexable());
}
template <bool kUpper>
Result<bool> test_case(Context& context, const Value& input, const Arguments&) {
  ASSIGN_OR_RETURN(const std::string text, context.to_text(input));
  bool cased = false;
  for (size_t offset = 0; offset < text.size();) {
    const char32_t c = next_code_point(text, offset);
    if (kUpper ? is_lower(c) : is_upper(c)) return false;
    cased |= kUpper ? is_upper(c) : is_lower(c);
  }
  return cased;
}
Result<bool> test_filter(Context&, const Value& input, const Arguments&) {
  if (!hashable(input)) return unhashable(input);
  return input.is_text() && is_filter(input.text());
}
Result<bool> test_test(Context&, const Value& input, const Arguments&) {
  if (!hashable(input)) return unhashable(input);
  return input.is_text() && is_test(input.text());
}

constexpr std::array<NamedTest, 39> kTests = {{
    {"==", test_order<'=', '='>, 1},
    {"eq", test_order<'=', '='>, 1},
    {"equalto", test_order<'=', '='>, 1},
    {"!=", test_order<'!', '='>, 1},
    {"ne", test_order<'!', '='>, 1},
    {"<", test_order<'<'>, 1},
    {"lt", test_order<'<'>, 1},
    {"lessthan", test_order<'<'>, 1},
    {"<=", test_order<'<', '='>, 1},
    {"le", test_order<'<', '='>, 1},
    {">", test_order<'>'>, 1},
    {"gt", test_order<'>'>, 1},
    {"greaterthan", test_order<'>'>, 1},
    {">=", test_order<'>', '='>, 1},
    {"ge", test_order<'>', '='>, 1},
    {"boolean", test_boolean},
    {"callable", test_callable},
    {"defined", test_defined},
    {"divisibleby", test_divisibleby, 1},
    {"escaped", test_escaped},
    {"even", test_parity<0>},
    {"false", test_constant<false>},
    {"filter", test_filter},
    {"float", test_float},
    {"in", test_in, 1},
    {"integer", test_integer},
    {"iterable", test_iterable},
    {"lower", test_case<false>},
    {"mapping", test_mapping},
    {"none", test_none},
    {"number", test_number},
    {"odd", test_parity<1>},
    {"sameas", test_sameas, 1},
    {"sequence", test_sequence},
    {"string", test_string},
    {"test", test_test},
    {"true", test_constant<true>},
    {"undefined", test_undefined},
    {"upper", test_case<true>},
}};

const NamedTest* find_test(std::string_view name) {
  const auto* found = std::find_if(kTests.begin(), kTests.end(),
                                   [&](const NamedTest& entry) { return entry.name == name; });
  return found == kTests.end() ? nullptr : found;
}

}  // namespace

bool is_test(std::string_view name) {
  return find_test(name) != nullptr;
}

Result<bool> apply_test(Context& context, std::string_view name, const Value& input,
                        const Arguments& arguments) {
  RETURN_IF_ERROR(context.step());
  const NamedTest* entry = find_test(name);
  if (!entry) return invalid_argument(fmt::format("No test named '{}'.", name));
  if (arguments.positional.size() != entry->num_arguments || !arguments.named.empty()) {
    return type_error(fmt::format("test '{}' takes {} arguments", name, entry->num_arguments));
  }
  return entry->test(context, input, arguments);
}

}  // namespace pagoda::jinja
