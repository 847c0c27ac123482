// Tests of bench/saturation.h.
#include "bench/saturation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace pagoda {
namespace {

// A queue with one server: `rate` requests a second arrive and each takes 1 / `capacity`.
std::deque<RequestRecord> queue(double rate, double capacity, double elapsed_s) {
  std::mt19937_64 random(4);
  std::exponential_distribution<double> gap(rate);
  std::deque<RequestRecord> records;
  double free_at = 0.0;
  for (double t = gap(random); t < elapsed_s; t += gap(random)) {
    free_at = std::max(free_at, t) + 1.0 / capacity;
    RequestRecord record;
    record.intended_ns = static_cast<int64_t>(t * 1e9);
    record.sent_ns = record.intended_ns;
    if (free_at < elapsed_s) {
      record.piece_ns = {static_cast<int64_t>(free_at * 1e9)};
      record.end_ns = record.piece_ns[0];
    }
    records.push_back(std::move(record));
  }
  return records;
}

TEST(Saturation, AServerThatFallsBehindIsFound) {
  EXPECT_TRUE(is_over_saturated(queue(20.0, 14.0, 25.0), 25.0));
}

TEST(Saturation, AServerThatKeepsUpIsNotAccused) {
  for (const double elapsed : {12.0, 30.0, 60.0}) {
    EXPECT_FALSE(is_over_saturated(queue(10.0, 20.0, elapsed), elapsed)) << elapsed;
  }
}

TEST(Saturation, NothingIsSaidBeforeTenSeconds) {
  EXPECT_FALSE(is_over_saturated(queue(20.0, 5.0, 9.0), 9.0));
}

}  // namespace
}  // namespace pagoda
