// Results files ("pagoda-bench/1") as they are read back: input of which anything may be missing or
// of another type. What cannot be used counts as absent; nothing here fails on what it finds.
#pragma once

#include <deque>
#include <initializer_list>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "bench/request_record.h"
#include "bench/statistics.h"
#include "bench/summary.h"

namespace pagoda {

using JsonPath = std::initializer_list<const char*>;

// What lies at the names, one object inside the other; a null for what does not.
const Json& json_at(const Json& value, JsonPath path);
// NaN for what is no number, or is one beyond 1e15, where no figure of a benchmark lies.
double number_at(const Json& value, JsonPath path);
// Empty for what is no string. At most 500 bytes.
std::string text_at(const Json& value, JsonPath path);
// Two NaN for what is no array of two numbers.
Interval interval_at(const Json& value, JsonPath path);

// The runs, which live in `results`. kInvalidArgument: not of the schema, no run, or one that holds
// no figures. The message says what the file is instead.
Result<std::vector<const Json*>> runs_of(const Json& results);

// Runs of one load: repeats.
struct LoadLevel {
  std::string label;  // "4 users", "8 requests/s"; "run" where the file does not say
  double load = 0.0;  // the number of it; NaN: none
  std::vector<const Json*> runs;
};
// The runs by what load they were under, in ascending order of it.
std::vector<LoadLevel> load_levels(const std::vector<const Json*>& runs);

// One figure of each run that has it.
std::vector<double> figures_of(const std::vector<const Json*>& runs, JsonPath path);

// The steady part as the file has it; the whole run if it does not say.
Window window_of(const Json& run);

// The inverse of record_json(), so that metric_values() serves files too. Texts of answers stay
// away. A record that lacks a time a good one has counts as failed.
std::deque<RequestRecord> records_of(const Json& run);

}  // namespace pagoda
