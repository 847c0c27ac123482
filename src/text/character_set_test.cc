// CharacterSet: ranges, and categories against what other programs say.
#include "text/character_set.h"

#include <gtest/gtest.h>

namespace pagoda {
namespace {

size_t size_of(const CharacterSet& set) {
  size_t count = 0;
  for (const auto& range : set.ranges()) count += range.last - range.first + 1;
  return count;
}

TEST(CharacterSet, JoinsRangesThatTouch) {
  const CharacterSet set({{'c', 'd'}, {'a', 'b'}, {'x', 'z'}, {'y', 'y'}});
  EXPECT_EQ(set.ranges(), (std::vector<CharacterSet::Range>{{'a', 'd'}, {'x', 'z'}}));
  EXPECT_TRUE(set.contains('a') && set.contains('d') && set.contains('z'));
  EXPECT_FALSE(set.contains('e') || set.contains('w') || set.contains(0));
  EXPECT_EQ(set.complement().complement(), set);
  EXPECT_EQ(CharacterSet().complement(), CharacterSet({{0, 0x10FFFF}}));
}

TEST(CharacterSet, CategoriesHaveTheNumbersOfCharactersOfUnicode16) {
  // Counts of Hugging Face tokenizers' Oniguruma; of the Unicode Standard 16.0, table D-2 for the
  // groups.
  for (const auto& [name, count] : {std::pair{"Lu", 1858},
                                    {"Ll", 2258},
                                    {"Lt", 31},
                                    {"Lm", 404},
                                    {"Lo", 136477},
                                    {"Mn", 2020},
                                    {"Mc", 468},
                                    {"Me", 13},
                                    {"Nd", 760},
                                    {"Nl", 236},
                                    {"No", 915},
                                    {"Pc", 10},
                                    {"Pd", 27},
                                    {"Ps", 79},
                                    {"Pe", 77},
                                    {"Pi", 12},
                                    {"Pf", 10},
                                    {"Po", 640},
                                    {"Sm", 950},
                                    {"Sc", 63},
                                    {"Sk", 125},
                                    {"So", 7376},
                                    {"Zs", 17},
                                    {"Zl", 1},
                                    {"Zp", 1},
                                    {"Cc", 65},
                                    {"Cf", 170},
                                    {"Co", 137468},
                                    {"L", 141028},
                                    {"M", 2501},
                                    {"N", 1911},
                                    {"P", 855},
                                    {"S", 8514}}) {
    const auto set = category_set(name);
    ASSERT_TRUE(set.has_value()) << name;
    EXPECT_EQ(static_cast<int>(size_of(*set)), count) << name;
  }
}

TEST(CharacterSet, KnowsNoOtherNames) {
  for (const char* name : {"", "l", "LU", "X", "Xx", "Greek", "Alphabetic"}) {
    EXPECT_FALSE(category_set(name).has_value()) << name;
  }
}

TEST(CharacterSet, WordsAndSpacesAreThoseOfOniguruma) {
  EXPECT_EQ(size_of(white_space_set()), 25U);
  EXPECT_EQ(size_of(word_set(false)), 144671U);
  EXPECT_EQ(size_of(word_set(true)), 144665U);
}

}  // namespace
}  // namespace pagoda
