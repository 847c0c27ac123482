// PreTokenizer: pieces, gaps, budgets.
#include "text/pretokenize.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace pagoda {
namespace {

using Pieces = std::vector<std::string>;

constexpr const char* kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

Pieces split(const std::string& pattern, const std::string& text, bool drop = false) {
  const auto splitter = PreTokenizer::create(pattern, drop);
  EXPECT_TRUE(splitter.ok()) << (splitter.ok() ? "" : splitter.error().message);
  Pieces pieces;
  const auto done =
      (*splitter)->split(text, [&](std::string_view piece) { pieces.emplace_back(piece); });
  EXPECT_TRUE(done.ok()) << (done.ok() ? "" : done.error().message);
  return pieces;
}

TEST(PreTokenizer, CutsAsTheLlama3PatternSays) {
  EXPECT_EQ(split(kLlama3, "Hello  world's 12345\n\n x"),
            (Pieces{"Hello", " ", " world", "'s", " ", "123", "45", "\n\n", " x"}));
  EXPECT_EQ(split(kLlama3, "한국어 문장!?\n"), (Pieces{"한국어", " 문장", "!?\n"}));
}

TEST(PreTokenizer, MongolianVowelSeparatorIsNoSpace) {
  EXPECT_EQ(split(R"(\s+|\S+)", "a \u180E b"), (Pieces{"a", " ", "\u180E", " ", "b"}));
}

TEST(PreTokenizer, GapsArePiecesUnlessDropped) {
  EXPECT_EQ(split("b+", "abbcb"), (Pieces{"a", "bb", "c", "b"}));
  EXPECT_EQ(split("b+", "abbcb", true), (Pieces{"bb", "b"}));
  EXPECT_EQ(split("", "abc"), (Pieces{"abc"}));
  EXPECT_EQ(split("", ""), Pieces{});
}

TEST(PreTokenizer, EmptyMatchesCutButMakeNoPieces) {
  EXPECT_EQ(split("x*", "a한xx"), (Pieces{"a", "한", "xx"}));
}

TEST(PreTokenizer, LongRunsTakeNoQuadraticTime) {
  for (const std::string& text : {std::string(500'000, ' '), std::string(500'000, 'a'),
                                  std::string(500'000, '\n'), std::string(500'000, '!')}) {
    size_t bytes = 0;
    for (const std::string& piece : split(kLlama3, text)) bytes += piece.size();
    EXPECT_EQ(bytes, text.size());
  }
}

TEST(PreTokenizer, RefusesBadPatternsAndHopelessMatches) {
  EXPECT_FALSE(PreTokenizer::create("(", false).ok());
  EXPECT_FALSE(PreTokenizer::create(std::string(1'000'000, 'a'), false).ok());
  EXPECT_FALSE(PreTokenizer::create(std::string(1000, '(') + std::string(1000, ')'), false).ok());
  const auto hopeless = PreTokenizer::create("(a+)+$", false);
  ASSERT_TRUE(hopeless.ok());
  const auto done = (*hopeless)->split(std::string(40, 'a') + "b", [](std::string_view) {});
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace pagoda
