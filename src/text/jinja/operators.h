// Python's operators on values.
#pragma once

#include <string_view>
#include <vector>

#include "text/jinja/context.h"
#include "text/jinja/value.h"

namespace pagoda::jinja {

// `left op right` for + - * / // % **. kInvalidArgument for types it is not defined for, division
// by zero, and integers beyond 64 bits.
ValueResult binary_operation(Context& context, std::string_view op, const Value& left,
                             const Value& right);
ValueResult negate(const Value& value);
ValueResult plus(const Value& value);

// `left op right` for == != < <= > >= in, not in.
Result<bool> comparison(Context& context, std::string_view op, const Value& left,
                        const Value& right);

// `format % arguments` of a text: printf-style.
ValueResult format_percent(Context& context, const Value& format, const Value& arguments);
// str.format().
ValueResult format_braces(Context& context, const Value& format, const Arguments& arguments);

}  // namespace pagoda::jinja
