// PatternParser: what expressions are made of.
#include "text/pattern_parser.h"

#include <gtest/gtest.h>

namespace pagoda {
namespace {

// The set of an expression that is one character.
CharacterSet set_of(std::string_view expression) {
  const auto parsed = parse_pattern(expression);
  EXPECT_NE(parsed, nullptr) << expression;
  return parsed && !parsed->sets.empty() ? parsed->sets[0] : CharacterSet();
}

TEST(PatternParser, ReadsClasses) {
  EXPECT_EQ(set_of("[a-cx]"), CharacterSet({{'a', 'c'}, {'x', 'x'}}));
  EXPECT_EQ(set_of("[]a]"), CharacterSet({{']', ']'}, {'a', 'a'}}));
  EXPECT_EQ(set_of("[-a]"), CharacterSet({{'-', '-'}, {'a', 'a'}}));
  EXPECT_EQ(set_of("[a-]"), CharacterSet({{'-', '-'}, {'a', 'a'}}));
  EXPECT_EQ(set_of("[a[bc]d]"), CharacterSet({{'a', 'd'}}));
  EXPECT_EQ(set_of("[^a]"), CharacterSet({{'a', 'a'}}).complement());
  EXPECT_EQ(set_of(R"([!-\/])"), CharacterSet({{'!', '/'}}));
  EXPECT_EQ(set_of(R"([\x{4E00}-\x{9FA5}])"), CharacterSet({{0x4E00, 0x9FA5}}));
  EXPECT_EQ(set_of(R"([\s\S])"), CharacterSet({{0, 0x10FFFF}}));
}

TEST(PatternParser, KnowsBothCasesOfLetters) {
  EXPECT_EQ(set_of("(?i:s)"), CharacterSet({{'s', 's'}, {'S', 'S'}, {0x17F, 0x17F}}));
  EXPECT_EQ(set_of("(?i:[k1])"),
            CharacterSet({{'1', '1'}, {'k', 'k'}, {'K', 'K'}, {0x212A, 0x212A}}));
  EXPECT_EQ(set_of("(?:s)"), CharacterSet({{'s', 's'}}));
}

TEST(PatternParser, ReadsRepetitions) {
  const auto parsed = parse_pattern("a{2,3}b??c{4,}");
  ASSERT_NE(parsed, nullptr);
  ASSERT_EQ(parsed->root.children.size(), 3U);
  EXPECT_EQ(parsed->root.children[0].min, 2);
  EXPECT_EQ(parsed->root.children[0].max, 3);
  EXPECT_TRUE(parsed->root.children[1].lazy);
  EXPECT_EQ(parsed->root.children[2].max, PatternNode::kForever);
}

TEST(PatternParser, RefusesDeepNesting) {
  std::string expression = "a";
  for (int i = 0; i < 1000; ++i) expression = "(" + expression + ")";
  EXPECT_EQ(parse_pattern(expression), nullptr);
}

}  // namespace
}  // namespace pagoda
