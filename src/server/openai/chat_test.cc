// Tests of chat requests: messages to the prompt.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/openai/job.h"
#include "server/test_support.h"

namespace pagoda::openai {
namespace {

class Chat : public testing::Test {
 protected:
  Result<GenerationJob> prepare(const std::string& body) {
    return prepare_chat(body, deployment_, overflow_);
  }
  // The prompt's text.
  std::string prompt(const std::string& messages, const std::string& fields = "") {
    const auto job = prepare(R"({"messages": )" + messages + fields + "}");
    EXPECT_TRUE(job.ok()) << (job.ok() ? "" : job.error().message);
    return job.ok() ? deployment_.model.tokenizer->decode(job->prompts.at(0).token_ids, false) : "";
  }
  std::string refused_param(const std::string& body) {
    const auto job = prepare(body);
    EXPECT_FALSE(job.ok()) << body;
    return job.ok() ? "" : job.error().param;
  }

  ScriptRunner runner_;
  AsyncEngine engine_{runner_, make_engine_config(), nullptr, "test-model"};
  Deployment deployment_{make_served_model(), engine_, {}};
  std::optional<ContextOverflow> overflow_;
};

constexpr const char* kHi = R"([{"role": "user", "content": "hi"}])";

TEST_F(Chat, MessagesGoThroughTheTemplateWithoutAnAddedBos) {
  EXPECT_EQ(prompt(kHi), "<user>hi<assistant>");
  EXPECT_EQ(prompt(R"([{"role": "system", "content": "s"}, {"role": "user", "content": "u"},
                       {"role": "assistant", "content": null}, {"role": "tool", "content": "5"}])"),
            "<system>s<user>u<assistant><tool>5<assistant>");
  EXPECT_EQ(prompt(kHi, R"(, "add_special_tokens": true)"), "<bos><user>hi<assistant>");
}

TEST_F(Chat, TextPartsAreJoinedAndOtherPartsRefusedByName) {
  EXPECT_EQ(prompt(R"([{"role": "user", "content": [{"type": "text", "text": "a"}, "b"]}])"),
            "<user>a\nb<assistant>");
  EXPECT_EQ(refused_param(R"({"messages": [{"role": "user", "content": [
                {"type": "text", "text": "a"}, {"type": "image_url", "image_url": {}}]}]})"),
            "messages.0.content.1.type");
  EXPECT_EQ(refused_param(R"({"messages": [{"role": "user", "content": [{"type": "text"}]}]})"),
            "messages.0.content.0.text");
}

TEST_F(Chat, ADeveloperIsASystemMessageWhereTheTemplateKnowsNone) {
  EXPECT_EQ(prompt(R"([{"role": "developer", "content": "d"}])"), "<system>d<assistant>");
}

TEST_F(Chat, WhatCannotFitIsRefusedBeforeTheTemplateRuns) {
  std::string many = "[";
  for (int i = 0; i <= deployment_.model.max_model_len; ++i) {
    many += i == 0 ? "" : ",";
    many += R"({"role": "user", "content": ""})";
  }
  auto job = prepare(R"({"messages": )" + many + "]}");
  ASSERT_FALSE(job.ok());
  EXPECT_THAT(job.error().message, testing::HasSubstr("messages cannot fit"));
  job = prepare(R"({"messages": [{"role": "user", "content": ")" +
                std::string(deployment_.max_prompt_bytes + 1, 'a') + R"("}]})");
  ASSERT_FALSE(job.ok());
  EXPECT_THAT(job.error().message, testing::HasSubstr("bytes cannot fit"));
}

TEST_F(Chat, AFinalMessageCanBeContinued) {
  const char* messages =
      R"([{"role": "user", "content": "u"}, {"role": "assistant", "content": "Once "}])";
  EXPECT_EQ(prompt(messages, R"(, "continue_final_message": true)"), "<user>u<assistant>Once");
  EXPECT_EQ(refused_param(R"({"messages": [{"role": "user", "content": "u"}],
                "continue_final_message": true, "add_generation_prompt": true})"),
            "continue_final_message");
  EXPECT_EQ(prompt(kHi, R"(, "add_generation_prompt": false)"), "<user>hi");
}

TEST_F(Chat, TemplateArgumentsArriveAndCannotReplaceTheMessages) {
  ServedModel model = make_served_model();
  model.chat_template = *ChatTemplate::create("{{ mode }}{{ messages[0].content }}{{ bos_token }}");
  const Deployment deployment(model, engine_, {});
  const auto job = prepare_chat(
      R"({"messages": [{"role": "user", "content": "u"}], "chat_template_kwargs": {"mode": "m"}})",
      deployment, overflow_);
  ASSERT_TRUE(job.ok()) << job.error().message;
  EXPECT_EQ(job->prompts.at(0).token_ids, (std::vector<TokenId>{'m', 'u', kBosToken}));
  EXPECT_EQ(refused_param(R"({"messages": [{"role": "user", "content": "u"}],
                              "chat_template_kwargs": {"messages": []}})"),
            "chat_template_kwargs.messages");
  std::string many;
  for (int i = 0; i < 257; ++i) many += (i > 0 ? ",\"" : "\"") + std::to_string(i) + "\":1";
  EXPECT_EQ(refused_param(R"({"messages": [{"role": "user", "content": "u"}],
                              "chat_template_kwargs": {)" +
                          many + "}}"),
            "chat_template_kwargs");
}

TEST_F(Chat, AnExceptionOfTheTemplateIsTheClientsError) {
  ServedModel model = make_served_model();
  model.chat_template = *ChatTemplate::create("{{ raise_exception('roles must alternate') }}");
  const Deployment deployment(model, engine_, {});
  const auto job =
      prepare_chat(R"({"messages": [{"role": "user", "content": "u"}]})", deployment, overflow_);
  ASSERT_FALSE(job.ok());
  EXPECT_EQ(job.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(job.error().message, testing::HasSubstr("roles must alternate"));
}

TEST_F(Chat, ToolsCallsAndResultsReachTheTemplateAsObjects) {
  ServedModel model = make_served_model();
  model.chat_template = *ChatTemplate::create(
      "{% for t in tools or [] %}T{{ t.function.name }};{% endfor %}"
      "{% for m in messages %}{{ m.role }}:{{ m.content }}{{ m.reasoning_content }}"
      "{% for c in m.tool_calls or [] %}{{ c.id }}={{ c.function.arguments.n + 1 }}{% endfor %}"
      "{{ m.tool_call_id }}{{ m.name }};{% endfor %}");
  const Deployment deployment(model, engine_, {});
  const Json body = *parse_json(R"({"tools": [{"type": "function", "function": {"name": "f"}}],
      "messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]},
        {"role": "assistant", "content": null, "reasoning": "r", "tool_calls": [
          {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"n\": 4}"}}]},
        {"role": "tool", "tool_call_id": "c1", "name": "f", "content": "5"}]})");
  Fields fields(body);
  const auto text = render_prompt(body, fields, deployment, nullptr);
  ASSERT_TRUE(text.ok()) << text.error().message;
  EXPECT_EQ(*text, "Tf;user:a;assistant:rc1=5;tool:5c1f;");
  // To generate from it is another thing: calls would not be recognized.
  EXPECT_FALSE(prepare_chat(dump_json(body), deployment, overflow_).ok());
}

TEST_F(Chat, ACallsAbsentContentIsNoneOnlyForTemplatesThatAskForIt) {
  const Json body = *parse_json(R"({"messages": [{"role": "assistant", "content": null,
      "tool_calls": [{"function": {"name": "f", "arguments": ""}}]}]})");
  for (const auto& [source, expected] :
       {std::pair<std::string, std::string>{"{{ messages[0].content }}|", "|"},
        {"{% if messages[0]['content'] is none %}none{% endif %}", "none"},
        {"{% if messages[0].content != none %}text{% else %}none{% endif %}", "none"}}) {
    ServedModel model = make_served_model();
    model.chat_template = *ChatTemplate::create(source);
    const Deployment deployment(model, engine_, {});
    Fields fields(body);
    const auto text = render_prompt(body, fields, deployment, nullptr);
    ASSERT_TRUE(text.ok()) << text.error().message;
    EXPECT_EQ(*text, expected) << source;
  }
}

TEST_F(Chat, ATemplateInTheRequestIsTakenOnlyWhenTrusted) {
  const char* body = R"({"messages": [{"role": "user", "content": "u"}],
                         "chat_template": "<{{ messages[0].content }}>"})";
  EXPECT_EQ(refused_param(body), "chat_template");
  const Deployment trusting(make_served_model(), engine_, {.trusts_request_templates = true});
  const auto job = prepare_chat(body, trusting, overflow_);
  ASSERT_TRUE(job.ok()) << job.error().message;
  EXPECT_EQ(job->prompts.at(0).token_ids, (std::vector<TokenId>{'<', 'u', '>'}));
  const auto broken =
      prepare_chat(R"({"messages": [{"role": "user", "content": "u"}], "chat_template": "{{"})",
                   trusting, overflow_);
  ASSERT_FALSE(broken.ok());
  EXPECT_EQ(broken.error().param, "chat_template");
}

TEST_F(Chat, AModelWithoutATemplateRefusesChat) {
  ServedModel model = make_served_model();
  model.chat_template = nullptr;
  const Deployment deployment(model, engine_, {});
  const auto job =
      prepare_chat(R"({"messages": [{"role": "user", "content": "u"}]})", deployment, overflow_);
  ASSERT_FALSE(job.ok());
  EXPECT_EQ(job.error().code, ErrorCode::kInvalidArgument);
}

TEST_F(Chat, MalformedMessagesAreRefusedByPath) {
  const std::pair<const char*, const char*> cases[] = {
      {"messages", R"({})"},
      {"messages", R"({"messages": []})"},
      {"messages", R"({"messages": "Hi"})"},
      {"messages.0", R"({"messages": [5]})"},
      {"messages.0.role", R"({"messages": [{"content": "Hi"}]})"},
      {"messages.0.role", R"({"messages": [{"role": 5, "content": "Hi"}]})"},
      {"messages.0.role", R"({"messages": [{"role": "wizard", "content": "Hi"}]})"},
      {"messages.0.content", R"({"messages": [{"role": "user"}]})"},
      {"messages.0.content", R"({"messages": [{"role": "user", "content": 5}]})"},
      {"messages.0.tool_calls.0.function", R"({"messages": [{"role": "assistant",
          "content": null, "tool_calls": [{"id": "x"}]}]})"},
      {"messages.0.tool_calls.0.function.arguments", R"({"messages": [{"role": "assistant",
          "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}]})"},
  };
  for (const auto& [param, body] : cases) EXPECT_EQ(refused_param(body), param) << body;
}

TEST_F(Chat, ToolsAreRefusedUnlessTheyAreNotToBeUsed) {
  const std::string hi = R"({"messages": [{"role": "user", "content": "u"}], )";
  const std::string tools = R"("tools": [{"type": "function", "function": {"name": "f"}}])";
  EXPECT_EQ(refused_param(hi + tools + "}"), "tools");
  EXPECT_EQ(refused_param(hi + tools + R"(, "tool_choice": "auto"})"), "tools");
  EXPECT_EQ(refused_param(hi + R"("tools": "hammer"})"), "tools");
  EXPECT_EQ(refused_param(hi + R"("tool_choice": "required"})"), "tool_choice");
  EXPECT_TRUE(prepare(hi + tools + R"(, "tool_choice": "none"})").ok());
  EXPECT_TRUE(prepare(hi + R"("tools": []})").ok());
}

TEST_F(Chat, ToolsThatMayBeLeftUnusedAreIgnoredWhereTheServerIsToldSo) {
  ServedModel model = make_served_model();
  model.chat_template = *ChatTemplate::create("{{ 'T' if tools else '-' }}");
  const Deployment deployment(model, engine_, {.ignores_tools = true});
  const auto first_token = [&](const std::string& fields) {
    const auto job = prepare_chat(R"({"messages": [{"role": "user", "content": "u"}], )"
                                  R"("tools": [{"type": "function", "function": {"name": "f"}}])" +
                                      fields + "}",
                                  deployment, overflow_);
    return job.ok() ? static_cast<char>(job->prompts.at(0).token_ids.at(0)) : '!';
  };
  EXPECT_EQ(first_token(""), '-');
  EXPECT_EQ(first_token(R"(, "tool_choice": "auto")"), '-');
  EXPECT_EQ(first_token(R"(, "tool_choice": "none")"), 'T');
  EXPECT_EQ(first_token(R"(, "tool_choice": "required")"), '!');
  EXPECT_EQ(first_token(R"(, "tool_choice": {"type": "function", "function": {"name": "f"}})"),
            '!');
}

TEST_F(Chat, TheCallsOfAnAssistantReachTheTemplateAsObjects) {
  ServedModel model = make_served_model();
  model.chat_template =
      *ChatTemplate::create("{{ messages[0].tool_calls[0].function.arguments.city }}");
  const Deployment deployment(model, engine_, {});
  const auto job = prepare_chat(
      R"({"messages": [{"role": "assistant", "tool_calls": [{"id": "1", "type": "function",
          "function": {"name": "f", "arguments": "{\"city\": \"Rome\"}"}}]}]})",
      deployment, overflow_);
  ASSERT_TRUE(job.ok()) << job.error().message;
  EXPECT_EQ(job->prompts.at(0).token_ids, (std::vector<TokenId>{'R', 'o', 'm', 'e'}));
}

TEST_F(Chat, TopLogprobsNeedLogprobs) {
  const std::string hi = R"({"messages": [{"role": "user", "content": "u"}], )";
  EXPECT_EQ(refused_param(hi + R"("top_logprobs": 2})"), "top_logprobs");
  EXPECT_EQ(refused_param(hi + R"("logprobs": true, "top_logprobs": 21})"), "top_logprobs");
  EXPECT_EQ(refused_param(hi + R"("logprobs": 3})"), "logprobs");
  EXPECT_EQ(prepare(hi + R"("logprobs": true, "top_logprobs": 2})")->sampling.num_logprobs, 2);
  EXPECT_EQ(prepare(hi + R"("logprobs": true})")->sampling.num_logprobs, 0);
  EXPECT_EQ(prepare(hi + R"("logprobs": false})")->sampling.num_logprobs, -1);
}

TEST_F(Chat, WithoutALimitTheAnswerMayFillTheContext) {
  const std::string hi = R"({"messages": [{"role": "user", "content": "hi"}])";
  const auto limit = [&](const char* fields) {
    const auto job = prepare(hi + fields);
    return job.ok() ? job->prompts.at(0).max_tokens : -1;
  };
  EXPECT_EQ(limit("}"), 4096 - 19);
  EXPECT_EQ(limit(R"(, "max_tokens": null})"), 4096 - 19);
  EXPECT_EQ(limit(R"(, "max_tokens": 7})"), 7);
  EXPECT_EQ(limit(R"(, "max_tokens": 7, "max_completion_tokens": 8})"), 8);
}

TEST_F(Chat, ATaskOfTheInterfaceIsCutShortAndNeverRefusedForItsLength) {
  const std::string task = R"({"messages": [{"role": "user", "content": "### Task:\nName it."}])";
  const auto limit = [&](const ServerConfig& config, const std::string& fields) {
    const Deployment deployment(make_served_model(), engine_, config);
    const auto job = prepare_chat(task + fields + "}", deployment, overflow_);
    return job.ok() ? job->prompts.at(0).max_tokens : -1;
  };
  const int32_t room = limit({.max_task_tokens = 0}, "");
  EXPECT_GT(room, 4000);
  EXPECT_LT(room, 4096);
  EXPECT_EQ(limit({}, ""), 1024);
  EXPECT_EQ(limit({.max_task_tokens = 50}, R"(, "max_tokens": 1000)"), 50);
  EXPECT_EQ(limit({.max_task_tokens = 50}, R"(, "max_completion_tokens": 7)"), 7);
  EXPECT_EQ(limit({.max_task_tokens = 0}, R"(, "max_tokens": 1000)"), 1000);
  EXPECT_EQ(limit({.max_task_tokens = 0}, R"(, "max_tokens": 100000)"), room);
  // Who says what the request is means what it says.
  EXPECT_EQ(limit({.max_task_tokens = 50}, R"(, "max_tokens": 1000, "priority": 1)"), 1000);
  EXPECT_EQ(limit({}, R"(, "max_tokens": 100000, "priority": "interactive")"), -1);
}

TEST_F(Chat, ErrorsShowTheWordThatIsWrong) {
  const auto role = prepare(R"({"messages": [{"role": "wizard", "content": "hi"}]})");
  ASSERT_FALSE(role.ok());
  EXPECT_NE(role.error().message.find("'wizard'"), std::string::npos) << role.error().message;
  const auto choice =
      prepare(R"({"messages": [{"role": "user", "content": "hi"}], "tool_choice": "required"})");
  ASSERT_FALSE(choice.ok());
  EXPECT_NE(choice.error().message.find("'required'"), std::string::npos);
}

}  // namespace
}  // namespace pagoda::openai
