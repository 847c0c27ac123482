// Filters, tests and global functions that templates may name.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "text/jinja/context.h"
#include "text/jinja/value.h"

namespace pagoda::jinja {

// Applies a filter to `input`. kInvalidArgument for an unknown name or wrong arguments.
ValueResult apply_filter(Context& context, std::string_view name, const Value& input,
                         const Arguments& arguments);

// Decides `input is name(arguments)`.
Result<bool> apply_test(Context& context, std::string_view name, const Value& input,
                        const Arguments& arguments);
bool is_filter(std::string_view name);
bool is_test(std::string_view name);

// range, dict, namespace, cycler, joiner, raise_exception, strftime_now. Null for another name.
std::shared_ptr<Object> global_function(std::string_view name);

// Used by several filter files. The filter families answer null for a name that is not theirs.
using MaybeValue = Result<std::shared_ptr<const Value>>;
MaybeValue text_filter(Context& context, std::string_view name, const Value& input,
                       const Arguments& arguments);
MaybeValue sequence_filter(Context& context, std::string_view name, const Value& input,
                           const Arguments& arguments);
MaybeValue selection_filter(Context& context, std::string_view name, const Value& input,
                            const Arguments& arguments);

// textwrap.wrap() of each line.
ValueResult filter_wordwrap(Context& context, const Value& text, const Arguments& arguments);

// Follows a dotted path of attributes and indices, as `attribute=` of filters does.
ValueResult follow_path(Context& context, const Value& value, const Value& path);

}  // namespace pagoda::jinja
