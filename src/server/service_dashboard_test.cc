// Tests of the dashboard's routes, through a whole server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "server/test_support.h"

namespace pagoda {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kHi = R"({"messages": [{"role": "user", "content": "SECRET-WORDS"}]})";
constexpr const char* kPaths[] = {"summary", "history", "requests", "recent",
                                  "lengths", "config",  "logs",     "replicas"};

TEST(DashboardRoutes, TotalsAreThoseOfMetrics) {
  ScriptRunner runner;
  TestServer test(runner);
  HttpClient client = test.client();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client.post("/v1/chat/completions", kHi).status, 200);
  ASSERT_TRUE(test.engine.wait_idle(std::chrono::seconds(10)));
  const Json totals = client.get("/dashboard/api/summary").json()["totals"];
  EXPECT_EQ(totals["requests"], 3);
  const EngineMetrics& metrics = test.engine.metrics();
  EXPECT_EQ(totals["generation_tokens"].get<double>(), metrics.generation_tokens_total.value());
  EXPECT_EQ(totals["prompt_tokens"].get<double>(), metrics.prompt_tokens_total.value());
  const std::string text = client.get("/metrics").body;
  EXPECT_THAT(text,
              HasSubstr("vllm:generation_tokens_total{engine=\"0\",model_name=\"test-model\"} " +
                        totals["generation_tokens"].dump() + "\n"));
}

TEST(DashboardRoutes, NeedTheKeyWhereThereIsOneAndShowNoText) {
  ScriptRunner runner;
  ServerConfig config;
  config.api_keys = {"sesame"};
  TestServer test(runner, config);
  HttpClient client = test.client();
  constexpr const char* kKey = "Authorization: Bearer sesame\r\n";
  EXPECT_EQ(client.post("/v1/chat/completions", kHi, kKey).status, 200);
  for (const char* path : kPaths) {
    const std::string target = std::string("/dashboard/api/") + path;
    EXPECT_EQ(client.get(target).status, 401) << path;
    const HttpReply reply = client.get(target, kKey);
    EXPECT_EQ(reply.status, 200) << path;
    EXPECT_THAT(reply.head, HasSubstr("Cache-Control: no-store")) << path;
    EXPECT_THAT(reply.body, Not(HasSubstr("SECRET-WORDS"))) << path;
    EXPECT_THAT(reply.body, Not(HasSubstr("sesame"))) << path;
  }
  EXPECT_EQ(client.get("/dashboard/api/events").status, 401);
}

// The rows of a server's table once `done` says so; the last ones when it never does.
template <typename Done>
Json rows_when(HttpClient& client, Done done) {
  Json rows;
  for (int i = 0; i < 200; ++i) {
    rows = client.get("/dashboard/api/replicas").json()["replicas"];
    if (done(rows)) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return rows;
}

TEST(DashboardRoutes, ShowOtherServersBesideThisOne) {
  ScriptRunner peer_runner;
  ServerConfig peer_config;
  peer_config.api_keys = {"sesame"};
  TestServer peer(peer_runner, peer_config);
  ScriptRunner runner;
  ServerConfig config;
  config.replicas.peers = {peer.server->url() + "/", "http://127.0.0.1:1"};
  config.replicas.peer_api_key = "sesame";
  TestServer test(runner, config);
  HttpClient client = test.client();
  const Json rows = rows_when(client, [](const Json& seen) {
    return seen.size() == 3 && seen[1]["state"] == "RUNNING" && seen[2]["error"] != "not asked yet";
  });
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(rows[0]["id"], "self");
  EXPECT_EQ("http://" + rows[1]["address"].get<std::string>(), peer.server->url());
  EXPECT_EQ(rows[1]["state"], "RUNNING");
  EXPECT_EQ(rows[1]["running"], 0);
  EXPECT_TRUE(rows[1]["error"].is_null());
  EXPECT_LT(rows[1]["last_seen_s"].get<double>(), 60);
  EXPECT_EQ(rows[2]["address"], "127.0.0.1:1");
  EXPECT_EQ(rows[2]["state"], "UNHEALTHY");
  EXPECT_TRUE(rows[2]["running"].is_null());
  EXPECT_FALSE(rows[2]["error"].get<std::string>().empty());
}

TEST(DashboardRoutes, KeepTheNumbersOfAServerThatIsGoneAndSaySo) {
  ScriptRunner runner;
  auto peer = std::make_unique<TestServer>(runner);
  ScriptRunner other_runner;
  ServerConfig config;
  config.replicas.peers = {peer->server->url()};
  TestServer test(other_runner, config);
  HttpClient client = test.client();
  rows_when(client, [](const Json& seen) { return seen[1]["state"] == "RUNNING"; });
  peer.reset();
  const Json rows =
      rows_when(client, [](const Json& seen) { return seen[1]["state"] == "UNHEALTHY"; });
  EXPECT_EQ(rows[1]["state"], "UNHEALTHY");
  EXPECT_EQ(rows[1]["running"], 0);
  EXPECT_FALSE(rows[1]["error"].is_null());
}

TEST(DashboardRoutes, RefuseWhatTheyCannotAnswer) {
  ScriptRunner runner;
  TestServer test(runner);
  HttpClient client = test.client();
  for (const char* path :
       {"history?range=59", "history?points=9999", "history?range=1&range=2", "recent?show=all",
        "recent?limit=0", "lengths?range=x", "logs?level=loud", "logs?after=-1"}) {
    EXPECT_EQ(client.get(std::string("/dashboard/api/") + path).status, 400) << path;
  }
  for (const char* path : {"requests/1/cancel", "requests/x/cancel", "requests/1"}) {
    EXPECT_EQ(client.post(std::string("/dashboard/api/") + path, "").status, 404) << path;
  }
}

TEST(DashboardRoutes, AnOperatorCancelsARequestInFlight) {
  StepGate gate;
  ScriptRunner runner;
  runner.gate = &gate;
  runner.endless = true;
  ServerConfig config;
  config.admin_key = "operator";
  TestServer test(runner, config);
  HttpClient waiting = test.client();
  waiting.send_request("POST", "/v1/chat/completions", kHi, "X-Request-Id: mine\r\n");
  gate.allow(1);
  HttpClient client = test.client();
  Json shown;
  for (int i = 0; i < 200; ++i) {
    shown = client.get("/dashboard/api/requests").json();
    if (shown["count"] == 1 && shown["requests"][0]["phase"] == "decode") break;
    gate.allow(1);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  ASSERT_EQ(shown["count"], 1);
  EXPECT_EQ(shown["can_cancel"], false);
  EXPECT_EQ(shown["requests"][0]["request_id"], "mine");
  EXPECT_EQ(shown["requests"][0]["phase"], "decode");
  const std::string path =
      "/dashboard/api/requests/" + shown["requests"][0]["id"].dump() + "/cancel";
  EXPECT_EQ(client.post(path, "").status, 403);
  EXPECT_EQ(client.post(path, "", "Authorization: Bearer operator\r\n").status, 202);
  gate.allow(5);
  const HttpReply reply = waiting.read_reply();
  EXPECT_EQ(reply.status, 499);
  EXPECT_THAT(reply.body, HasSubstr("cancelled by the operator"));
  const Json recent = client.get("/dashboard/api/recent?show=newest").json();
  EXPECT_EQ(recent["requests"][0]["end"], "cancelled");
}

TEST(DashboardRoutes, EventsComeEachSecondAndEndWithTheServer) {
  ScriptRunner runner;
  TestServer test(runner);
  HttpClient client = test.client();
  client.send_request("GET", "/dashboard/api/events");
  EXPECT_THAT(client.read_until("event: sample"), HasSubstr("event: summary"));
  test.server->begin_drain();
  // A page that watches holds up no drain.
  EXPECT_TRUE(test.server->wait_streams(std::chrono::milliseconds(500)));
  test.server->stop();
}

}  // namespace
}  // namespace pagoda
