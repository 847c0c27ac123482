// Steps of a tokenizer.json: nesting, defaults, what is malformed. What they do is tested with the
// classes that run them.
#include "text/tokenizer_json_steps.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace pagoda {
namespace {

Json json(const std::string& text) {
  auto parsed = parse_json(text);
  EXPECT_TRUE(parsed.ok()) << text;
  return *std::move(parsed);
}

std::string nested(int depth) {
  std::string text = R"({"type": "NFC"})";
  for (int i = 0; i < depth; ++i) {
    text = R"({"type": "Sequence", "normalizers": [)" + text + "]}";
  }
  return text;
}

TEST(TokenizerJsonSteps, SequencesNestEightDeepAndNoDeeper) {
  TokenizerData data;
  EXPECT_TRUE(read_normalizer(json(nested(8)), data).ok());
  EXPECT_EQ(data.normalizers.size(), 1U);
  EXPECT_FALSE(read_normalizer(json(nested(9)), data).ok());
}

TEST(TokenizerJsonSteps, AbsentSettingsHaveTheReferencesDefaults) {
  TokenizerData data;
  ASSERT_TRUE(read_pre_tokenizer(json(R"({"type": "ByteLevel"})"), data).ok());
  ASSERT_EQ(data.splits.size(), 3U);
  EXPECT_EQ(data.splits[0].kind, SplitStep::Kind::kPrefix);
  data = {};
  // Files from before prepend_scheme.
  ASSERT_TRUE(
      read_pre_tokenizer(json(R"({"type": "Metaspace", "add_prefix_space": false})"), data).ok());
  EXPECT_EQ(data.splits[0].pattern, "\u2581");
  EXPECT_EQ(data.splits[0].prepend, SplitStep::Prepend::kNever);
}

TEST(TokenizerJsonSteps, RefusesWhatIsMalformed) {
  TokenizerData data;
  for (const char* text :
       {R"({"type": "Split"})", R"({"type": "Split", "pattern": {"Regex": 1}})",
        R"({"type": "Split", "pattern": {"String": "a"}, "behavior": "Sideways"})",
        R"({"type": "Sequence"})", R"({"type": "Metaspace", "prepend_scheme": "maybe"})", "3",
        R"({"type": 3})"}) {
    EXPECT_FALSE(read_pre_tokenizer(json(text), data).ok()) << text;
  }
  for (const char* text :
       {R"({"type": "Strip", "content": " "})",
        R"({"type": "Strip", "content": " ", "start": -1, "stop": 0})",
        R"({"type": "Strip", "content": " ", "start": 1e99, "stop": 0})", R"({"type": "CTC"})"}) {
    EXPECT_FALSE(read_decoder(json(text), data).ok()) << text;
  }
  EXPECT_FALSE(read_normalizer(json(R"({"type": "Replace"})"), data).ok());
}

}  // namespace
}  // namespace pagoda
