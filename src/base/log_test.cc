// A log call is one line, whatever is in it.
#include "base/log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

namespace pagoda {
namespace {

TEST(Log, ControlCharactersCannotForgeALine) {
  testing::internal::CaptureStderr();
  log_info("event=x model=a\nerror forged");
  const std::string shown = testing::internal::GetCapturedStderr();
  EXPECT_NE(shown.find("event=x model=a\\x0aerror forged\n"), std::string::npos) << shown;
}

TEST(Log, LevelsBelowTheSetOneAreHidden) {
  ASSERT_TRUE(set_log_level("warning").ok());
  testing::internal::CaptureStderr();
  log_info("hidden");
  log_warning("shown");
  const std::string shown = testing::internal::GetCapturedStderr();
  EXPECT_EQ(shown.find("hidden"), std::string::npos);
  EXPECT_NE(shown.find("shown"), std::string::npos);
  ASSERT_TRUE(set_log_level("info").ok());
}

TEST(Log, AReaderThatHasStoppedStopsNobodyAndIsToldWhatItMissed) {
  int ends[2] = {-1, -1};
  ASSERT_EQ(::pipe(ends), 0);
  const int kept = ::dup(STDERR_FILENO);
  ::dup2(ends[1], STDERR_FILENO);
  const std::string line(1000, 'x');
  for (int i = 0; i < 200; ++i) log_info(line);  // a pipe holds 64 KB
  std::string read_back(size_t{1} << 20, '\0');
  const ssize_t first = ::read(ends[0], read_back.data(), read_back.size());
  log_info("after");
  const ssize_t rest = ::read(ends[0], read_back.data(), read_back.size());
  ::dup2(kept, STDERR_FILENO);
  for (const int fd : {ends[0], ends[1], kept}) ::close(fd);
  EXPECT_GT(first, 10000);
  ASSERT_GT(rest, 0);
  const std::string shown = read_back.substr(0, static_cast<size_t>(rest));
  EXPECT_NE(shown.find("log_lines_dropped count=1"), std::string::npos) << shown;
  EXPECT_NE(shown.find("after"), std::string::npos);
}

TEST(Log, UnknownLevelNamesTheChoices) {
  const auto result = set_log_level("loud");
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.error().message.find("debug, info, warning, error"), std::string::npos);
}

}  // namespace
}  // namespace pagoda
