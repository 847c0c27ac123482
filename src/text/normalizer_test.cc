// Normalizer: every kind of step against the reference, and growth.
#include "text/normalizer.h"

#include <gtest/gtest.h>

#include "text/test_tokenizer.h"
#include "text/tokenizer_json_steps.h"

namespace pagoda {
namespace {

using Kind = NormalizerStep::Kind;

TEST(Normalizer, GivesTheTextsOfTheReferenceForEveryComponent) {
  const Json& golden = golden_components();
  ASSERT_GT(golden["normalizers"].size(), 10U);
  for (const Json& component : golden["normalizers"]) {
    TokenizerData data;
    ASSERT_TRUE(read_normalizer(component["part"], data).ok());
    const auto normalizer = Normalizer::create(data.normalizers);
    ASSERT_TRUE(normalizer.ok());
    PatternScratch scratch;
    for (size_t i = 0; i < golden["texts"].size(); ++i) {
      const auto text = normalizer->apply(golden["texts"][i].get<std::string>(), scratch);
      ASSERT_TRUE(text.ok());
      EXPECT_EQ(*text, component["answers"][i].get<std::string>())
          << dump_json(component["part"]) << " of " << golden["texts"][i];
    }
  }
}

TEST(Normalizer, EndsWithAnErrorWhenATextGrowsWithoutMeasure) {
  std::vector<NormalizerStep> steps(
      20, {.kind = Kind::kReplace, .pattern = "a", .content = std::string(64, 'a')});
  const auto normalizer = Normalizer::create(steps);
  ASSERT_TRUE(normalizer.ok());
  PatternScratch scratch;
  EXPECT_FALSE(normalizer->apply("a", scratch).ok());
}

TEST(Normalizer, RefusesBadPatternsAndTooLongContents) {
  EXPECT_FALSE(Normalizer::create({{.kind = Kind::kReplaceRegex, .pattern = "("}}).ok());
  EXPECT_FALSE(
      Normalizer::create({{.kind = Kind::kPrepend, .content = std::string(5000, 'a')}}).ok());
  EXPECT_FALSE(Normalizer::create({{.kind = Kind::kPrepend, .content = "\xFF"}}).ok());
  EXPECT_FALSE(Normalizer::create(std::vector<NormalizerStep>(65)).ok());
}

}  // namespace
}  // namespace pagoda
