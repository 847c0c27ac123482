// PreTokenizer: every kind of step against the reference, gaps, budgets.
#include "text/pretokenize.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "text/byte_alphabet.h"
#include "text/test_tokenizer.h"
#include "text/tokenizer_json_steps.h"

namespace pagoda {
namespace {

using Pieces = std::vector<std::string>;
using Kind = SplitStep::Kind;

constexpr const char* kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

Pieces split(std::vector<SplitStep> steps, const std::string& text, bool at_start = true) {
  const auto splitter = PreTokenizer::create(std::move(steps));
  EXPECT_TRUE(splitter.ok()) << (splitter.ok() ? "" : splitter.error().message);
  Pieces pieces;
  PatternScratch scratch;
  const auto done = splitter->split(text, at_start, scratch,
                                    [&](std::string_view piece) { pieces.emplace_back(piece); });
  EXPECT_TRUE(done.ok()) << (done.ok() ? "" : done.error().message);
  return pieces;
}

Pieces split(const std::string& pattern, const std::string& text) {
  return split({{.kind = Kind::kRegex, .pattern = pattern}}, text);
}

TEST(PreTokenizer, CutsAsTheReferenceDoesForEveryComponent) {
  const Json& golden = golden_components();
  ASSERT_GT(golden["pre_tokenizers"].size(), 50U);
  for (const Json& component : golden["pre_tokenizers"]) {
    TokenizerData data;
    const auto read = read_pre_tokenizer(component["part"], data);
    ASSERT_TRUE(read.ok()) << read.error().message;
    bool spelled = false;
    for (const SplitStep& step : data.splits) {
      spelled = spelled || step.kind == Kind::kByteAlphabet;
    }
    for (size_t i = 0; i < golden["texts"].size(); ++i) {
      Pieces wanted = component["answers"][i].get<Pieces>();
      for (std::string& piece : wanted) {
        const std::string spelling = piece;
        if (spelled) from_byte_alphabet(spelling, piece);
      }
      EXPECT_EQ(split(data.splits, golden["texts"][i].get<std::string>()), wanted)
          << dump_json(component["part"]) << " of " << golden["texts"][i];
    }
  }
}

TEST(PreTokenizer, CutsAsTheLlama3PatternSays) {
  EXPECT_EQ(split(kLlama3, "Hello  world's 12345\n\n x"),
            (Pieces{"Hello", " ", " world", "'s", " ", "123", "45", "\n\n", " x"}));
  EXPECT_EQ(split(kLlama3, "한국어 문장!?\n"), (Pieces{"한국어", " 문장", "!?\n"}));
}

TEST(PreTokenizer, GapsArePiecesUnlessRemoved) {
  EXPECT_EQ(split("b+", "abbcb"), (Pieces{"a", "bb", "c", "b"}));
  EXPECT_EQ(split({{.kind = Kind::kRegex,
                    .pattern = "b+",
                    .behavior = SplitBehavior::kRemoved,
                    .invert = true}},
                  "abbcb"),
            (Pieces{"bb", "b"}));
  EXPECT_EQ(split(std::vector<SplitStep>{}, "abc"), (Pieces{"abc"}));
  EXPECT_EQ(split(std::vector<SplitStep>{}, ""), Pieces{});
}

TEST(PreTokenizer, EmptyMatchesCutButMakeNoPieces) {
  EXPECT_EQ(split("x*", "a한xx"), (Pieces{"a", "한", "xx"}));
}

TEST(PreTokenizer, PutsTheFirstMetaspaceOnlyBeforeTheWholeText) {
  const SplitStep step{
      .kind = Kind::kMetaspace, .pattern = "_", .prepend = SplitStep::Prepend::kFirst};
  EXPECT_EQ(split({step}, "a b", true), (Pieces{"_a", "_b"}));
  EXPECT_EQ(split({step}, "a b", false), (Pieces{"a", "_b"}));
  // Behind another cut only the first piece is the start.
  EXPECT_EQ(split({{.kind = Kind::kText, .pattern = "-"}, step}, "a-b", true),
            (Pieces{"_a", "-", "b"}));
}

TEST(PreTokenizer, LongRunsTakeNoQuadraticTime) {
  for (const std::string& text :
       {std::string(500'000, ' '), std::string(500'000, 'a'), std::string(500'000, '\n'),
        std::string(500'000, '!'), std::string(500'000, ' ') + "x"}) {
    for (const char* pattern : {kLlama3, "\\s+$"}) {
      size_t bytes = 0;
      for (const std::string& piece : split(pattern, text)) bytes += piece.size();
      EXPECT_EQ(bytes, text.size());
    }
  }
}

TEST(PreTokenizer, RefusesBadPatternsAndTooManySteps) {
  const auto refused = [](const std::string& pattern) {
    return !PreTokenizer::create({{.kind = Kind::kRegex, .pattern = pattern}}).ok();
  };
  EXPECT_TRUE(refused("("));
  EXPECT_TRUE(refused(std::string(1'000'000, 'a')));
  EXPECT_TRUE(refused(std::string(1000, '(') + std::string(1000, ')')));
  EXPECT_FALSE(PreTokenizer::create(std::vector<SplitStep>(33, {.pattern = "a"})).ok());
  EXPECT_FALSE(PreTokenizer::create({{.kind = Kind::kMetaspace}}).ok());
}

}  // namespace
}  // namespace pagoda
