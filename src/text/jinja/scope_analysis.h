// Scope analysis: which names a scope hides from its start, because Jinja2 decides at compile time
// whether a name belongs to a scope.
#pragma once

#include "text/jinja/ast.h"

namespace pagoda::jinja {

// Fills the `hidden` names of every scope of a parsed template. A name is hidden in a scope that
// assigns it before it reads it, when no enclosing scope mentions it: until the assignment it is
// undefined there, and in the scopes inside, even where the template was given a variable of that
// name. The rules are those of jinja2/idtracking.py. Linear in the size of the template.
void find_hidden_names(Body& body, std::vector<std::string>& hidden);

}  // namespace pagoda::jinja
