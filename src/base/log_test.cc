// A log call is one line, whatever is in it.
#include "base/log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <string>

#include "base/json.h"

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

TEST(Log, TheLastLinesAreKeptForThoseWhoAsk) {
  const int64_t before = kept_log_lines().last;
  log_info("tail n=1");
  log_debug("hidden by the level");
  log_warning("tail n=2");
  log_info(std::string(5000, 'x'));
  const auto all = recent_log_lines(before, LogLevel::kDebug, 100);
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].text, "tail n=1");
  EXPECT_EQ(all[0].number, before + 1);
  EXPECT_GT(all[0].time, 1e9);
  EXPECT_EQ(all[2].text.size(), 1024U);
  const auto warnings = recent_log_lines(before, LogLevel::kWarning, 100);
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_EQ(warnings[0].text, "tail n=2");
  EXPECT_EQ(recent_log_lines(before, LogLevel::kDebug, 1).front().number, before + 3);
  for (int i = 0; i < 1100; ++i) log_info("n");
  EXPECT_EQ(recent_log_lines(0, LogLevel::kDebug, 5000).size(), 1000U);
  EXPECT_EQ(kept_log_lines().last - kept_log_lines().first, 999);
}

TEST(Log, KeyValuePairsBecomeMembersOfJson) {
  EXPECT_EQ(log_members("request id=7 note=\"two words\" x=a\"b"),
            R"("event": "request", "id": "7", "note": "two words", "x": "a\"b")");
  EXPECT_EQ(log_members("plain words only"), R"("event": "plain words only")");
  EXPECT_EQ(log_members("open note=\"no end"), R"("event": "open", "note": "no end")");
  EXPECT_EQ(log_members("a=1 a=2"), R"("a": "1")");
  EXPECT_EQ(log_members(""), R"("event": "")");
  EXPECT_EQ(log_members("=x  y"), R"("event": "=x  y")");
}

TEST(Log, EachLineOfAJsonLogIsOneObject) {
  ASSERT_TRUE(set_log_format("json").ok());
  testing::internal::CaptureStderr();
  log_warning("event=x model=\"a b\" bad=\xff\n");
  const std::string shown = testing::internal::GetCapturedStderr();
  ASSERT_TRUE(set_log_format("text").ok());
  EXPECT_TRUE(shown.starts_with("{\"time\": \"2")) << shown;
  EXPECT_NE(shown.find("\"level\": \"warning\", \"event\": \"x\", \"model\": \"a b\""),
            std::string::npos)
      << shown;
  EXPECT_TRUE(parse_json(shown).ok()) << shown;
  EXPECT_FALSE(set_log_format("xml").ok());
}

TEST(Log, UnknownLevelNamesTheChoices) {
  const auto result = set_log_level("loud");
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.error().message.find("debug, info, warning, error"), std::string::npos);
}

}  // namespace
}  // namespace pagoda
