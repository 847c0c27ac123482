// Tests of how a simulated model is spelled.
#include "runner/simulation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace pagoda {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using testing::AllOf;
using testing::HasSubstr;

std::string error_of(const std::string& text) {
  const auto parsed = parse_simulation(text);
  if (parsed.ok()) return "no error";
  EXPECT_EQ(parsed.error().code, ErrorCode::kInvalidArgument);
  EXPECT_LT(parsed.error().message.size(), 300U);
  return parsed.error().message;
}

TEST(ParseSimulation, ReadsEverySetting) {
  const auto parsed = parse_simulation(
      "ttft=1.5s,itl=250us,prefill=2000.5,jitter=0.05,stall=2s@10s,fail=0.01@5,output=7,"
      "seed=18446744073709551615");
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(parsed->ttft, milliseconds(1500));
  EXPECT_EQ(parsed->itl, microseconds(250));
  EXPECT_EQ(parsed->prefill_tokens_per_s, 2000.5);
  EXPECT_EQ(parsed->jitter, 0.05);
  EXPECT_EQ(parsed->stall, seconds(2));
  EXPECT_EQ(parsed->stall_period, seconds(10));
  EXPECT_TRUE(parsed->stall_repeats);
  EXPECT_EQ(parsed->fail_share, 0.01);
  EXPECT_EQ(parsed->fail_at, 5);
  EXPECT_EQ(parsed->output_tokens, 7);
  EXPECT_EQ(parsed->seed, 18446744073709551615U);
}

TEST(ParseSimulation, LeavesTheOthersAsTheyAre) {
  const auto parsed = parse_simulation("itl=0");
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(parsed->itl, nanoseconds(0));
  EXPECT_EQ(parsed->ttft, milliseconds(200));
  EXPECT_EQ(parsed->stall, nanoseconds(0));
  EXPECT_EQ(parsed->output_tokens, 0);
}

TEST(ParseSimulation, AStallWithoutAPeriodComesOnceAfterTenSeconds) {
  const auto parsed = parse_simulation("stall=2s");
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_FALSE(parsed->stall_repeats);
  EXPECT_EQ(parsed->stall_period, seconds(10));
}

TEST(ParseSimulation, NamesTheSettingTheValueAndTheLimits) {
  EXPECT_THAT(error_of("ttft=200"), AllOf(HasSubstr("ttft: '200'"), HasSubstr("us, ms or s")));
  EXPECT_THAT(error_of("itl=2h"), AllOf(HasSubstr("itl: '2h'"), HasSubstr("0 s to 3600 s")));
  EXPECT_THAT(error_of("itl=3601s"), HasSubstr("itl: '3601s'"));
  EXPECT_THAT(error_of("itl=-1ms"), HasSubstr("'-1ms'"));
  EXPECT_THAT(error_of("jitter=1.01"), AllOf(HasSubstr("jitter: '1.01'"), HasSubstr("0 to 1")));
  EXPECT_THAT(error_of("prefill=0"), HasSubstr("prefill: '0'"));
  EXPECT_THAT(error_of("fail=2"), HasSubstr("fail: '2'"));
  EXPECT_THAT(error_of("fail=0.5@0"), HasSubstr("fail token: '0'"));
  EXPECT_THAT(error_of("output=0"), AllOf(HasSubstr("output: '0'"), HasSubstr("1000000000")));
  EXPECT_THAT(error_of("output=1.5"), HasSubstr("output: '1.5'"));
  EXPECT_THAT(error_of("seed=-1"), HasSubstr("seed: '-1'"));
  EXPECT_THAT(error_of("seed=18446744073709551616"), HasSubstr("seed"));
  EXPECT_THAT(error_of("stall=0@1s"), HasSubstr("stall: '0'"));
  EXPECT_THAT(error_of("stall=10s@10s"), HasSubstr("not shorter than the period"));
  EXPECT_THAT(error_of("stall=1s@"), HasSubstr("stall period: ''"));
  EXPECT_THAT(error_of("speed=1"), AllOf(HasSubstr("'speed'"), HasSubstr("ttft, itl")));
}

TEST(ParseSimulation, RefusesWhatIsNoListOfSettings) {
  EXPECT_THAT(error_of(""), HasSubstr("must not be empty"));
  for (const char* text :
       {",", "ttft=1s,", ",ttft=1s", "ttft", "=1s", "ttft=1s,,itl=1s", "itl 1s"}) {
    EXPECT_THAT(error_of(text), HasSubstr("is not KEY=VALUE")) << text;
  }
  EXPECT_THAT(error_of("itl=1s,itl=1s"), HasSubstr("itl is given twice"));
}

TEST(ParseSimulation, TakesNoNumberThatIsNone) {
  for (const char* value : {"nan", "inf", "-inf", "1e999", "0x10", "1e", "", " 1", "1 ", "+1"}) {
    EXPECT_NE(error_of(std::string("jitter=") + value), "no error") << value;
    EXPECT_NE(error_of(std::string("ttft=") + value + "s"), "no error") << value;
    EXPECT_NE(error_of(std::string("output=") + value), "no error") << value;
  }
  EXPECT_NE(error_of("ttft=nans"), "no error");
  EXPECT_NE(error_of("ttft=ms"), "no error");
}

TEST(ParseSimulation, ShowsTheBeginningOfALongValueOnly) {
  EXPECT_THAT(error_of("ttft=" + std::string(100'000, '9')), HasSubstr("999..."));
  EXPECT_THAT(error_of(std::string(100'000, 'x')), HasSubstr("xxx..."));
  EXPECT_THAT(error_of(std::string(100'000, 'x') + "=1"), HasSubstr("xxx..."));
}

}  // namespace
}  // namespace pagoda
