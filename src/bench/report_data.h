// What the page of a report shows, reduced from a results file: every value of a known type, and so
// few of them that a browser draws them at once.
#pragma once

#include <vector>

#include "base/json.h"

namespace pagoda {

// {"error": text or null, "runs": [...], "levels": [...], "left_out": number}. In a run: "label",
// "facts", "warnings", "requests", "throughput", "goodput" (or null), "metrics", "distributions",
// "window", "timeline", "server". Numbers are finite or null, texts at most 500 bytes. Anything at
// all may come in; what is no results file gives "error" and empty lists.
Json report_data(const Json& results);

// How often values fall into equal bins, and their cumulative distribution. The bins end where the
// tail gets thin, and are equal in the logarithm when the values span decades.
Json histogram_of(std::vector<double> values);

}  // namespace pagoda
