// Pattern: Oniguruma's syntax on PCRE2, budgets.
#include "text/pattern.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace pagoda {
namespace {

using Texts = std::vector<std::string>;

Texts matches(const std::string& expression, const std::string& text) {
  const auto pattern = Pattern::create(expression);
  EXPECT_TRUE(pattern.ok()) << (pattern.ok() ? "" : pattern.error().message);
  if (!pattern.ok()) return {};
  PatternScratch scratch;
  Texts found;
  const auto done = (*pattern)->for_each(text, scratch, [&](size_t begin, size_t end) {
    found.push_back(text.substr(begin, end - begin));
  });
  EXPECT_TRUE(done.ok());
  return found;
}

TEST(Pattern, MongolianVowelSeparatorIsNoSpace) {
  EXPECT_EQ(matches(R"(\s+|\S+)", "a \u180E b"), (Texts{"a", " ", "\u180E", " ", "b"}));
}

TEST(Pattern, ClassInAClassIsAUnion) {
  EXPECT_EQ(matches("[a[bc]d]+", "xabcdx]"), (Texts{"abcd"}));
  EXPECT_EQ(matches("[^(\\s|[.,])]+", "a(b).c|d"), (Texts{"a", "b", "c", "d"}));
  EXPECT_EQ(matches("[]a]+", "x]a"), (Texts{"]a"}));
  EXPECT_EQ(matches("[[:digit:]x]+", "a1x"), (Texts{"1x"}));
}

TEST(Pattern, EndsOfLinesAndWordsAreThoseOfOniguruma) {
  EXPECT_EQ(matches("^.", "ab\ncd"), (Texts{"a", "c"}));
  EXPECT_EQ(matches(R"(\w+)", "e\u0301_1-x"), (Texts{"e\u0301_1", "x"}));
  for (const char* word : {R"(\w+)", R"((?<=\B|\b)\w+)"})
    EXPECT_EQ(matches(word, "a\u00B2"), Texts{"a\u00B2"});
  for (const char* word : {R"([\w]+)", R"((?<=\B|\b)[\w]+)"})
    EXPECT_EQ(matches(word, "a\u00B2"), Texts{"a"});
  EXPECT_EQ(matches(R"(\h+)", "xfF9g"), (Texts{"fF9"}));
}

TEST(Pattern, SpaceBeforeEndsOfLinesIsFoundWithoutBacktracking) {
  EXPECT_EQ(matches(R"(\s+$)", "a  \nb \t"), (Texts{"  ", " \t"}));
  EXPECT_EQ(matches(R"(\s+$)", "a \n \n b"), (Texts{" \n "}));
  EXPECT_EQ(matches(R"(\s+$)", "\nb"), Texts{});
  EXPECT_EQ(matches(R"(\s+$)", "\n\nb"), Texts{"\n"});
}

TEST(Pattern, RefusesWhatItCannotCompileOrTranslate) {
  EXPECT_EQ(Pattern::create("(").error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(Pattern::create("[a&&b]").error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(Pattern::create("[a[^b]]").error().code, ErrorCode::kUnsupported);
  EXPECT_FALSE(Pattern::create("[a").ok());
  EXPECT_FALSE(Pattern::create("a\\").ok());
}

TEST(Pattern, RefusesToWriteOutWhatIsRepeatedTooOften) {
  for (const char* expression : {"(a{1000}){1000}", "((^a){100}){1000}", "(?:\\b[a-z]{9,9000}){9}",
                                 "(((a{20}){20}){20}){20}\\b", "^x{0,65535}", "[ab]{60000}$",
                                 "((?:^a|b{50}){50}c){50}", "(?:(?:^\\p{L}{99}){99}){99}"}) {
    const auto pattern = Pattern::create(expression);
    ASSERT_FALSE(pattern.ok()) << expression;
    EXPECT_NE(pattern.error().message.find("repeats"), std::string::npos) << expression;
  }
  EXPECT_TRUE(Pattern::create("^(?:a{20}){20}\\{5000}").ok());
  EXPECT_TRUE(Pattern::create("^[a{9000}]b{100}").ok());
}

TEST(Pattern, AnAutomatonStopsWhenAPatternLooksTooOftenAtAText) {
  const auto pattern = Pattern::create("a+b|a");  // from each a to the end
  ASSERT_TRUE(pattern.ok() && (*pattern)->is_linear());
  PatternScratch scratch;
  const auto done = (*pattern)->for_each(std::string(100'000, 'a'), scratch, [](size_t, size_t) {});
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().code, ErrorCode::kInvalidArgument);
}

TEST(Pattern, HopelessMatchesEndWithAnError) {
  const auto pattern = Pattern::create("(a+)+$");
  ASSERT_TRUE(pattern.ok());
  PatternScratch scratch;
  const auto done =
      (*pattern)->for_each(std::string(40, 'a') + "b", scratch, [](size_t, size_t) {});
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace pagoda
