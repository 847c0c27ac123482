// Bpe: order of merges, and the long path against the short one.
#include "text/bpe.h"

#include <gtest/gtest.h>

#include <random>

#include "text/test_tokenizer.h"

namespace pagoda {
namespace {

using Ids = std::vector<int32_t>;

// The definition, one merge at a time: best rank first, the leftmost among equals.
Ids merge_naively(const std::string& piece, const std::vector<std::string>& tokens,
                  const std::vector<std::pair<int32_t, int32_t>>& merges) {
  Ids symbols;
  for (const char c : piece) symbols.push_back(static_cast<uint8_t>(c));
  while (true) {
    size_t best_rank = merges.size(), best_at = 0;
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      for (size_t rank = 0; rank < best_rank; ++rank) {
        if (merges[rank] != std::pair(symbols[i], symbols[i + 1])) continue;
        best_rank = rank;
        best_at = i;
      }
    }
    if (best_rank == merges.size()) return symbols;
    const std::string joined = tokens[static_cast<size_t>(merges[best_rank].first)] +
                               tokens[static_cast<size_t>(merges[best_rank].second)];
    const auto id = std::find(tokens.begin(), tokens.end(), joined) - tokens.begin();
    symbols[best_at] = static_cast<int32_t>(id);
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best_at) + 1);
  }
}

TEST(Bpe, AgreesWithTheDefinitionForShortAndLongPieces) {
  // Merges that overlap and compete: aa, ab, ba, aaa (two ways), abab, ...
  const auto tokens = byte_tokens({"ab", "aa", "ba", "aba", "abab", "aaa", "bb", "aabb"});
  const std::vector<std::pair<int32_t, int32_t>> merges = {
      {'b', 'a'}, {'a', 'a'}, {'a', 'b'}, {256, 256}, {257, 'a'},
      {256, 'a'}, {'b', 'b'}, {257, 262}, {'a', 257}, {'a', 258}};
  const auto bpe = Bpe::create(tokens, merges, false);
  ASSERT_TRUE(bpe.ok()) << bpe.error().message;
  std::mt19937 random(7);
  for (size_t size = 0; size < 200; ++size) {
    std::string piece;
    for (size_t i = 0; i < size; ++i) piece += random() % 3 == 0 ? 'b' : 'a';
    Ids ids;
    bpe->encode(piece, ids);
    EXPECT_EQ(ids, merge_naively(piece, tokens, merges)) << piece;
  }
}

TEST(Bpe, TakesAWholeTokenOnlyWhenMergesAreIgnored) {
  const auto tokens = byte_tokens({"whole"});
  for (const bool ignore : {false, true}) {
    const auto bpe = Bpe::create(tokens, {}, ignore);
    ASSERT_TRUE(bpe.ok());
    Ids ids;
    bpe->encode("whole", ids);
    EXPECT_EQ(ids, ignore ? Ids{256} : (Ids{'w', 'h', 'o', 'l', 'e'}));
  }
}

TEST(Bpe, LeavesOutBytesThatHaveNoToken) {
  const std::vector<std::string> tokens = {"a", "b"};
  const auto bpe = Bpe::create(tokens, {}, false);
  ASSERT_TRUE(bpe.ok());
  Ids ids;
  bpe->encode("axb", ids);
  EXPECT_EQ(ids, (Ids{0, 1}));
}

TEST(TokenIndex, FindsTokensByTheirPartsWhereverTheCutIs) {
  const std::vector<std::string> tokens = {"", "abcdefghijklmnopq", "x", "x"};
  const TokenIndex index(tokens);
  for (size_t cut = 0; cut <= tokens[1].size(); ++cut) {
    EXPECT_EQ(index.find_joined(tokens[1].substr(0, cut), tokens[1].substr(cut)), 1);
  }
  EXPECT_EQ(index.find("x"), 2);
  EXPECT_EQ(index.find(""), -1);
  EXPECT_EQ(index.find("abc"), -1);
}

}  // namespace
}  // namespace pagoda
