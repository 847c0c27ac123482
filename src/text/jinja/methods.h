// Methods of Python's own types, as far as the sandbox lets templates use them.
#pragma once

#include <memory>
#include <string_view>

#include "text/jinja/context.h"
#include "text/jinja/value.h"

namespace pagoda::jinja {

// The method `name` bound to `self`; an Undefined value for one that would change a list or dict,
// which the sandbox forbids; null when the type has no such method.
std::shared_ptr<const Value> bound_method(const Value& self, std::string_view name);

bool has_text_method(std::string_view name);

// Calls a method of a text, or of a list, tuple, dict or number. REQUIRES: the type has it.
ValueResult call_text_method(Context& context, const Value& self, std::string_view name,
                             const Arguments& arguments);
ValueResult call_container_method(Context& context, const Value& self, std::string_view name,
                                  const Arguments& arguments);

}  // namespace pagoda::jinja
