// Tests of the words for a pull's progress.
#include "hub/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pagoda {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr ProgressText::TimePoint kStart{std::chrono::seconds(1000)};

TEST(ProgressText, ABarSaysHowFarHowFastAndHowLong) {
  ProgressText text;
  PullProgress progress{.num_bytes = 0, .total_bytes = 4'000'000'000, .total_files = 9};
  EXPECT_THAT(text.bar(progress, kStart, 100), HasSubstr("0 of 9 files"));
  progress = {.num_bytes = 1'000'000'000,
              .total_bytes = 4'000'000'000,
              .received_bytes = 1'000'000'000,
              .num_files = 3,
              .total_files = 9};
  const std::string bar = text.bar(progress, kStart + std::chrono::seconds(10), 100);
  EXPECT_THAT(bar, HasSubstr(" 25.0% [######                  ]"));
  EXPECT_THAT(bar, HasSubstr("3 of 9 files"));
  EXPECT_THAT(bar, HasSubstr("100.0 MB/s, 30 s left"));
}

TEST(ProgressText, ABarFitsTheTerminal) {
  ProgressText text;
  EXPECT_EQ(text.bar({.num_bytes = 1, .total_bytes = 2, .total_files = 3}, kStart, 20).size(), 20U);
}

TEST(ProgressText, IsNotAtTheEndBeforeTheLastFileIs) {
  ProgressText text;
  const PullProgress progress{.num_bytes = 5, .total_bytes = 5, .num_files = 1, .total_files = 2};
  EXPECT_THAT(text.bar(progress, kStart, 100), HasSubstr("99.9%"));
  EXPECT_THAT(text.bar({.num_files = 0, .total_files = 0}, kStart, 100), HasSubstr("100.0%"));
}

TEST(ProgressText, LinesOfALogAreSecondsApart) {
  ProgressText text;
  const PullProgress progress{.num_bytes = 1, .total_bytes = 4, .num_files = 0, .total_files = 1};
  EXPECT_THAT(text.line(progress, kStart), HasSubstr("25%"));
  EXPECT_EQ(text.line(progress, kStart + std::chrono::seconds(4)), "");
  EXPECT_THAT(text.line(progress, kStart + std::chrono::seconds(5)), Not(""));
}

}  // namespace
}  // namespace pagoda
