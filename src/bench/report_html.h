// The report of a benchmark as one HTML file, for a browser and for print.
#pragma once

#include <string>

#include "base/json.h"

namespace pagoda {

// The page of a results file. It needs nothing but itself and may not ask for anything (its content
// security policy says so): styles and the script that draws are inside, charts are SVG. Texts of
// the file get in as JSON and are set as text, never as markup. Any JSON gives a page: what is no
// results file one that says so; runs_of() tells beforehand.
std::string html_report(const Json& results);

}  // namespace pagoda
