// Tests of base/printable.h.
#include "base/printable.h"

#include <gtest/gtest.h>

namespace pagoda {
namespace {

TEST(Printable, EscapesWhatATerminalWouldObey) {
  EXPECT_EQ(printable("a\x1b[31m\x7f\xff"), "a\\x1b[31m\\x7f\\xff");
  EXPECT_EQ(printable(std::string_view("\0", 1)), "\\x00");
  // CSI as one character, and what turns the rest of the line around.
  EXPECT_EQ(printable("\xC2\x9B"
                      "31m"),
            "\\xc2\\x9b31m");
  EXPECT_EQ(printable("\xE2\x80\xAE"
                      "fdp.exe"),
            "\\xe2\\x80\\xaefdp.exe");
  EXPECT_EQ(printable("\xE2\x81\xA6x\xE2\x80\x8F"), "\\xe2\\x81\\xa6x\\xe2\\x80\\x8f");
}

TEST(Printable, StaysInOneLine) {
  EXPECT_EQ(printable("a\r\n\tb"), "a   b");
  EXPECT_EQ(printable("a\xE2\x80\xA8"
                      "b"),
            "a\\xe2\\x80\\xa8"
            "b");
}

TEST(Printable, LeavesTheTextsOfAllLanguages) {
  const std::string text = "Größe 模型 नमस्ते 👩‍🔬 \u00A0…";
  EXPECT_EQ(printable(text), text);
}

TEST(Printable, IsValidUtf8WhateverItIsGiven) {
  EXPECT_EQ(printable("\xE6\xA8"), "\\xe6\\xa8");
  EXPECT_EQ(printable("\xC0\x80\xED\xA0\x80"), "\\xc0\\x80\\xed\\xa0\\x80");
}

TEST(Printable, CutsLongTextsBetweenCharacters) {
  EXPECT_EQ(printable("abcdef", 3), "abc...");
  EXPECT_EQ(printable("abc", 3), "abc");
  EXPECT_EQ(printable("aß", 2), "a...");
  EXPECT_EQ(printable("aß", 3), "aß");
}

}  // namespace
}  // namespace pagoda
