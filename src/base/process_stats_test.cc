// Tests of the process's own figures.
#include "base/process_stats.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>

namespace pagoda {
namespace {

TEST(ProcessStats, SayWhatTheProcessTakes) {
  const ProcessStats before = process_stats();
  EXPECT_GT(before.max_files, 2);
  EXPECT_GT(before.resident_bytes, 1'000'000);
  EXPECT_GT(before.virtual_bytes, before.resident_bytes);
  const double now =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  EXPECT_LE(before.started_at, now + 1);
  EXPECT_GT(before.started_at, now - 3600);
  ProcessStats after;
  do {
    after = process_stats();
  } while (after.cpu_s <= before.cpu_s);  // what this loop takes is counted
  EXPECT_EQ(after.started_at, before.started_at);
}

TEST(ProcessStats, CountOpenFiles) {
  const int64_t before = count_open_files();
  const std::ifstream file("/proc/self/stat");
  EXPECT_EQ(count_open_files(), before + 1);
}

}  // namespace
}  // namespace pagoda
