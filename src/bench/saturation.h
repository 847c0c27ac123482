// Whether a server has more to do than it can: the end of a sweep.
#pragma once

#include <deque>

#include "bench/request_record.h"

namespace pagoda {

// True when, over the last 30 seconds (and not before 10), both the time to first token from the
// intended sending and the number of requests under way grow: each slope above zero with 99 %
// confidence (one-sided t of a least-squares line), and by more than half of their mean within that
// time. `elapsed_s` is the present time of the run.
bool is_over_saturated(const std::deque<RequestRecord>& records, double elapsed_s);

}  // namespace pagoda
