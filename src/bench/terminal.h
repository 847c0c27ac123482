// What a benchmark prints while it runs and when it is done.
#pragma once

#include <deque>
#include <string>

#include "base/json.h"
#include "bench/load_run.h"
#include "bench/request_record.h"

namespace pagoda {

// One line, at most 79 columns, without a line break.
std::string progress_text(const LoadProgress& progress, const LoadPlan& plan);

// The figures of one run (a summary of bench/summary.h) as a table for people.
std::string summary_text(const Json& summary);

// One line for each run of a sweep.
std::string sweep_text(const Json& runs);

// The records as comma separated values with a heading, times in seconds.
std::string records_csv(const std::deque<RequestRecord>& records);

// "1.23 s", "45.6 ms", "789 us"; "-" for what is no number.
std::string duration_text(const Json& seconds);

}  // namespace pagoda
