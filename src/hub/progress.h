// How far a pull has come, and that as text for people.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace pagoda {

struct PullProgress {
  int64_t num_bytes = 0;       // that are there, those of earlier pulls too
  int64_t total_bytes = 0;     // of all files
  int64_t received_bytes = 0;  // by this process
  int num_files = 0;           // complete
  int total_files = 0;
  int num_connections = 0;
};

// Turns the counts into lines. One thread.
class ProgressText {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  // "  42% [########            ] 3.1 GB of 7.4 GB, 3 of 9 files, 118 MB/s, 36 s left": a line of
  // at most `width` columns, for a terminal.
  std::string bar(const PullProgress& progress, TimePoint now, int width);
  // The same without the bar, for a log; empty when a line a moment ago said enough: lines are
  // 5 seconds apart.
  std::string line(const PullProgress& progress, TimePoint now);

 private:
  std::string counts(const PullProgress& progress, TimePoint now);

  TimePoint rate_time_{};  // of the last measurement; zero before the first
  int64_t rate_bytes_ = 0;
  double bytes_per_second_ = 0.0;
  TimePoint line_time_{};
};

}  // namespace pagoda
