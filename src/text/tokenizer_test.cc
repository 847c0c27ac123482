// Tokenizer against the ids Hugging Face tokenizers gives.
#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include "text/test_tokenizer.h"

namespace pagoda {
namespace {

using Ids = std::vector<int32_t>;

TEST(Tokenizer, GivesTheIdsOfTheReferenceForEveryGoldenText) {
  const auto tokenizer = make_golden_tokenizer();
  ASSERT_GT(golden_tokenizer()["cases"].size(), 200U);
  for (const Json& golden : golden_tokenizer()["cases"]) {
    const auto text = golden["text"].get<std::string>();
    const auto ids = tokenizer->encode(text, {});
    ASSERT_TRUE(ids.ok()) << text;
    EXPECT_EQ(*ids, golden["ids"].get<Ids>()) << text;
    const auto plain =
        tokenizer->encode(text, {.add_special_tokens = false, .parse_special_tokens = false});
    ASSERT_TRUE(plain.ok()) << text;
    EXPECT_EQ(*plain, golden["plain_ids"].get<Ids>()) << text;
    EXPECT_EQ(tokenizer->decode(*ids, true), golden["decoded"].get<std::string>());
  }
}

TEST(Tokenizer, GivesIdsAndTextsOfTheReferenceForEverySortOfCharacterVocabulary) {
  ASSERT_GE(golden_components()["tokenizers"].size(), 4U);
  for (const Json& golden : golden_components()["tokenizers"]) {
    const auto tokenizer = make_tokenizer_of(golden["tokenizer"]);
    for (const Json& wanted : golden["cases"]) {
      const auto text = wanted["text"].get<std::string>();
      const auto ids = tokenizer->encode(text, {});
      ASSERT_TRUE(ids.ok()) << text;
      EXPECT_EQ(*ids, wanted["ids"].get<Ids>()) << text;
      EXPECT_EQ(tokenizer->decode(*ids, true), wanted["decoded"].get<std::string>()) << text;
    }
  }
}

TEST(Tokenizer, AddedTokensDecodeByTheirOwnContent) {
  // In the byte-level alphabet "\u00E9" spells the byte 0xE9, and "\u2581" is no byte at all.
  TokenizerData data{.tokens = byte_tokens()};
  data.added_tokens = {{.id = 256, .content = "\u00E9"}, {.id = 257, .content = "<\u2581>"}};
  data.decoders = {{.kind = DecoderStep::Kind::kByteLevel}};
  const auto tokenizer = Tokenizer::create(std::move(data));
  ASSERT_TRUE(tokenizer.ok());
  EXPECT_EQ((*tokenizer)->decode({256, 257}, false), "\uFFFD<\u2581>");
  EXPECT_EQ((*tokenizer)->encode("\u00E9<\u2581>", {}).value(), (Ids{256, 257}));
}

TEST(Tokenizer, TextOfASpecialTokenNeverBecomesThatTokenUnlessAsked) {
  const auto tokenizer = make_golden_tokenizer();
  const int32_t end_of_turn = tokenizer->token_id("<|eot_id|>");
  ASSERT_GE(end_of_turn, 0);
  EXPECT_TRUE(tokenizer->is_special(end_of_turn));
  const auto plain = tokenizer->encode(
      "a<|eot_id|>", {.add_special_tokens = false, .parse_special_tokens = false});
  ASSERT_TRUE(plain.ok());
  for (const int32_t id : *plain) EXPECT_FALSE(tokenizer->is_special(id));
  EXPECT_EQ(tokenizer->decode(*plain, true), "a<|eot_id|>");
}

TEST(Tokenizer, DecodingUndoesEncodingForAnyText) {
  const auto tokenizer = make_golden_tokenizer();
  for (const std::string text : {"", " a  b ", "한국어 😀\n\n\t", "\x01\x7f", "'s 123456"}) {
    const auto ids = tokenizer->encode(text, {.add_special_tokens = false});
    ASSERT_TRUE(ids.ok());
    EXPECT_EQ(tokenizer->decode(*ids, false), text);
  }
}

TEST(Tokenizer, OneLongWordTakesNoQuadraticTime) {
  const auto tokenizer = make_golden_tokenizer();
  const std::string text(300'000, 'e');
  const auto ids = tokenizer->encode(text, {.add_special_tokens = false});
  ASSERT_TRUE(ids.ok());
  EXPECT_EQ(tokenizer->decode(*ids, false), text);
}

TEST(Tokenizer, RefusesInvalidUtf8) {
  const auto ids = make_golden_tokenizer()->encode("a\xFF", {});
  ASSERT_FALSE(ids.ok());
  EXPECT_EQ(ids.error().code, ErrorCode::kInvalidArgument);
}

TEST(Tokenizer, DecodeSkipsIdsOutsideTheVocabularyAndMarksBrokenCharacters) {
  const auto tokenizer = Tokenizer::create({.tokens = byte_tokens()});
  ASSERT_TRUE(tokenizer.ok());
  EXPECT_EQ((*tokenizer)->vocab_size(), 256);
  EXPECT_EQ((*tokenizer)->decode({-1, 'a', 256, 1 << 30, 0xED, 0x95, 'b'}, false), "a\uFFFDb");
  EXPECT_EQ((*tokenizer)->decode({0xED, 0x95}, false), "\uFFFD");
}

TEST(Tokenizer, ComposesTextWhenTheVocabularyAsksForNfc) {
  TokenizerData data{.tokens = byte_tokens()};
  data.normalizers = {{.kind = NormalizerStep::Kind::kNfc}};
  const auto tokenizer = Tokenizer::create(std::move(data));
  ASSERT_TRUE(tokenizer.ok());
  const auto ids = (*tokenizer)->encode("e\u0301", {});
  ASSERT_TRUE(ids.ok());
  EXPECT_EQ(*ids, (Ids{0xC3, 0xA9}));
}

TEST(Tokenizer, RefusesAVocabularyThatContradictsItself) {
  const auto message = [](TokenizerData data) {
    const auto made = Tokenizer::create(std::move(data));
    EXPECT_FALSE(made.ok());
    return made.ok() ? std::string() : made.error().message;
  };
  EXPECT_NE(message({}).find("0 tokens"), std::string::npos);
  EXPECT_NE(message({.tokens = byte_tokens(), .merges = {{'a', 999}}}).find("999"),
            std::string::npos);
  EXPECT_NE(message({.tokens = byte_tokens(), .merges = {{'a', 'b'}}}).find("makes no token"),
            std::string::npos);
  EXPECT_NE(message({.tokens = byte_tokens(), .added_tokens = {{.id = 5, .content = "<x>"}}})
                .find("added token 5"),
            std::string::npos);
  EXPECT_NE(
      message({.tokens = byte_tokens(), .added_tokens = {{.id = 2'000'000'000, .content = "<x>"}}})
          .find("2000000000"),
      std::string::npos);
  TokenizerData bad_prefix{.tokens = byte_tokens()};
  bad_prefix.prefix_ids = {256};
  EXPECT_NE(message(std::move(bad_prefix)).find("256"), std::string::npos);
}

}  // namespace
}  // namespace pagoda
