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
  // Refused while it is small: 64 steps on a large text would take seconds.
  size_t budget = 10'000;
  EXPECT_FALSE(normalizer->apply("a", scratch, budget).ok());
  EXPECT_GT(budget, 5'000U);  // 64 + 4096, then 262144 would not fit
}

TEST(Normalizer, CountsWhatItsStepsMake) {
  const auto normalizer =
      Normalizer::create({{.kind = Kind::kPrepend, .content = "__"},
                          {.kind = Kind::kReplace, .pattern = "a", .content = "b"}});
  ASSERT_TRUE(normalizer.ok());
  PatternScratch scratch;
  size_t budget = 10;
  EXPECT_EQ(*normalizer->apply("aaa", scratch, budget), "__bbb");
  EXPECT_EQ(budget, 0U);
  EXPECT_FALSE(normalizer->apply("aaa", scratch, budget).ok());
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
