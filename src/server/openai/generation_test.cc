// Tests of requests from the socket to the engine and back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include "server/test_support.h"

namespace pagoda::openai {
namespace {

using testing::HasSubstr;

constexpr const char* kChat = "/v1/chat/completions";
constexpr const char* kCompletions = "/v1/completions";

std::string chat_body(const std::string& fields = "") {
  return R"({"messages": [{"role": "user", "content": "hi"}])" +
         (fields.empty() ? "" : ", " + fields) + "}";
}
std::string completion_body(const std::string& fields = "") {
  return R"({"prompt": "hi")" + (fields.empty() ? "" : ", " + fields) + "}";
}

class Generation : public testing::Test {
 protected:
  TestServer& server() {
    if (!server_) server_ = std::make_unique<TestServer>(runner_);
    return *server_;
  }
  HttpReply post(const char* path, const std::string& body) {
    return server().client().post(path, body);
  }
  // Chunks of a stream that must end with [DONE].
  std::vector<Json> chunks(const char* path, const std::string& body) {
    const HttpReply reply = post(path, body);
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_THAT(reply.head, HasSubstr("Content-Type: text/event-stream"));
    EXPECT_TRUE(reply.complete);
    std::vector<std::string> events = events_of(reply.body);
    EXPECT_FALSE(events.empty());
    EXPECT_EQ(events.back(), "[DONE]");
    events.pop_back();
    std::vector<Json> parsed;
    for (const std::string& event : events) parsed.push_back(*parse_json(event));
    return parsed;
  }
  // Everything the engine had is free again.
  void expect_engine_is_clean() {
    EXPECT_TRUE(server().engine.wait_idle(kPatience));
    const EngineStats stats = server().engine.stats();
    EXPECT_EQ(stats.num_free_blocks, stats.num_total_blocks);
    EXPECT_EQ(stats.num_accepted_requests, stats.num_finished_requests);
  }

  ScriptRunner runner_;
  StepGate gate_;
  std::unique_ptr<TestServer> server_;
};

TEST_F(Generation, AnswersAChat) {
  const Json reply = post(kChat, chat_body(R"("model": "alias")")).json();
  EXPECT_EQ(reply["object"], "chat.completion");
  EXPECT_EQ(reply["model"], "alias");
  EXPECT_EQ(reply["choices"].size(), 1U);
  EXPECT_EQ(reply["choices"][0]["message"]["content"], "Hello, world");
  EXPECT_EQ(reply["choices"][0]["finish_reason"], "stop");
  EXPECT_TRUE(reply["choices"][0]["stop_reason"].is_null());
  EXPECT_EQ(reply["usage"]["prompt_tokens"], 19);
  EXPECT_EQ(reply["usage"]["completion_tokens"], 13);  // with the ending token
  EXPECT_EQ(reply["usage"]["total_tokens"], 32);
  EXPECT_EQ(reply["timings"]["predicted_n"], 13);
}

TEST_F(Generation, StreamsAChatTokenByToken) {
  const auto stream = chunks(kChat, chat_body(R"("stream": true)"));
  ASSERT_EQ(stream.size(), 14U);  // role, 12 tokens, finish
  EXPECT_EQ(stream.front()["choices"][0]["delta"]["role"], "assistant");
  EXPECT_EQ(stream.front()["choices"][0]["delta"]["content"], "");
  std::string text;
  for (size_t i = 1; i + 1 < stream.size(); ++i) {
    EXPECT_FALSE(stream[i]["choices"][0]["delta"].contains("role"));
    EXPECT_TRUE(stream[i]["choices"][0]["finish_reason"].is_null());
    text += stream[i]["choices"][0]["delta"]["content"].get<std::string>();
    EXPECT_FALSE(stream[i].contains("usage"));
  }
  EXPECT_EQ(text, "Hello, world");
  EXPECT_EQ(stream.back()["choices"][0]["delta"], Json::object());
  EXPECT_EQ(stream.back()["choices"][0]["finish_reason"], "stop");
}

TEST_F(Generation, SendsUsageOnlyWhenAskedAndOnce) {
  const auto stream =
      chunks(kChat, chat_body(R"("stream": true, "stream_options": {"include_usage": true})"));
  EXPECT_EQ(stream.back()["choices"], Json::array());
  EXPECT_EQ(stream.back()["usage"]["completion_tokens"], 13);
  EXPECT_FALSE(stream.at(3).contains("usage"));
  const auto continuous = chunks(
      kChat, chat_body(R"("stream": true, "stream_options": {"continuous_usage_stats": true})"));
  EXPECT_EQ(continuous.at(3)["usage"]["completion_tokens"], 3);
}

TEST_F(Generation, StreamsACompletionWithTextInItsLastChunk) {
  const auto stream = chunks(kCompletions, completion_body(R"("stream": true, "max_tokens": 3)"));
  ASSERT_EQ(stream.size(), 3U);
  EXPECT_EQ(stream.back()["choices"][0]["text"], "l");
  EXPECT_EQ(stream.back()["choices"][0]["finish_reason"], "length");
}

TEST_F(Generation, NeverSplitsACharacterAndHoldsNothingBackAtTheEnd) {
  runner_.script = "\xed\x95\x9c!\xed\x95";  // a whole character, and the start of one
  const auto stream = chunks(kChat, chat_body(R"("stream": true)"));
  std::vector<std::string> texts;
  for (const Json& chunk : stream) {
    texts.push_back(chunk["choices"][0]["delta"].value("content", std::string("-")));
  }
  EXPECT_THAT(texts, testing::ElementsAre("", "\xed\x95\x9c", "!", "\xef\xbf\xbd", "-"));
}

TEST_F(Generation, StopsBeforeAStopStringWithoutShowingItsStart) {
  const std::string fields = R"("stop": ["zzz", "o, w"])";
  const Json whole = post(kChat, chat_body(fields)).json();
  EXPECT_EQ(whole["choices"][0]["message"]["content"], "Hell");
  EXPECT_EQ(whole["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(whole["choices"][0]["stop_reason"], "o, w");
  std::string text;
  for (const Json& chunk : chunks(kChat, chat_body(R"("stream": true, )" + fields))) {
    text += chunk["choices"][0]["delta"].value("content", std::string());
  }
  EXPECT_EQ(text, "Hell");
  expect_engine_is_clean();
}

TEST_F(Generation, AClientsStopTokenIsTheStopReason) {
  const Json reply = post(kChat, chat_body(R"("stop_token_ids": [44])")).json();  // ','
  EXPECT_EQ(reply["choices"][0]["message"]["content"], "Hello");
  EXPECT_EQ(reply["choices"][0]["stop_reason"], 44);
}

TEST_F(Generation, ChoicesAndPromptsAreNumberedPromptFirst) {
  const Json reply =
      post(kCompletions, R"({"prompt": ["a", "b"], "n": 2, "max_tokens": 2})").json();
  ASSERT_EQ(reply["choices"].size(), 4U);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(reply["choices"][i]["index"], i);
    EXPECT_EQ(reply["choices"][i]["text"], i % 2 == 0 ? "He" : "el");  // choice 1 is one byte later
  }
  EXPECT_EQ(reply["usage"]["prompt_tokens"], 4);
  EXPECT_EQ(reply["usage"]["completion_tokens"], 8);
}

TEST_F(Generation, StreamedChoicesEachBeginOnceAndEndOnce) {
  std::string texts[3];
  int roles[3] = {}, ends[3] = {};
  for (const Json& chunk : chunks(kChat, chat_body(R"("stream": true, "n": 3)"))) {
    const Json& choice = chunk["choices"][0];
    const auto index = choice["index"].get<size_t>();
    roles[index] += choice["delta"].contains("role") ? 1 : 0;
    ends[index] += choice["finish_reason"].is_null() ? 0 : 1;
    texts[index] += choice["delta"].value("content", std::string());
  }
  EXPECT_THAT(texts, testing::ElementsAre("Hello, world", "ello, world", "llo, world"));
  EXPECT_THAT(roles, testing::Each(1));
  EXPECT_THAT(ends, testing::Each(1));
}

TEST_F(Generation, EchoPutsThePromptFirstAndAloneWithoutTokens) {
  const Json both = post(kCompletions, completion_body(R"("echo": true, "max_tokens": 2)")).json();
  EXPECT_EQ(both["choices"][0]["text"], "hiHe");
  const Json alone = post(kCompletions, completion_body(R"("echo": true, "max_tokens": 0)")).json();
  EXPECT_EQ(alone["choices"][0]["text"], "hi");
  EXPECT_EQ(alone["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(alone["usage"]["completion_tokens"], 0);
  const auto streamed = chunks(
      kCompletions, completion_body(R"("echo": true, "max_tokens": 0, "stream": true, "n": 2)"));
  ASSERT_EQ(streamed.size(), 2U);
  EXPECT_EQ(streamed[1]["choices"][0]["text"], "hi");
}

TEST_F(Generation, LogprobsSpellTheTextWithoutTheEndingToken) {
  const std::string fields = R"("logprobs": true, "top_logprobs": 2)";
  const Json whole = post(kChat, chat_body(fields)).json();
  const Json& content = whole["choices"][0]["logprobs"]["content"];
  ASSERT_EQ(content.size(), 12U);
  EXPECT_EQ(content[0]["token"], "H");
  EXPECT_EQ(content[0]["top_logprobs"].size(), 2U);
  Json streamed = Json::array();
  for (const Json& chunk : chunks(kChat, chat_body(R"("stream": true, )" + fields))) {
    const Json& logprobs = chunk["choices"][0]["logprobs"];
    if (logprobs.is_object()) {
      for (const Json& entry : logprobs["content"]) streamed.push_back(entry);
    }
  }
  EXPECT_EQ(streamed, content);
}

TEST_F(Generation, TokenIdsAreThoseOfThePromptAndOfAllTokensWithTheEndingOne) {
  const std::string fields = R"("return_token_ids": true, "n": 2)";
  const Json chat = post(kChat, chat_body(fields)).json();
  EXPECT_EQ(chat["prompt_token_ids"].size(), chat["usage"]["prompt_tokens"].get<size_t>());
  const Json& ids = chat["choices"][1]["token_ids"];
  EXPECT_EQ(chat["choices"][0]["token_ids"].size() + ids.size(),
            chat["usage"]["completion_tokens"].get<size_t>());
  std::vector<Json> streamed(2, Json::array());
  for (const Json& chunk : chunks(kChat, chat_body(R"("stream": true, )" + fields))) {
    for (const Json& choice : chunk["choices"]) {
      if (!choice.contains("token_ids")) continue;
      auto& all = streamed[choice["index"].get<size_t>()];
      all.insert(all.end(), choice["token_ids"].begin(), choice["token_ids"].end());
    }
  }
  EXPECT_EQ(streamed[0], chat["choices"][0]["token_ids"]);
  EXPECT_EQ(streamed[1], ids);

  const Json text = post(kCompletions, R"({"prompt": ["hi", "you"], "n": 2, "max_tokens": 3,
                         "return_token_ids": true})")
                        .json();
  ASSERT_EQ(text["choices"].size(), 4U);
  EXPECT_EQ(text["choices"][1]["prompt_token_ids"].size(), 3U);
  EXPECT_EQ(text["choices"][2]["prompt_token_ids"].size(), 4U);
  EXPECT_EQ(text["choices"][2]["token_ids"].size(), 3U);
  EXPECT_FALSE(post(kChat, chat_body()).json().contains("prompt_token_ids"));
}

TEST_F(Generation, LogprobsNameTokensByNumberWhenAsked) {
  const std::string fields = R"("max_tokens": 1, "return_tokens_as_token_ids": true, )";
  const Json chat =
      post(kChat, chat_body(fields + R"("logprobs": true, "top_logprobs": 1)")).json();
  const Json& first = chat["choices"][0]["logprobs"]["content"][0];
  EXPECT_EQ(first["token"].get<std::string>().rfind("token_id:", 0), 0U) << first.dump();
  EXPECT_EQ(first["bytes"], Json::array({'H'}));
  EXPECT_EQ(first["top_logprobs"][0]["token"].get<std::string>().rfind("token_id:", 0), 0U);
  const Json text = post(kCompletions, completion_body(fields + R"("logprobs": 1)")).json();
  const Json& named = text["choices"][0]["logprobs"];
  EXPECT_TRUE(named["top_logprobs"][0].contains(named["tokens"][0].get<std::string>()));
}

TEST_F(Generation, AFailedStepIsA500OrAnErrorEventAndTheNextRequestIsServed) {
  runner_.fail_at = 5;
  const HttpReply whole = post(kChat, chat_body());
  EXPECT_EQ(whole.status, 500);
  EXPECT_EQ(whole.json()["error"]["type"], "InternalServerError");
  const auto stream = chunks(kChat, chat_body(R"("stream": true)"));
  EXPECT_EQ(stream.back()["error"]["code"], 500);
  EXPECT_EQ(post(kChat, chat_body(R"("max_tokens": 3)")).status, 200);
  expect_engine_is_clean();
}

TEST_F(Generation, WrongRequestsHaveARealStatusEvenStreamed) {
  for (const char* fields : {R"("temperature": -1)", R"("stream": true, "temperature": -1)"}) {
    const HttpReply reply = post(kChat, chat_body(fields));
    EXPECT_EQ(reply.status, 400);
    EXPECT_EQ(reply.error_param(), "temperature");
  }
  EXPECT_EQ(post(kChat, chat_body(R"("model": "other")")).status, 404);
  const HttpReply overflow = post(kCompletions, completion_body(R"("max_tokens": 5000)"));
  EXPECT_EQ(overflow.status, 400);
  EXPECT_EQ(overflow.json()["error"]["n_ctx"], 4096);
  for (const char* body : {"", "[1, 2]", "{\"messages\": \"\xff\"}", "{"}) {
    EXPECT_EQ(post(kChat, body).status, 400) << body;
  }
  expect_engine_is_clean();
}

TEST_F(Generation, ALargeBodyIsPreparedElsewhereWithTheSameResult) {
  ServedModel model = make_served_model();
  model.max_model_len = 4096;
  const std::string filler(100000, ' ');  // JSON space: a large body, a small prompt
  const Json reply = post(kChat, filler + chat_body()).json();
  EXPECT_EQ(reply["choices"][0]["message"]["content"], "Hello, world");
  EXPECT_EQ(post(kChat, filler + chat_body(R"("n": 0)")).status, 400);
}

// The client reads some events of an endless stream and leaves.
TEST_F(Generation, ALeavingClientEndsAStreamWithinAStep) {
  runner_.endless = true;
  runner_.gate = &gate_;
  HttpClient client = server().client();
  client.send_request("POST", kChat, chat_body(R"("stream": true, "n": 4)"));
  gate_.allow(3);
  client.read_until("\"content\":\"H\"");
  client.close();
  EXPECT_TRUE(server().server->wait_streams(kPatience));
  gate_.allow(1000000);
  expect_engine_is_clean();
  EXPECT_LE(server().engine.stats().num_generation_tokens, 4 * 5);
}

TEST_F(Generation, ALeavingClientEndsAReplyThatIsNotStreamedAndOneStillWaiting) {
  runner_.endless = true;
  runner_.gate = &gate_;
  std::vector<HttpClient> clients;
  // More than run at once: some are decoding, some in the prompt, some in the queue.
  for (int i = 0; i < 80; ++i) {
    clients.push_back(server().client());
    clients.back().send_request("POST", kCompletions, completion_body(R"("max_tokens": 1000)"));
  }
  gate_.allow(2);
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (server().engine.stats().num_accepted_requests < 80 &&
         std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
  }
  for (HttpClient& client : clients) client.close();
  EXPECT_TRUE(server().server->wait_streams(kPatience));
  gate_.allow(1000000);
  expect_engine_is_clean();
  EXPECT_LE(server().engine.stats().num_generation_tokens, 80 * 5);
}

TEST_F(Generation, HealthAnswersWhileTheEngineIsStuckInAStep) {
  runner_.gate = &gate_;
  std::vector<HttpClient> clients;
  for (int i = 0; i < 64; ++i) {
    clients.push_back(server().client());
    clients.back().send_request("POST", kChat, chat_body());
  }
  HttpClient prober = server().client();
  EXPECT_EQ(prober.get("/health").status, 200);
  EXPECT_EQ(prober.get("/v1/models").status, 200);
  gate_.allow(1000000);
  for (HttpClient& client : clients) EXPECT_EQ(client.read_reply().status, 200);
}

TEST_F(Generation, AFullQueueIsA429WithATimeToComeBack) {
  runner_.gate = &gate_;
  MetricsRegistry metrics;
  AsyncEngine engine(
      runner_, {.max_model_len = 4096, .max_num_queued_requests = 1, .vocab_size = kTestVocabSize},
      nullptr, "test-model");
  auto listening = Server::listen({.port = 0}, metrics);
  ASSERT_TRUE(listening.ok());
  (*listening)->set_ready(make_served_model(), engine);
  std::vector<HttpClient> clients;
  int num_refused = 0;
  for (int i = 0; i < 200 && num_refused == 0; ++i) {
    clients.push_back(HttpClient::to_port((*listening)->port()));
    clients.back().send_request("POST", kCompletions, completion_body(R"("n": 8)"));
    // Refused for its fields while there is room, and before they are read when there is none.
    HttpClient prober = HttpClient::to_port((*listening)->port());
    const HttpReply reply = prober.post(kCompletions, completion_body(R"("n": 0)"));
    if (reply.status == 429) {
      EXPECT_THAT(reply.head, HasSubstr("Retry-After: "));
      EXPECT_EQ(reply.json()["error"]["type"], "overloaded_error");
      ++num_refused;
    } else {
      EXPECT_EQ(reply.status, 400);
    }
  }
  EXPECT_EQ(num_refused, 1);
  gate_.allow(1000000);
  (*listening)->stop();
}

TEST_F(Generation, ALeavingClientEndsEveryPromptOfItsRequestAndNobodyElses) {
  runner_.endless = true;
  runner_.gate = &gate_;
  HttpClient other = server().client();
  other.send_request("POST", kCompletions, completion_body(R"("max_tokens": 40)"));
  HttpClient client = server().client();
  client.send_request("POST", kCompletions,
                      R"({"prompt": ["a", "b", "c"], "n": 2, "max_tokens": 1000})");
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (server().engine.stats().num_accepted_requests < 4 &&
         std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
  }
  gate_.allow(3);
  client.close();
  while (server().server->num_active_requests() > 1 &&
         std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
  }
  gate_.allow(1000000);
  EXPECT_EQ(other.read_reply().json()["usage"]["completion_tokens"], 40);
  expect_engine_is_clean();
  EXPECT_LE(server().engine.stats().num_generation_tokens, 40 + 6 * 5);
}

TEST_F(Generation, ALeavingClientEndsARequestWhoseBodyIsStillBeingPrepared) {
  const std::string large(size_t{2} << 20, ' ');  // JSON space, before a small prompt
  for (int i = 0; i < 10; ++i) {
    HttpClient client = server().client();
    client.send_request("POST", kChat, large + chat_body(R"("max_tokens": 1000)"));
  }
  EXPECT_EQ(post(kChat, chat_body()).status, 200);
  EXPECT_TRUE(server().server->wait_streams(kPatience));
  expect_engine_is_clean();
}

// Requests that do not end, so that /debug/state shows them.
class Admission : public Generation {
 protected:
  void SetUp() override {
    runner_.endless = true;
    runner_.gate = &gate_;
  }
  void TearDown() override { gate_.allow(1000000); }
  Json requests(size_t count) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    for (;;) {
      const Json state = server().client().get("/debug/state", headers_).json();
      const Json& found = state["engine"]["requests"];
      if (found.size() >= count || std::chrono::steady_clock::now() > deadline) return found;
      gate_.allow(1);  // the state is taken between steps
    }
  }
  std::string headers_;
};

constexpr const char* kTask =
    R"({"messages": [{"role": "user", "content": "### Task:\nName this chat."}])";

TEST_F(Admission, TasksOfTheInterfaceAreBackgroundUnlessSaidOtherwise) {
  server_ = std::make_unique<TestServer>(runner_, ServerConfig{.max_task_tokens = 0});
  struct Case {
    std::string body;
    std::string headers;
    const char* priority;
  };
  const std::string in_parts =
      R"({"messages": [{"role": "system", "content": ""},)"
      R"( {"role": "user", "content": [{"type": "text", "text": "### Task: tags"}]}]})";
  const std::string in_talk =
      R"({"messages": [{"role": "user", "content": "### Task:"},)"
      R"( {"role": "assistant", "content": "?"}, {"role": "user", "content": "hi"}]})";
  const std::string background = "X-Pagoda-Priority: background\r\n";
  const Case cases[] = {
      {std::string(kTask) + "}", "", "background"},
      {in_parts, "", "background"},
      {in_talk, "", "interactive"},
      {chat_body(), "", "interactive"},
      {std::string(kTask) + R"(, "priority": 0})", "", "interactive"},
      {std::string(kTask) + "}", "X-Pagoda-Priority: Interactive\r\n", "interactive"},
      {chat_body(R"("priority": 5)"), "", "background"},
      {chat_body(R"("priority": "background")"), "", "background"},
      {chat_body(R"("priority": "interactive")"), background, "background"},
  };
  std::vector<HttpClient> clients;
  for (const Case& one : cases) {
    clients.push_back(server().client());
    clients.back().send_request("POST", kChat, one.body, one.headers);
    const Json found = requests(clients.size());
    ASSERT_EQ(found.size(), clients.size());
    EXPECT_EQ(found.back()["priority"], one.priority) << one.body << one.headers;
  }
  EXPECT_EQ(server().client().post(kChat, chat_body(), "X-Pagoda-Priority: now\r\n").status, 400);
}

TEST_F(Admission, EachKeyIsATenant) {
  server_ = std::make_unique<TestServer>(runner_, ServerConfig{.api_keys = {"a", "b"}},
                                         make_served_model(),
                                         [](EngineConfig& config) { config.num_tenants = 2; });
  headers_ = "X-Api-Key: a\r\n";
  std::vector<HttpClient> clients;
  for (const char* key : {"a", "b"}) {
    clients.push_back(server().client());
    clients.back().send_request("POST", kChat, chat_body(),
                                "X-Api-Key: " + std::string(key) + "\r\n");
    const Json found = requests(clients.size());
    ASSERT_EQ(found.size(), clients.size());
    EXPECT_EQ(found.back()["tenant"], *key - 'a');
  }
}

TEST_F(Admission, ARequestThatWaitedTooLongIsA429StreamedOrNot) {
  server_ = std::make_unique<TestServer>(
      runner_, ServerConfig{}, make_served_model(),
      [](EngineConfig& config) { config.max_queue_time = std::chrono::milliseconds(20); });
  HttpClient first = server().client();
  // Takes every place of a step.
  first.send_request("POST", kCompletions, completion_body(R"("n": 64, "max_tokens": 4000)"));
  requests(1);
  for (const char* fields : {R"("stream": true)", R"("stream": false)"}) {
    HttpClient waiting = server().client();
    waiting.send_request("POST", kChat, chat_body(fields));
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    pollfd ready{.fd = waiting.fd(), .events = POLLIN, .revents = 0};
    while (::poll(&ready, 1, 1) == 0 && std::chrono::steady_clock::now() < deadline) {
      gate_.allow(1);
    }
    const HttpReply reply = waiting.read_reply();
    EXPECT_EQ(reply.status, 429) << fields;
    EXPECT_THAT(reply.head, HasSubstr("Retry-After: "));
    EXPECT_EQ(reply.json()["error"]["type"], "overloaded_error");
  }
  first.close();
}

TEST_F(Admission, AFullQueueRefusesALargeBodyBeforeItIsSent) {
  server_ = std::make_unique<TestServer>(
      runner_, ServerConfig{}, make_served_model(),
      [](EngineConfig& config) { config.max_num_queued_requests = 1; });
  HttpClient running = server().client();
  running.send_request("POST", kCompletions, completion_body(R"("n": 64, "max_tokens": 4000)"));
  requests(1);
  gate_.allow(1);
  std::vector<HttpClient> waiting;
  HttpReply reply;
  for (int i = 0; i < 50 && reply.status != 429; ++i) {
    waiting.push_back(server().client());
    waiting.back().send_request("POST", kChat, chat_body());
    HttpClient large = server().client();
    large.send(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
        "Content-Length: 1000000\r\nExpect: 100-continue\r\n\r\n");
    reply = large.read_reply();
  }
  EXPECT_EQ(reply.status, 429);
  EXPECT_THAT(reply.head, HasSubstr("Retry-After: "));
  EXPECT_THAT(reply.head, HasSubstr("Connection: close"));
}

}  // namespace
}  // namespace pagoda::openai
