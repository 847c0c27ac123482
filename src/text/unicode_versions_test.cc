// Which characters the parts of Hugging Face tokenizers know; expected: its version 0.23.3.
#include "text/unicode_versions.h"

#include <gtest/gtest.h>

namespace pagoda {
namespace {

TEST(UnicodeVersions, NormalizersKnowUnicode9) {
  EXPECT_TRUE(is_known_to_normalizers(0x1DFB));  // of Unicode 9
  EXPECT_TRUE(is_known_to_normalizers('a'));
  EXPECT_FALSE(is_known_to_normalizers(0x1DF6));   // of Unicode 10
  EXPECT_FALSE(is_known_to_normalizers(0x32FF));   // the era Reiwa, of 12.1
  EXPECT_FALSE(is_known_to_normalizers(0x1E2AE));  // of 14
}

TEST(UnicodeVersions, MarksAndPunctuationAreThoseOfUnicode8) {
  EXPECT_TRUE(is_known_mark(0x301));
  EXPECT_FALSE(is_known_mark(0x8D4 - 1));  // of Unicode 14
  EXPECT_TRUE(is_known_punctuation(0x2E42));
  EXPECT_FALSE(is_known_punctuation(0x2E43));  // of Unicode 9
}

TEST(UnicodeVersions, NumbersAndCapitalsAreThoseOfUnicode17) {
  EXPECT_TRUE(is_newer_number(0x11DE0));
  EXPECT_FALSE(is_newer_number('5'));
  EXPECT_EQ(newer_small_letter(0xA7CB), char32_t{0x264});
  EXPECT_EQ(newer_small_letter(0x16EA0), char32_t{0x16EBB});
  EXPECT_EQ(newer_small_letter('A'), char32_t{0});
}

}  // namespace
}  // namespace pagoda
