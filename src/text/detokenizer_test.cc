// Detokenizer: what a stream shows, and when.
#include "text/detokenizer.h"

#include <gtest/gtest.h>

#include "text/test_tokenizer.h"
#include "text/unicode.h"

namespace pagoda {
namespace {

std::shared_ptr<const Tokenizer> byte_tokenizer() {
  TokenizerData data{.tokens = byte_tokens()};
  data.added_tokens = {{.id = 256, .content = "<end>", .special = true}};
  return *Tokenizer::create(std::move(data));
}

// The texts that each byte of `bytes` completes.
std::vector<std::string> pieces(const std::string& bytes) {
  Detokenizer stream(byte_tokenizer(), true);
  std::vector<std::string> out;
  for (const char c : bytes) out.push_back(stream.add(static_cast<uint8_t>(c)));
  out.push_back(stream.flush());
  return out;
}

using Pieces = std::vector<std::string>;

TEST(Detokenizer, HoldsACharacterBackUntilItIsWhole) {
  EXPECT_EQ(pieces("a한b"), (Pieces{"a", "", "", "한", "b", ""}));
  EXPECT_EQ(pieces("😀"), (Pieces{"", "", "", "😀", ""}));
}

TEST(Detokenizer, ReplacesBytesThatCannotContinueAsSoonAsThatIsKnown) {
  EXPECT_EQ(pieces("\xED\x95z"), (Pieces{"", "", "\uFFFDz", ""}));
  EXPECT_EQ(pieces("\xFFz"), (Pieces{"\uFFFD", "z", ""}));
  EXPECT_EQ(pieces("\xE0\x80"), (Pieces{"", "\uFFFD\uFFFD", ""}));
}

TEST(Detokenizer, FlushGivesOneReplacementForAnUnfinishedCharacter) {
  EXPECT_EQ(pieces("\xF0\x9F\x98"), (Pieces{"", "", "", "\uFFFD"}));
}

TEST(Detokenizer, SkipsSpecialTokensOnlyWhenAsked) {
  Detokenizer skipping(byte_tokenizer(), true), showing(byte_tokenizer(), false);
  EXPECT_EQ(skipping.add(256), "");
  EXPECT_EQ(showing.add(256), "<end>");
  EXPECT_EQ(skipping.add(257), "");
  EXPECT_EQ(skipping.add(-1), "");
}

TEST(Detokenizer, KeepsTheFirstSpaceOfATextThatGoesOn) {
  TokenizerData data{.model = TokenizerData::Model::kCharacterMerges, .tokens = {" a", " b"}};
  data.decoders = {{.kind = DecoderStep::Kind::kFuse},
                   {.kind = DecoderStep::Kind::kStrip, .content = " ", .start = 1}};
  const auto tokenizer = *Tokenizer::create(std::move(data));
  Detokenizer starting(tokenizer, true), going_on(tokenizer, true, true);
  EXPECT_EQ(starting.add(0), "a");
  EXPECT_EQ(starting.add(1), " b");
  EXPECT_EQ(going_on.add(0), " a");
}

void expect_stream_equals_decode(const std::shared_ptr<const Tokenizer>& tokenizer,
                                 const Json& cases) {
  for (const Json& golden : cases) {
    const auto ids = golden["ids"].get<std::vector<int32_t>>();
    Detokenizer stream(tokenizer, true);
    std::string text;
    for (const int32_t id : ids) {
      const std::string piece = stream.add(id);
      EXPECT_TRUE(is_valid_utf8(piece));
      text += piece;
    }
    text += stream.flush();
    EXPECT_EQ(text, tokenizer->decode(ids, true));
  }
}

TEST(Detokenizer, StreamsTheSameTextAsDecode) {
  expect_stream_equals_decode(make_golden_tokenizer(), golden_tokenizer()["cases"]);
  for (const Json& golden : golden_components()["tokenizers"]) {
    expect_stream_equals_decode(make_tokenizer_of(golden["tokenizer"]), golden["cases"]);
  }
}

}  // namespace
}  // namespace pagoda
