// Bpe: order of merges, and the long path against the short one.
#include "text/bpe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
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
  const TokenizerData data{.tokens = tokens, .merges = merges};
  const auto bpe = Bpe::create(data);
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
  for (const bool ignore : {false, true}) {
    const TokenizerData data{.tokens = byte_tokens({"whole"}), .ignore_merges = ignore};
    const auto bpe = Bpe::create(data);
    ASSERT_TRUE(bpe.ok());
    Ids ids;
    bpe->encode("whole", ids);
    EXPECT_EQ(ids, ignore ? Ids{256} : (Ids{'w', 'h', 'o', 'l', 'e'}));
  }
}

TEST(Bpe, LeavesOutBytesThatHaveNoToken) {
  const TokenizerData data{.tokens = {"a", "b"}};
  const auto bpe = Bpe::create(data);
  ASSERT_TRUE(bpe.ok());
  Ids ids;
  bpe->encode("axb", ids);
  EXPECT_EQ(ids, (Ids{0, 1}));
}

// The definition for scores: the neighbours that make the best token, the leftmost among equals.
Ids join_naively(const std::string& piece, const TokenizerData& data) {
  std::vector<std::string> symbols;
  for (const char c : piece) symbols.emplace_back(1, c);
  const auto id_of = [&](const std::string& text) {
    const auto at = std::find(data.tokens.begin(), data.tokens.end(), text);
    return at == data.tokens.end() ? -1 : static_cast<int32_t>(at - data.tokens.begin());
  };
  while (true) {
    size_t best_at = symbols.size();
    float best = -1e9F;
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      const int32_t id = id_of(symbols[i] + symbols[i + 1]);
      if (id < 0 || data.scores[static_cast<size_t>(id)] <= best) continue;
      best = data.scores[static_cast<size_t>(id)];
      best_at = i;
    }
    if (best_at == symbols.size()) break;
    symbols[best_at] += symbols[best_at + 1];
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best_at) + 1);
  }
  Ids ids;
  for (const std::string& symbol : symbols) ids.push_back(std::max(0, id_of(symbol)));
  return ids;
}

TEST(Bpe, JoinsByScoresAsTheDefinitionSays) {
  // "c" is no token of its own, only inside others; equal scores go to the left.
  const TokenizerData data{
      .model = TokenizerData::Model::kCharacterScores,
      .tokens = {"<unk>", "a", "b", "ab", "ba", "aba", "bc", "abc", "aa", "bb", "bbaa"},
      .scores = {NAN, 0, 0, -1, -1, -4, -2, -3, -2, -5, -6},
      .unk_id = 0};
  const auto bpe = Bpe::create(data);
  ASSERT_TRUE(bpe.ok()) << bpe.error().message;
  std::mt19937 random(11);
  for (size_t size = 0; size < 150; ++size) {
    std::string piece;
    for (size_t i = 0; i < size; ++i) piece += "aaabbbc"[random() % 7];
    Ids ids;
    bpe->encode(piece, ids);
    EXPECT_EQ(ids, join_naively(piece, data)) << piece;
  }
}

TokenizerData characters() {
  return {.model = TokenizerData::Model::kCharacterMerges,
          .tokens = {"<unk>", "a", "한", "a한", "<0xC3>", "<0xA9>"},
          .merges = {{1, 2}},
          .unk_id = 0};
}

Ids encode(const TokenizerData& data, const std::string& text) {
  const auto bpe = Bpe::create(data);
  EXPECT_TRUE(bpe.ok());
  Ids ids;
  bpe->encode(text, ids);
  return ids;
}

TEST(Bpe, UnknownCharactersBecomeBytesTheUnknownTokenOrNothing) {
  TokenizerData data = characters();
  EXPECT_EQ(encode(data, "a한xya"), (Ids{3, 0, 0, 1}));
  data.fuse_unk = true;
  EXPECT_EQ(encode(data, "a한xya"), (Ids{3, 0, 1}));
  data.byte_fallback = true;
  EXPECT_EQ(encode(data, "aéx"), (Ids{1, 4, 5, 0}));
  data.unk_id = -1;
  EXPECT_EQ(encode(data, "xaé"), (Ids{1, 4, 5}));
}

TEST(Bpe, OneLongRunOfCharactersTakesNoQuadraticTime) {
  const std::string text(100'000, 'a');
  TokenizerData data = characters();
  data.tokens.insert(data.tokens.end(), {"aa", "aaaa"});
  data.merges = {{1, 1}, {6, 6}};
  EXPECT_EQ(encode(data, text).size(), 25'000U);
}

TEST(Bpe, RefusesScoresAndUnknownTokensThatDoNotFit) {
  TokenizerData data = characters();
  data.unk_id = 6;
  EXPECT_FALSE(Bpe::create(data).ok());
  data = characters();
  data.model = TokenizerData::Model::kCharacterScores;
  EXPECT_FALSE(Bpe::create(data).ok());
  data.scores = {1, 2};
  EXPECT_FALSE(Bpe::create(data).ok());
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
