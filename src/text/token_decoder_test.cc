// TokenDecoder: every decoder against the reference, whole and streamed.
#include "text/token_decoder.h"

#include <gtest/gtest.h>

#include "text/test_tokenizer.h"
#include "text/tokenizer_json_steps.h"

namespace pagoda {
namespace {

using Kind = DecoderStep::Kind;

// The text of all tokens, one after the other.
std::string decode(const std::vector<std::string>& tokens, std::vector<DecoderStep> steps,
                   bool whole = true, bool at_start = true) {
  TokenizerData data;
  data.model = TokenizerData::Model::kCharacterMerges;
  data.decoders = std::move(steps);
  const auto decoder = TokenDecoder::create(&tokens, data);
  EXPECT_TRUE(decoder.ok()) << (decoder.ok() ? "" : decoder.error().message);
  if (!decoder.ok()) return "";
  TokenDecoder::State state = decoder->begin(whole, at_start);
  std::string text;
  for (size_t id = 0; id < tokens.size(); ++id) {
    decoder->add(state, static_cast<int32_t>(id), text);
  }
  decoder->finish(state, text);
  return text;
}

const std::vector<DecoderStep> kLlama = {{.kind = Kind::kReplace, .pattern = "▁", .content = " "},
                                         {.kind = Kind::kByteFallback},
                                         {.kind = Kind::kFuse},
                                         {.kind = Kind::kStrip, .content = " ", .start = 1}};

TEST(TokenDecoder, GivesTheTextsOfTheReferenceForEveryComponent) {
  ASSERT_GT(golden_components()["decoders"].size(), 10U);
  for (const Json& component : golden_components()["decoders"]) {
    TokenizerData data;
    ASSERT_TRUE(read_decoder(component["part"], data).ok());
    for (const Json& answer : component["answers"]) {
      if (answer["text"].is_null()) continue;  // the reference gave up
      const auto tokens = answer["tokens"].get<std::vector<std::string>>();
      EXPECT_EQ(decode(tokens, data.decoders), answer["text"].get<std::string>())
          << dump_json(component["part"]) << " of " << dump_json(answer["tokens"]);
    }
  }
}

TEST(TokenDecoder, StreamsWholeCharactersOfARunThatTurnsOutBroken) {
  const std::vector<std::string> tokens = {"<0x41>", "<0xC3>", "<0xA9>", "<0xED>", "<0x41>", "b"};
  EXPECT_EQ(decode(tokens, kLlama, true), "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDb");
  EXPECT_EQ(decode(tokens, kLlama, false), "Aé\uFFFD\uFFFDb");
  EXPECT_EQ(decode({"<0xED>", "<0x95>"}, kLlama, false), "\uFFFD\uFFFD");
}

TEST(TokenDecoder, KeepsTheSpaceOfATextThatGoesOn) {
  EXPECT_EQ(decode({"▁a", "▁b"}, kLlama, false, true), "a b");
  EXPECT_EQ(decode({"▁a", "▁b"}, kLlama, false, false), " a b");
}

TEST(TokenDecoder, RefusesOrdersItCannotRun) {
  const std::vector<std::string> tokens = {"a"};
  const auto refused = [&](std::vector<DecoderStep> steps) {
    TokenizerData data;
    data.model = TokenizerData::Model::kCharacterMerges;
    data.decoders = std::move(steps);
    return !TokenDecoder::create(&tokens, data).ok();
  };
  EXPECT_TRUE(refused({{.kind = Kind::kFuse}, {.kind = Kind::kByteFallback}}));
  EXPECT_TRUE(refused({{.kind = Kind::kFuse}, {.kind = Kind::kReplace, .pattern = "ab"}}));
  EXPECT_TRUE(refused({{.kind = Kind::kByteLevel}, {.kind = Kind::kFuse}}));
  EXPECT_TRUE(refused({{.kind = Kind::kReplaceRegex, .pattern = "a"}}));
  EXPECT_TRUE(refused({{.kind = Kind::kStrip, .content = "ab"}}));
  EXPECT_TRUE(refused({{.kind = Kind::kReplace, .pattern = "a", .content = "aaaaa"}}));
  EXPECT_TRUE(refused(std::vector<DecoderStep>(5, {.kind = Kind::kStrip, .content = "a"})));
}

}  // namespace
}  // namespace pagoda
