// Tests of the model list, tokenize and detokenize.
#include "server/openai/models.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/test_support.h"

namespace pagoda::openai {
namespace {

class Models : public testing::Test {
 protected:
  Json tokens(const std::string& body) {
    auto response = tokenize(body, deployment_);
    EXPECT_TRUE(response.ok()) << body;
    return response.ok() ? (*parse_json(response->body))["tokens"] : Json();
  }

  ScriptRunner runner_;
  AsyncEngine engine_{runner_, make_engine_config(), nullptr, "test-model"};
  Deployment deployment_{make_served_model(), engine_, {}};
};

TEST_F(Models, EachNameHasACard) {
  const Json list = *parse_json(list_models(deployment_).body);
  EXPECT_EQ(list["object"], "list");
  ASSERT_EQ(list["data"].size(), 2U);
  EXPECT_EQ(list["data"][0]["id"], "test-model");
  EXPECT_EQ(list["data"][1]["id"], "alias");
  EXPECT_EQ(list["data"][1]["root"], "test-model");
  EXPECT_EQ(list["data"][0]["object"], "model");
  EXPECT_EQ(list["data"][0]["created"], 1700000000);
  EXPECT_EQ(list["data"][0]["max_model_len"], 4096);
}

TEST_F(Models, OneCardIsFoundByItsDecodedName) {
  EXPECT_EQ(show_model(deployment_, "alias").status, 200);
  EXPECT_EQ(show_model(deployment_, "test%2Dmodel").status, 200);
  EXPECT_EQ(show_model(deployment_, "other").status, 404);
  EXPECT_EQ(show_model(deployment_, "%zz").status, 404);
}

TEST_F(Models, TokenizeTakesTextUnderTwoNamesAndMessages) {
  EXPECT_EQ(tokens(R"({"prompt": "hi"})"), Json::array({kBosToken, 'h', 'i'}));
  EXPECT_EQ(tokens(R"({"prompt": "hi", "add_special_tokens": false})"), Json::array({'h', 'i'}));
  EXPECT_EQ(tokens(R"({"content": "<eos>"})"), Json::array({kEosToken}));
  EXPECT_EQ(tokens(R"({"content": "<eos>", "parse_special": false})").size(), 5U);
  EXPECT_EQ(tokens(R"({"messages": [{"role": "user", "content": "hi"}]})").size(), 19U);
  for (const char* bad : {"{}", R"({"prompt": 5})", R"({"model": "other", "prompt": "x"})"}) {
    EXPECT_FALSE(tokenize(bad, deployment_).ok()) << bad;
  }
}

TEST_F(Models, ApplyTemplateGivesTheTextOfThePrompt) {
  const auto response = apply_template(
      R"({"messages": [{"role": "user", "content": "hi"}], "tools": [{}]})", deployment_);
  ASSERT_TRUE(response.ok()) << response.error().message;
  EXPECT_EQ(*parse_json(response->body), Json({{"prompt", "<user>hi<assistant>"}}));
  for (const char* bad : {"{}", R"({"messages": 5})", R"({"model": "other", "messages": []})",
                          R"({"messages": [{"role": "user", "content": "hi"}], "tools": 5})"}) {
    EXPECT_FALSE(apply_template(bad, deployment_).ok()) << bad;
  }
}

TEST_F(Models, DetokenizeGivesTheTextBack) {
  const auto response = detokenize(R"({"tokens": [104, 105, 256]})", deployment_);
  ASSERT_TRUE(response.ok());
  const Json json = *parse_json(response->body);
  EXPECT_EQ(json["prompt"], "hi<eos>");
  EXPECT_EQ(json["content"], "hi<eos>");
  for (const char* bad : {"{}", R"({"tokens": [258]})", R"({"tokens": "x"})"}) {
    EXPECT_FALSE(detokenize(bad, deployment_).ok()) << bad;
  }
}

}  // namespace
}  // namespace pagoda::openai
