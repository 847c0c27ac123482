// From the records of a load to its figures, as the JSON document that every report is made of.
#pragma once

#include <deque>
#include <limits>
#include <string>
#include <vector>

#include "base/json.h"
#include "bench/load_run.h"
#include "bench/request_record.h"

namespace pagoda {

// Limits a request must meet to count as good; infinity: none. Seconds.
struct ServiceLevel {
  double ttft_s = std::numeric_limits<double>::infinity();
  double tpot_s = std::numeric_limits<double>::infinity();
  double e2el_s = std::numeric_limits<double>::infinity();
  bool any() const;
};

// The part of a run in which the load was as planned: seconds from its start.
struct Window {
  double start_s = 0.0;
  double end_s = 0.0;
  bool whole_run = true;
};

// From the time when every user of a closed loop has sent (or the ramp is over) to the last
// sending; the whole run where that is less than a fifth of it.
Window steady_window(const LoadPlan& plan, const LoadResult& result);

// The figures of one run, in the schema of docs/benchmarking.md. `description` (what was run) goes
// in as "run"; `server` (samples of the server's metrics, or null) as "server".
Json summarize(const LoadPlan& plan, const LoadResult& result, const ServiceLevel& service_level,
               Json description, Json server);

// A record as the "records" of the document have it. Times in seconds.
Json record_json(const RequestRecord& record);

// Values of one metric over the good requests of the window, by the names of "metrics".
std::vector<double> metric_values(const std::deque<RequestRecord>& records, const Window& window,
                                  const std::string& name);

// Why the figures should not be trusted; empty: they may be. One sentence for each reason.
std::vector<std::string> warnings_of(const Json& summary);

}  // namespace pagoda
