// UTF-8 validation, replacement and character classes.
#include "text/unicode.h"

#include <gtest/gtest.h>
#include <utf8proc.h>

#include <cstdlib>

#include "text/unicode_versions.h"

namespace pagoda {
namespace {

std::string lossy(const std::string& bytes) {
  std::string out;
  if (append_utf8_lossy(bytes, out) < bytes.size()) out += kReplacementCharacter;
  return out;
}

TEST(Unicode, AcceptsExactlyTheWellFormedSequences) {
  for (const std::string good : {"", "abcdefghijklmnop", "\xC2\x80", "\xED\x9F\xBF", "\xEE\x80\x80",
                                 "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF", "한국어 😀 text"}) {
    EXPECT_TRUE(is_valid_utf8(good)) << good;
  }
  for (const std::string bad :
       {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF0\x80\x80\x80",
        "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xC2", "abcdefgh\xE2\x82", "\xFF"}) {
    EXPECT_FALSE(is_valid_utf8(bad));
  }
}

// The expected strings are Python's bytes.decode("utf-8", errors="replace").
TEST(Unicode, ReplacesEachMaximalSubpartAsPythonDoes) {
  EXPECT_EQ(lossy("a\xFF"
                  "b"),
            "a\uFFFDb");
  EXPECT_EQ(lossy("\xE2\x82"
                  "A"),
            "\uFFFDA");
  EXPECT_EQ(lossy("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(lossy("\xF0\x9F\x98\xF0\x9F\x98\x80"), "\uFFFD😀");
  EXPECT_EQ(lossy("\xC0\xAF"), "\uFFFD\uFFFD");
  EXPECT_EQ(lossy("\xF4\x90\x80\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(lossy("ok\xF0\x9F"), "ok\uFFFD");
}

TEST(Unicode, EveryScalarValueSurvivesEncodingAndDecoding) {
  for (char32_t c = 0; c <= 0x10FFFF; c += c < 0x3000 ? 1 : 37) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string text;
    append_utf8(text, c);
    ASSERT_TRUE(is_valid_utf8(text));
    size_t offset = 0;
    ASSERT_EQ(next_code_point(text, offset), c);
    ASSERT_EQ(offset, text.size());
  }
}

TEST(Unicode, KnowsSpacesOfPythonAndOfUnicode) {
  EXPECT_TRUE(is_white_space(0x3000));
  EXPECT_FALSE(is_white_space(0x180E));
  EXPECT_FALSE(is_white_space(0x200B));
  EXPECT_FALSE(is_white_space(0x1C));
  EXPECT_TRUE(is_python_space(0x1C));
}

TEST(Unicode, StripsWhiteSpaceOfTheSidesAskedFor) {
  EXPECT_EQ(strip_white_space("\u3000 a b \n", true, false), "a b \n");
  EXPECT_EQ(strip_white_space("\u3000 a b \n", false, true), "\u3000 a b");
  EXPECT_EQ(strip_white_space(" \n", true, true), "");
  EXPECT_EQ(strip_white_space(" ", false, false), " ");
}

TEST(Unicode, KnowsNumbersAndPunctuation) {
  for (const char32_t c : {U'5', U'²', U'½', U'Ⅷ', U'٣'}) EXPECT_TRUE(is_numeric(c));
  for (const char32_t c : {U'$', U'+', U'~', U'_', U'—', U'。'}) EXPECT_TRUE(is_punctuation(c));
  EXPECT_FALSE(is_punctuation(U'€'));
  EXPECT_FALSE(is_punctuation(U'5'));
}

TEST(Unicode, MapsCaseAndComposes) {
  EXPECT_EQ(to_lower("ÀÉ Я İ"), "àé я i\u0307");
  EXPECT_EQ(normalize_unicode("e\u0301 \u1112\u1161\u11AB", NormalForm::kNfc), "é 한");
  EXPECT_EQ(normalize_unicode("é 한", NormalForm::kNfd), "e\u0301 \u1112\u1161\u11AB");
  EXPECT_EQ(normalize_unicode("ﬁ①", NormalForm::kNfkc), "fi1");
  EXPECT_EQ(normalize_unicode("ﬁé", NormalForm::kNfkd), "fie\u0301");
  EXPECT_EQ(without_marks("e\u0301a\u0903"), "ea");
  EXPECT_EQ(count_code_points("a한😀"), 3);
}

// utf8proc's own normalisation, which goes through all characters.
std::string normalize_whole(const std::string& text, NormalForm form) {
  const bool composed = form == NormalForm::kNfc || form == NormalForm::kNfkc;
  const bool compatible = form == NormalForm::kNfkc || form == NormalForm::kNfkd;
  const int options = UTF8PROC_STABLE | (composed ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE) |
                      (compatible ? UTF8PROC_COMPAT : 0);
  utf8proc_uint8_t* made = nullptr;
  const auto length = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                   static_cast<utf8proc_ssize_t>(text.size()), &made,
                                   static_cast<utf8proc_option_t>(options));
  EXPECT_GE(length, 0);
  const std::string out(reinterpret_cast<const char*>(made), static_cast<size_t>(length));
  std::free(made);
  return out;
}

TEST(Unicode, NormalizesEveryCharacterAmongOthersAsUtf8procDoes) {
  const auto is_one_of_many = [](char32_t c) {  // whole blocks of which are treated alike
    return (c >= 0x3400 && c < 0xA000) || (c >= 0xAC00 && c < 0xD7A4) ||
           (c >= 0x17000 && c < 0x18D00) || (c >= 0x20000 && c < 0x2F800);
  };
  for (char32_t c = 1; c <= 0x30000; c += is_one_of_many(c) ? 31 : 1) {
    if ((c >= 0xD800 && c <= 0xDFFF) || !is_known_to_normalizers(c)) continue;
    std::string text = "e";
    for (const char32_t other : {c, char32_t{0x301}, c, char32_t{0x1161}, char32_t{0x323}, c,
                                 char32_t{0x11A8}, char32_t{0x4E00}, c, c, char32_t{'x'}}) {
      append_utf8(text, other);
    }
    for (const NormalForm form :
         {NormalForm::kNfc, NormalForm::kNfd, NormalForm::kNfkc, NormalForm::kNfkd}) {
      ASSERT_EQ(normalize_unicode(text, form), normalize_whole(text, form)) << static_cast<int>(c);
    }
  }
}

// Expected: Hugging Face tokenizers 0.23.3.
TEST(Unicode, LeavesCharactersAfterUnicode9AsTheyAre) {
  EXPECT_EQ(normalize_unicode("a\u0301\u09FE\u0323", NormalForm::kNfd), "a\u0301\u09FE\u0323");
  EXPECT_EQ(normalize_unicode("\u32FF", NormalForm::kNfkc), "\u32FF");
  EXPECT_EQ(normalize_unicode("\U00011938", NormalForm::kNfd), "\U00011938");
  EXPECT_EQ(normalize_unicode("\U00011935\U00011930", NormalForm::kNfc), "\U00011935\U00011930");
  EXPECT_EQ(without_marks("a\u09FEb\u1CF2"), "a\u09FEb");
  EXPECT_FALSE(is_punctuation(0x9FD));
  EXPECT_TRUE(is_punctuation(0x166D));
  EXPECT_TRUE(is_numeric(0x11DE0));
  EXPECT_EQ(to_lower("\u1C89\U00010D50"), "\u1C8A\U00010D70");
}

TEST(Unicode, OrdersALongRunOfMarksByTheirClassesInLittleTime) {
  constexpr int kPairs = 50'000;  // minutes, where a run takes the square of its length
  std::string text = "a";
  std::string below = "\u1EA1", above;
  for (int i = 0; i < kPairs; ++i) {
    text += "\u0301\u0323";
    above += "\u0301";
    if (i > 0) below += "\u0323";
  }
  EXPECT_EQ(normalize_unicode(text, NormalForm::kNfc), below + above);
}

}  // namespace
}  // namespace pagoda
