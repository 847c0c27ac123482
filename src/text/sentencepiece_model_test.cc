// SentencePiece models: the wire format, its conversion, and what is refused.
#include "text/sentencepiece_model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

namespace pagoda {
namespace {

using Ids = std::vector<int32_t>;

std::string varint(uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80U));
  out.push_back(static_cast<char>(value));
  return out;
}

std::string number(uint32_t field, uint64_t value) {
  return varint(uint64_t{field} << 3) + varint(value);
}

std::string bytes(uint32_t field, const std::string& value) {
  return varint((uint64_t{field} << 3) | 2U) + varint(value.size()) + value;
}

std::string piece(const std::string& text, float score, uint64_t type) {
  uint32_t bits = 0;
  std::memcpy(&bits, &score, sizeof(bits));
  std::string fixed = varint((2U << 3) | 5U);
  for (int i = 0; i < 4; ++i) fixed.push_back(static_cast<char>(bits >> (8 * i)));
  return bytes(1, bytes(1, text) + fixed + number(3, type));
}

// A model as the trainer writes it: unknown, BOS, EOS, bytes, characters, joins.
std::string model(const std::string& trainer = number(3, 2) + number(35, 1),
                  const std::string& preparation = number(3, 1) + number(4, 0)) {
  std::string out = piece("<unk>", 0, 2) + piece("<s>", 0, 3) + piece("</s>", 0, 3);
  for (int byte = 0; byte < 256; ++byte) {
    const char* digits = "0123456789ABCDEF";
    out += piece(std::string("<0x") + digits[byte / 16] + digits[byte % 16] + ">", 0, 6);
  }
  out += piece("▁a", -1, 1) + piece("ab", -2, 1) + piece("▁", -3, 1) + piece("a", -4, 1) +
         piece("b", -5, 1) + piece("<n>", 0, 4);
  return out + bytes(2, trainer) + bytes(3, preparation);
}

std::shared_ptr<const Tokenizer> tokenizer_of(const std::string& file) {
  auto data = parse_sentencepiece_model(file);
  EXPECT_TRUE(data.ok()) << (data.ok() ? "" : data.error().message);
  auto tokenizer = Tokenizer::create(*std::move(data));
  EXPECT_TRUE(tokenizer.ok()) << (tokenizer.ok() ? "" : tokenizer.error().message);
  return *std::move(tokenizer);
}

TEST(SentencePieceModel, JoinsByScoreBehindADummyPrefix) {
  const auto tokenizer = tokenizer_of(model());
  EXPECT_EQ(tokenizer->encode("ab aab", {}).value(), (Ids{1, 259, 263, 259, 260}));
  EXPECT_EQ(tokenizer->decode({1, 259, 263, 259, 260}, true), "ab aab");
  EXPECT_EQ(tokenizer->encode("", {}).value(), Ids{1});
}

TEST(SentencePieceModel, SpellsUnknownCharactersInBytes) {
  const auto tokenizer = tokenizer_of(model());
  const auto ids = tokenizer->encode("é", {.add_special_tokens = false}).value();
  EXPECT_EQ(ids, (Ids{261, 3 + 0xC3, 3 + 0xA9}));
  EXPECT_EQ(tokenizer->decode(ids, true), "é");
}

TEST(SentencePieceModel, FindsUserDefinedPiecesBeforeAnythingJoins) {
  const auto tokenizer = tokenizer_of(model());
  EXPECT_EQ(tokenizer->encode("a<n>ab", {.add_special_tokens = false}).value(),
            (Ids{259, 264, 260}));
}

TEST(SentencePieceModel, TextNeverBecomesAControlPieceUnlessAsked) {
  const auto tokenizer = tokenizer_of(model());
  const auto plain =
      tokenizer->encode("<s>", {.add_special_tokens = false, .parse_special_tokens = false});
  ASSERT_TRUE(plain.ok());
  for (const int32_t id : *plain) EXPECT_NE(id, 1);
  EXPECT_EQ(tokenizer->decode(*plain, true), "<s>");
  EXPECT_EQ(tokenizer->encode("<s>", {.add_special_tokens = false}).value(), Ids{1});
}

TEST(SentencePieceModel, HonoursHowTextIsPrepared) {
  const std::string trainer = number(3, 2) + number(35, 1);
  const auto bare = tokenizer_of(model(trainer, number(3, 0) + number(4, 0)));
  EXPECT_EQ(bare->encode(" a", {.add_special_tokens = false}).value(), Ids{259});
  EXPECT_EQ(bare->encode("a", {.add_special_tokens = false}).value(), Ids{262});
  const auto squeezing = tokenizer_of(model(trainer, number(3, 1) + number(4, 1)));
  EXPECT_EQ(squeezing->encode("  a   a ", {.add_special_tokens = false}).value(), (Ids{259, 259}));
}

TEST(SentencePieceModel, NamesWhatItDoesNotSupport) {
  const auto message = [](const std::string& file) {
    const auto data = parse_sentencepiece_model(file);
    EXPECT_FALSE(data.ok());
    if (data.ok()) return std::string();
    EXPECT_EQ(data.error().code, ErrorCode::kUnsupported);
    return data.error().message;
  };
  EXPECT_NE(message(model(number(3, 1))).find("Unigram"), std::string::npos);
  EXPECT_NE(message(model(number(3, 2) + number(24, 1))).find("suffix"), std::string::npos);
  EXPECT_NE(message(model(number(3, 2), bytes(2, "map"))).find("character map"), std::string::npos);
}

TEST(SentencePieceModel, SurvivesEveryTruncationAndFlippedByte) {
  const std::string file = model();
  for (size_t i = 0; i < file.size(); i += i < 200 || i + 200 > file.size() ? 1 : 211) {
    static_cast<void>(parse_sentencepiece_model(file.substr(0, i)).ok());
    for (const char c : {'\0', '\xFF', '\x7F', '\x12'}) {
      std::string flipped = file;
      flipped[i] = c;
      auto data = parse_sentencepiece_model(flipped);
      if (data.ok()) static_cast<void>(Tokenizer::create(*std::move(data)).ok());
    }
  }
  EXPECT_FALSE(parse_sentencepiece_model("").ok());
  EXPECT_FALSE(parse_sentencepiece_model("\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F").ok());
}

}  // namespace
}  // namespace pagoda
