// Tests of completion requests: the forms of `prompt`, echo.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/openai/job.h"
#include "server/test_support.h"

namespace pagoda::openai {
namespace {

class Completions : public testing::Test {
 protected:
  Result<GenerationJob> prepare(const std::string& body) {
    return prepare_completion(body, deployment_, overflow_);
  }
  std::vector<std::vector<TokenId>> prompts(const std::string& prompt) {
    const auto job = prepare(R"({"prompt": )" + prompt + "}");
    EXPECT_TRUE(job.ok()) << (job.ok() ? "" : job.error().message);
    std::vector<std::vector<TokenId>> ids;
    if (job.ok()) {
      for (const PromptJob& entry : job->prompts) ids.push_back(entry.token_ids);
    }
    return ids;
  }

  ScriptRunner runner_;
  AsyncEngine engine_{runner_, make_engine_config(), nullptr, "test-model"};
  Deployment deployment_{make_served_model(), engine_, {}};
  std::optional<ContextOverflow> overflow_;
};

TEST_F(Completions, TheFourFormsOfAPromptAreServed) {
  using Ids = std::vector<std::vector<TokenId>>;
  EXPECT_EQ(prompts(R"("hi")"), (Ids{{kBosToken, 'h', 'i'}}));
  EXPECT_EQ(prompts(R"(["a", "b"])"), (Ids{{kBosToken, 'a'}, {kBosToken, 'b'}}));
  EXPECT_EQ(prompts("[104, 105]"), (Ids{{104, 105}}));
  EXPECT_EQ(prompts(R"([[104], "b"])"), (Ids{{104}, {kBosToken, 'b'}}));
}

TEST_F(Completions, AnythingElseIsRefusedByPath) {
  const std::pair<const char*, const char*> cases[] = {
      {"prompt", R"({})"},
      {"prompt", R"({"prompt": []})"},
      {"prompt", R"({"prompt": 5})"},
      {"prompt", R"({"prompt": {"text": "Hi"}})"},
      {"prompt.0", R"({"prompt": [258]})"},
      {"prompt.1", R"({"prompt": [1, -1]})"},
      {"prompt.0", R"({"prompt": [1.5]})"},
      {"prompt.1", R"({"prompt": ["Hi", 5]})"},
      {"prompt.0.1", R"({"prompt": [[1, "x"]]})"},
      {"prompt", R"({"prompt": [[]]})"},
      {"logprobs", R"({"prompt": "x", "logprobs": 21})"},
      {"echo", R"({"prompt": "x", "logprobs": 1, "echo": true})"},
      {"n", R"({"prompt": ["x", "y", "z"], "n": 100})"},
  };
  for (const auto& [param, body] : cases) {
    const auto job = prepare(body);
    ASSERT_FALSE(job.ok()) << body;
    EXPECT_EQ(job.error().param, param) << job.error().message;
  }
}

TEST_F(Completions, SixteenTokensAreTheDefault) {
  EXPECT_EQ(prepare(R"({"prompt": "x"})")->prompts.at(0).max_tokens, 16);
}

TEST_F(Completions, EchoKeepsThePromptsTextAndAllowsNothingElse) {
  const auto text = prepare(R"({"prompt": "hi", "echo": true, "max_tokens": 0})");
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(text->prompts.at(0).echo_text, "hi");
  EXPECT_EQ(text->prompts.at(0).max_tokens, 0);
  EXPECT_EQ(prepare(R"({"prompt": [104, 105], "echo": true})")->prompts.at(0).echo_text, "hi");
  EXPECT_EQ(prepare(R"({"prompt": "hi"})")->prompts.at(0).echo_text, "");
}

}  // namespace
}  // namespace pagoda::openai
