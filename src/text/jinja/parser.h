// Parser: a template's text to its syntax tree.
#pragma once

#include <string_view>

#include "base/result.h"
#include "text/jinja/ast.h"

namespace pagoda::jinja {

// Parses a template as Jinja2 does with the loopcontrols extension and Hugging Face's generation
// tag. kInvalidArgument with the line for a syntax error, an unknown tag, or nesting beyond a
// limit. `source` is untrusted.
Result<Template> parse_template(std::string_view source);

}  // namespace pagoda::jinja
