// LinearPattern: finds what a backtracking matcher finds, in one look at each character.
#include "text/linear_pattern.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <string>
#include <vector>

#include "text/pattern.h"
#include "text/unicode.h"

namespace pagoda {
namespace {

using Bounds = std::vector<std::pair<size_t, size_t>>;

constexpr uint64_t kManySteps = std::numeric_limits<uint64_t>::max();

// The patterns of published tokenizers (GPT-2, Llama 3, Qwen, GPT-4o, Mistral Nemo, DeepSeek,
// StarCoder).
const char* const kPublished[] = {
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)",
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
    R"(\p{N}{1,3})",
    "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^)"
    "\r\n"
    R"(\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[)"
    "\r\n"
    R"(]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
    R"([\r\n])",
    R"(\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-Ֆ]+)",
    R"(\s?[!-/:-~！-／：-～‘-‟　-。]+)",
    R"(\w+|[^\w\s]+)"};

Bounds matches(const Pattern& pattern, const std::string& text) {
  PatternScratch scratch;
  Bounds found;
  const auto done = pattern.for_each(
      text, scratch, [&](size_t begin, size_t end) { found.emplace_back(begin, end); });
  EXPECT_TRUE(done.ok());
  return found;
}

// A text of few kinds of characters, so that they meet in every order.
std::string random_text(std::mt19937& random, size_t length) {
  const char32_t kCharacters[] = {'a',    'b',    'S',    's',    'T',     'l',    'd',    '\'',
                                  ' ',    ' ',    ' ',    '\n',   '\r',    '\t',   '1',    '2',
                                  '!',    '/',    '-',    0xE9,   0x17F,   0x2B0,  0x301,  0x1C5,
                                  0x4E00, 0x3042, 0x20AC, 0x2028, 0x1F600, 0x0661, 0x2160, 0xB2};
  std::string text;
  for (size_t i = 0; i < length; ++i) append_utf8(text, kCharacters[random() % 32]);
  return text;
}

TEST(LinearPattern, FindsInPublishedPatternsWhatABacktrackingMatcherFinds) {
  std::mt19937 random(5);
  for (const char* expression : kPublished) {
    const auto linear = Pattern::create(expression);
    const auto backtracking = Pattern::create_backtracking(expression);
    ASSERT_TRUE(linear.ok() && backtracking.ok()) << expression;
    EXPECT_TRUE((*linear)->is_linear()) << expression;
    EXPECT_FALSE((*backtracking)->is_linear());
    for (int round = 0; round < 300; ++round) {
      const std::string text = random_text(random, random() % 40);
      ASSERT_EQ(matches(**linear, text), matches(**backtracking, text)) << expression << "\n"
                                                                        << text;
    }
  }
}

// An expression of the syntax that automata have; `depth` bounds it.
std::string random_expression(std::mt19937& random, int depth) {
  const char* const kAtoms[] = {"a",      "b",        "s",       "\\s", "\\S",    "[ab]", "[^a\\s]",
                                "\\p{L}", "[a-c1-3]", "\\p{Lu}", ".",   "\\P{N}", "'",    "\\n"};
  const char* const kRepeats[] = {"",   "",   "",   "*",   "+",     "?",
                                  "*?", "+?", "??", "{2}", "{1,2}", "{2,}"};
  std::string out;
  const size_t parts = 1 + random() % 3;
  for (size_t i = 0; i < parts; ++i) {
    if (depth > 0 && random() % 3 == 0) {
      out += (random() % 4 == 0 ? "(?i:" : "(?:") + random_expression(random, depth - 1) + ")";
    } else {
      out += kAtoms[random() % std::size(kAtoms)];
    }
    out += kRepeats[random() % std::size(kRepeats)];
    if (random() % 8 == 0) out += random() % 2 == 0 ? "(?!\\S)" : "(?=[ab])";
    if (random() % 4 == 0 && i + 1 < parts) out += "|";
  }
  return out;
}

TEST(LinearPattern, FindsInRandomPatternsWhatABacktrackingMatcherFinds) {
  std::mt19937 random(17);
  int compared = 0;
  for (int round = 0; round < 1500; ++round) {
    const std::string expression = random_expression(random, 2);
    const auto linear = Pattern::create(expression);
    const auto backtracking = Pattern::create_backtracking(expression);
    ASSERT_EQ(linear.ok(), backtracking.ok()) << expression;
    if (!linear.ok() || !(*linear)->is_linear()) continue;
    ++compared;
    for (int i = 0; i < 10; ++i) {
      const std::string text = random_text(random, random() % 16);
      ASSERT_EQ(matches(**linear, text), matches(**backtracking, text)) << expression << "\n"
                                                                        << text;
    }
  }
  EXPECT_GT(compared, 400);
}

TEST(LinearPattern, LeavesToOthersWhatItDoesNotKnow) {
  for (const char* expression :
       {"",          "a*",         "a|",          "^a",      "a$",      "\\ba",
        "(a)\\1",    "a++",        "a{1,2}+",     "a{1,2}?", "a**",     "(?<=a)b",
        "(?<n>a)",   "\\p{Greek}", "[[:alpha:]]", "[a&&b]",  "[a[^b]]", "(?i:é)",
        "(?i:[^a])", "(?=ab)c",    "a{,2}",       "(a",      "a)",      "[a",
        "a\\",       "(?:a*)+",    "\\x41",       "[b-a]",   "a{2000}", "(?i)a"}) {
    EXPECT_EQ(LinearPattern::create(expression), nullptr) << expression;
  }
  EXPECT_EQ(LinearPattern::create("(?:a{100}){100}"), nullptr);
  EXPECT_EQ(LinearPattern::create("(?:a|b)*a(?:a|b){12}"), nullptr);  // 2^13 states
}

TEST(LinearPattern, LooksAtEachCharacterOfARunAFewTimes) {
  for (const char* expression : kPublished) {
    const auto pattern = LinearPattern::create(expression);
    ASSERT_NE(pattern, nullptr);
    for (const char* unit :
         {"a", " ", "\n", "1", "!", "ab", " \n", "A", "一", "😀", " a", "a1", "é\u0301"}) {
      std::string text;
      while (text.size() < 10'000) text += unit;
      text += "x";
      uint64_t steps = kManySteps;
      for (size_t from = 0; from < text.size();) {
        const auto match = pattern->find(text, from, steps);
        if (!match.found) break;
        from = match.end;
      }
      EXPECT_LT(kManySteps - steps, 4 * text.size()) << expression << " on " << unit;
    }
  }
}

TEST(LinearPattern, GivesUpWithoutSteps) {
  const auto pattern = LinearPattern::create("a+b");
  ASSERT_NE(pattern, nullptr);
  uint64_t steps = 100;
  EXPECT_FALSE(pattern->find(std::string(50, 'a') + "b", 0, steps).found == false);
  EXPECT_FALSE(pattern->find(std::string(50, 'a') + "b", 0, steps).found);
  EXPECT_EQ(steps, 0U);
}

TEST(LinearPattern, KnowsTheLettersOfUnicode16) {
  const auto pattern = LinearPattern::create("\\p{L}+");
  ASSERT_NE(pattern, nullptr);
  const std::string text = "\U00010D70\U0002EBF0\U0001C890";  // of Garay, of Extension I, of none
  uint64_t steps = kManySteps;
  EXPECT_EQ(pattern->find(text, 0, steps).end, 8U);
}

}  // namespace
}  // namespace pagoda
