// Tests of the JSON of replies.
#include "server/openai/reply.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "server/test_support.h"

namespace pagoda::openai {
namespace {

class Reply : public testing::Test {
 protected:
  ReplyWriter writer(ReplyKind kind, int32_t num_logprobs = -1) {
    GenerationJob job;
    job.kind = kind;
    job.model = "m\"x";
    job.sampling.num_logprobs = num_logprobs;
    return ReplyWriter(job, "id", deployment_, 1700000000);
  }
  static Json event(const std::string& out) {
    const auto events = events_of(out);
    EXPECT_EQ(events.size(), 1U) << out;
    auto json = parse_json(events.at(0));
    EXPECT_TRUE(json.ok()) << out;
    return *json;
  }
  static SampledToken sampled(TokenId token, float logprob) {
    SampledToken result;
    result.token = token;
    result.logprob = logprob;
    return result;
  }

  ScriptRunner runner_;
  AsyncEngine engine_{runner_, make_engine_config(), nullptr, "test-model"};
  Deployment deployment_{make_served_model(), engine_, {.version = "1.2", .build = "abc"}};
  int64_t offset_ = 0;
};

TEST_F(Reply, ChatChunksBeginWithARoleAndEndWithAnEmptyDelta) {
  const ReplyWriter chat = writer(ReplyKind::kChat);
  std::string role, text, end;
  chat.append_role(role, 2);
  chat.append_text(text, 2, "a\"\n\xc3\xa9", {}, {}, offset_, nullptr, nullptr);
  chat.append_finish(end, 2, {.reason = FinishReason::kLength}, nullptr);
  const Json first = event(role);
  EXPECT_EQ(first["id"], "chatcmpl-id");
  EXPECT_EQ(first["object"], "chat.completion.chunk");
  EXPECT_EQ(first["created"], 1700000000);
  EXPECT_EQ(first["model"], "m\"x");
  EXPECT_EQ(first["system_fingerprint"], "b1.2-abc");
  EXPECT_EQ(first["choices"][0]["index"], 2);
  EXPECT_EQ(first["choices"][0]["delta"], (Json{{"role", "assistant"}, {"content", ""}}));
  EXPECT_TRUE(first["choices"][0]["finish_reason"].is_null());
  EXPECT_EQ(event(text)["choices"][0]["delta"], (Json{{"content", "a\"\n\xc3\xa9"}}));
  EXPECT_EQ(event(end)["choices"][0]["delta"], Json::object());
  EXPECT_EQ(event(end)["choices"][0]["finish_reason"], "length");
}

TEST_F(Reply, ACompletionsLastChunkHasTextAndReason) {
  const ReplyWriter completion = writer(ReplyKind::kCompletion);
  std::string out;
  const ChoiceEnd end = {.reason = FinishReason::kStop, .stop_string = "END"};
  completion.append_text(out, 0, "last", {}, {}, offset_, &end, nullptr);
  const Json chunk = event(out);
  EXPECT_EQ(chunk["object"], "text_completion");
  EXPECT_EQ(chunk["choices"][0]["text"], "last");
  EXPECT_EQ(chunk["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(chunk["choices"][0]["stop_reason"], "END");
}

TEST_F(Reply, TheUsageChunkHasNoChoicesButTimings) {
  std::string out;
  writer(ReplyKind::kChat)
      .append_usage(out,
                    {.num_prompt_tokens = 10, .num_cached_tokens = 4, .num_completion_tokens = 5},
                    {.prompt_s = 0.5, .predicted_s = 0.25});
  const Json chunk = event(out);
  EXPECT_EQ(chunk["choices"], Json::array());
  EXPECT_EQ(chunk["usage"]["prompt_tokens"], 10);
  EXPECT_EQ(chunk["usage"]["completion_tokens"], 5);
  EXPECT_EQ(chunk["usage"]["total_tokens"], 15);
  EXPECT_EQ(chunk["usage"]["prompt_tokens_details"]["cached_tokens"], 4);
  EXPECT_EQ(chunk["timings"]["cache_n"], 4);
  EXPECT_EQ(chunk["timings"]["prompt_n"], 6);
  EXPECT_EQ(chunk["timings"]["prompt_per_second"], 12.0);
  EXPECT_EQ(chunk["timings"]["predicted_per_second"], 20.0);
  EXPECT_EQ(chunk["timings"]["predicted_per_token_ms"], 50.0);
}

TEST_F(Reply, ChatLogprobsSpellTokensAsBytes) {
  SampledToken token = sampled(0xC3, -std::numeric_limits<float>::infinity());
  token.top_logprobs = {{.token = 'b', .logprob = -0.25F}};
  std::string out;
  writer(ReplyKind::kChat, 1)
      .append_text(out, 0, "", std::vector{token}, {}, offset_, nullptr, nullptr);
  const Json entry = event(out)["choices"][0]["logprobs"]["content"][0];
  EXPECT_EQ(entry["token"], "\xef\xbf\xbd");  // half a character
  EXPECT_EQ(entry["bytes"], Json::array({0xC3}));
  EXPECT_EQ(entry["logprob"], -9999.0);
  EXPECT_EQ(entry["top_logprobs"][0]["token"], "b");
  EXPECT_EQ(entry["top_logprobs"][0]["logprob"], -0.25);
}

TEST_F(Reply, CompletionLogprobsCountCharactersAndHoldTheChosenToken) {
  SampledToken token = sampled('a', -2.0F);
  token.top_logprobs = {{.token = 'b', .logprob = -0.25F}};
  std::string out;
  offset_ = 7;
  writer(ReplyKind::kCompletion, 1)
      .append_text(out, 0, "aa", std::vector{token, token}, {}, offset_, nullptr, nullptr);
  const Json logprobs = event(out)["choices"][0]["logprobs"];
  EXPECT_EQ(logprobs["tokens"], Json::array({"a", "a"}));
  EXPECT_EQ(logprobs["text_offset"], Json::array({7, 8}));
  EXPECT_EQ(logprobs["token_logprobs"], Json::array({-2.0, -2.0}));
  EXPECT_EQ(logprobs["top_logprobs"][0], (Json{{"b", -0.25}, {"a", -2.0}}));
  EXPECT_EQ(offset_, 9);
}

TEST_F(Reply, AWholeReplyHasTheShapeOfItsKind) {
  const std::vector<WholeChoice> choices = {
      {.index = 0, .text = "zero", .end = {.reason = FinishReason::kStop}},
      {.index = 1,
       .text = "bad \xff",
       .end = {.reason = FinishReason::kStop, .stop_token_id = 65}}};
  const auto chat = parse_json(writer(ReplyKind::kChat).whole(choices, {}, {}, {}));
  ASSERT_TRUE(chat.ok());
  EXPECT_EQ((*chat)["object"], "chat.completion");
  EXPECT_EQ((*chat)["choices"][0]["message"]["role"], "assistant");
  EXPECT_EQ((*chat)["choices"][0]["message"]["content"], "zero");
  EXPECT_TRUE((*chat)["choices"][0]["stop_reason"].is_null());
  EXPECT_TRUE((*chat)["choices"][0]["logprobs"].is_null());
  EXPECT_EQ((*chat)["choices"][1]["stop_reason"], 65);
  EXPECT_EQ((*chat)["choices"][1]["message"]["content"], "bad \xef\xbf\xbd");
  const auto completion = parse_json(writer(ReplyKind::kCompletion).whole(choices, {}, {}, {}));
  ASSERT_TRUE(completion.ok());
  EXPECT_EQ((*completion)["id"], "cmpl-id");
  EXPECT_EQ((*completion)["choices"][0]["text"], "zero");
}

}  // namespace
}  // namespace pagoda::openai
