// A log call is one line, whatever is in it.
#include "base/log.h"

#include <gtest/gtest.h>

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

TEST(Log, UnknownLevelNamesTheChoices) {
  const auto result = set_log_level("loud");
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.error().message.find("debug, info, warning, error"), std::string::npos);
}

}  // namespace
}  // namespace pagoda
