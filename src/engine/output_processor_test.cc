// Tests of OutputProcessor.
#include "engine/output_processor.h"

#include <gtest/gtest.h>

#include <random>

namespace pagoda {
namespace {

// A vocabulary for tests: 0 is the special token "<end>", 1 and 2 are the two bytes of "é", and
// the rest are the pieces below, by place.
const std::vector<std::string> kPieces = {"<end>", "\xC3", "\xA9", "a",  "b", "c",
                                          "ab",    "STOP", "ST",   "OP", " ", "\xE2\x82\xAC"};
constexpr TokenId kEnd = 0;

std::shared_ptr<const Tokenizer> tokenizer() {
  TokenizerData data;
  data.tokens = kPieces;
  data.added_tokens.push_back({.id = kEnd, .content = "<end>", .special = true});
  Result<std::shared_ptr<const Tokenizer>> created = Tokenizer::create(std::move(data));
  EXPECT_TRUE(created.ok()) << created.error().message;
  return *created;
}

TokenId id_of(const std::string& piece) {
  for (size_t i = 0; i < kPieces.size(); ++i) {
    if (kPieces[i] == piece) return static_cast<TokenId>(i);
  }
  ADD_FAILURE() << "no piece " << piece;
  return -1;
}

ChoiceOutput output_of(const std::vector<std::string>& pieces,
                       std::optional<FinishReason> reason = std::nullopt) {
  ChoiceOutput output;
  for (const std::string& piece : pieces) {
    SampledToken& token = output.tokens.emplace_back();
    token.token = id_of(piece);
  }
  output.finish_reason = reason;
  return output;
}

TextOptions stops(std::vector<std::string> stop) {
  TextOptions options;
  options.stop = std::move(stop);
  return options;
}

TEST(OutputProcessor, GivesTheTextOfEachTokenAtOnce) {
  OutputProcessor processor(tokenizer(), {});
  EXPECT_EQ(processor.process(output_of({"a"})).text, "a");
  EXPECT_EQ(processor.process(output_of({"b", "c"})).text, "bc");
  EXPECT_EQ(processor.num_tokens(), 3);
}

TEST(OutputProcessor, NeverSplitsACharacter) {
  OutputProcessor processor(tokenizer(), {});
  const TextDelta first = processor.process(output_of({"a", "\xC3"}));
  EXPECT_EQ(first.text, "a");
  EXPECT_EQ(first.tokens.size(), 2U);
  const TextDelta second = processor.process(output_of({"\xA9"}));
  EXPECT_EQ(second.text, "\xC3\xA9");
  EXPECT_EQ(second.tokens.size(), 1U);
}

TEST(OutputProcessor, AnUnfinishedCharacterComesOutAtTheEnd) {
  OutputProcessor processor(tokenizer(), {});
  processor.process(output_of({"\xC3"}));
  const TextDelta last = processor.process(output_of({}, FinishReason::kLength));
  EXPECT_EQ(last.text, "\xEF\xBF\xBD");
  EXPECT_EQ(last.finish_reason, FinishReason::kLength);
}

TEST(OutputProcessor, HoldsBackWhatMayBeTheStartOfAStopString) {
  OutputProcessor processor(tokenizer(), stops({"STOP"}));
  EXPECT_EQ(processor.process(output_of({"a", "ST"})).text, "a");
  EXPECT_EQ(processor.process(output_of({"ST"})).text, "ST");
  const TextDelta last = processor.process(output_of({"OP"}));
  EXPECT_EQ(last.text, "");
  EXPECT_EQ(last.finish_reason, FinishReason::kStop);
  EXPECT_EQ(last.stop_string, "STOP");
  EXPECT_TRUE(last.stop_string_just_matched);
}

TEST(OutputProcessor, TextHeldBackComesOutWhenTheChoiceEndsOtherwise) {
  OutputProcessor processor(tokenizer(), stops({"STOP"}));
  EXPECT_EQ(processor.process(output_of({"ST"})).text, "");
  const TextDelta last = processor.process(output_of({}, FinishReason::kAbort));
  EXPECT_EQ(last.text, "ST");
  EXPECT_EQ(last.finish_reason, FinishReason::kAbort);
  EXPECT_FALSE(last.stop_string.has_value());
}

TEST(OutputProcessor, WhatFollowsAStopStringIsDroppedAndNotCounted) {
  OutputProcessor processor(tokenizer(), stops({"b"}));
  const TextDelta delta = processor.process(output_of({"a", "b", "c"}));
  EXPECT_EQ(delta.text, "a");
  EXPECT_EQ(delta.tokens.size(), 2U);
  EXPECT_EQ(processor.num_tokens(), 2);
  const TextDelta later = processor.process(output_of({"c"}, FinishReason::kLength));
  EXPECT_EQ(later.text, "");
  EXPECT_TRUE(later.tokens.empty());
  EXPECT_FALSE(later.finish_reason.has_value());
  EXPECT_FALSE(later.stop_string_just_matched);
}

TEST(OutputProcessor, TheStopStringIsKeptWhenAskedFor) {
  TextOptions options = stops({"STOP"});
  options.include_stop_str_in_output = true;
  OutputProcessor processor(tokenizer(), options);
  processor.process(output_of({"ST"}));
  EXPECT_EQ(processor.process(output_of({"OP"})).text, "STOP");
}

TEST(OutputProcessor, TheStopStringCompleteFirstWinsThenTheLongest) {
  OutputProcessor first(tokenizer(), stops({"STOP", "T"}));
  EXPECT_EQ(first.process(output_of({"STOP"})).text, "S");
  OutputProcessor longest(tokenizer(), stops({"b", "ab"}));
  EXPECT_EQ(longest.process(output_of({"ab"})).stop_string, "ab");
}

TEST(OutputProcessor, AStopStringInTheLastOutputNeedsNoMessageToTheEngine) {
  OutputProcessor processor(tokenizer(), stops({"b"}));
  const TextDelta delta = processor.process(output_of({"a", "b"}, FinishReason::kLength));
  EXPECT_EQ(delta.finish_reason, FinishReason::kStop);
  EXPECT_EQ(delta.stop_string, "b");
  EXPECT_FALSE(delta.stop_string_just_matched);
}

TEST(OutputProcessor, TheTokenThatEndsAChoiceIsNoText) {
  ChoiceOutput output = output_of({"a", "b"}, FinishReason::kStop);
  output.stop_token_id = id_of("b");
  OutputProcessor processor(tokenizer(), {});
  const TextDelta delta = processor.process(output);
  EXPECT_EQ(delta.text, "a");
  EXPECT_EQ(delta.tokens.size(), 2U);
  EXPECT_EQ(delta.stop_token_id, id_of("b"));
  EXPECT_EQ(processor.num_tokens(), 2);

  TextOptions options;
  options.include_stop_str_in_output = true;
  OutputProcessor keeping(tokenizer(), options);
  EXPECT_EQ(keeping.process(output).text, "ab");
}

TEST(OutputProcessor, SpecialTokensAreTextOnlyWhenAskedFor) {
  OutputProcessor skipping(tokenizer(), {});
  EXPECT_EQ(skipping.process(output_of({"a", "<end>", "b"})).text, "ab");
  TextOptions options;
  options.skip_special_tokens = false;
  OutputProcessor showing(tokenizer(), options);
  EXPECT_EQ(showing.process(output_of({"a", "<end>", "b"})).text, "a<end>b");
}

// The text up to the first place, read byte by byte, where a stop string ends.
std::string cut(const std::string& text, const std::vector<std::string>& stop) {
  for (size_t end = 1; end <= text.size(); ++end) {
    size_t begin = std::string::npos;
    for (const std::string& s : stop) {
      if (std::string_view(text).substr(0, end).ends_with(s)) {
        begin = std::min(begin, end - s.size());
      }
    }
    if (begin != std::string::npos) return text.substr(0, begin);
  }
  return text;
}

TEST(OutputProcessor, TheTextDoesNotDependOnHowItIsCutIntoTokensAndOutputs) {
  constexpr uint32_t kSeed = 11;
  std::mt19937 random(kSeed);
  const std::vector<std::string> candidates = {"a",   "ab", "aab", "bca",      "STO",
                                               "OPS", "cc", "TOP", "\xC3\xA9", "a\xE2\x82\xAC"};
  const std::vector<std::string> pieces = {"a",  "b",  "c", "ab",          "STOP",
                                           "ST", "OP", " ", "\xE2\x82\xAC"};
  for (int i = 0; i < 500; ++i) {
    std::vector<std::string> stop;
    for (auto n = random() % 4; n > 0; --n)
      stop.push_back(candidates[random() % candidates.size()]);
    OutputProcessor processor(tokenizer(), stops(stop));
    std::string text;
    std::string got;
    int num_finishes = 0;
    const auto take = [&](const ChoiceOutput& output) {
      const TextDelta delta = processor.process(output);
      got += delta.text;
      num_finishes += delta.finish_reason ? 1 : 0;
      const std::string want = cut(text, stop);
      EXPECT_EQ(want.substr(0, got.size()), got) << "text already out was wrong, seed " << kSeed;
    };
    for (auto n = random() % 12; n > 0; --n) {
      std::vector<std::string> some;
      for (auto m = 1 + random() % 3; m > 0; --m) {
        if (random() % 8 == 0) {
          some.insert(some.end(), {"\xC3", "\xA9"});
        } else {
          some.push_back(pieces[random() % pieces.size()]);
        }
      }
      for (const std::string& piece : some) text += piece;
      take(output_of(some));
    }
    take(output_of({}, FinishReason::kLength));
    EXPECT_EQ(got, cut(text, stop)) << "seed " << kSeed << " round " << i;
    EXPECT_EQ(num_finishes, 1);
  }
}

}  // namespace
}  // namespace pagoda
