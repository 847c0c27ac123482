// Interpreter: renders a parsed template.
#pragma once

#include <string>

#include "base/json.h"
#include "base/result.h"
#include "text/jinja/ast.h"
#include "text/jinja/context.h"

namespace pagoda::jinja {

// Renders a template with the members of the object `variables` as its variables. kInvalidArgument
// when the template raises, uses something undefined, or goes over `limits`. It is only read, so
// several threads may render one template at once.
Result<std::string> render(const Template& parsed, const Json& variables, const Limits& limits);

}  // namespace pagoda::jinja
