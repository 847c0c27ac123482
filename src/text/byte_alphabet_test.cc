// The byte-level alphabet against the values that GPT-2's vocabulary uses.
#include "text/byte_alphabet.h"

#include <gtest/gtest.h>

namespace pagoda {
namespace {

TEST(ByteAlphabet, SpellsSpacesAndLineEndsAsGpt2Does) {
  std::string spelling;
  to_byte_alphabet(" a\n\xFF", spelling);
  EXPECT_EQ(spelling, "\u0120a\u010A\u00FF");
}

TEST(ByteAlphabet, BringsEveryByteBack) {
  std::string all, spelling, bytes;
  for (int byte = 0; byte < 256; ++byte) all.push_back(static_cast<char>(byte));
  to_byte_alphabet(all, spelling);
  EXPECT_TRUE(from_byte_alphabet(spelling, bytes));
  EXPECT_EQ(bytes, all);
}

TEST(ByteAlphabet, LeavesASpellingOutsideTheAlphabetAsItIs) {
  std::string bytes;
  EXPECT_FALSE(from_byte_alphabet("\u0120\u2581", bytes));
  EXPECT_EQ(bytes, "\u0120\u2581");
  from_byte_alphabet("a b", bytes);
  EXPECT_EQ(bytes, "a b");
}

}  // namespace
}  // namespace pagoda
