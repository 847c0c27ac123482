// Tests of routes, keys and states.
#include "server/service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "server/test_support.h"

namespace pagoda {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kHi = R"({"messages": [{"role": "user", "content": "hi"}]})";

TEST(Service, EveryRouteAnswersWithAndWithoutV1) {
  ScriptRunner runner;
  const TestServer test(runner);
  HttpClient client = test.client();
  for (const std::string prefix : {"", "/v1"}) {
    for (const char* path : {"/health", "/ping", "/version", "/models", "/models/alias", "/"}) {
      EXPECT_EQ(client.get(prefix + path).status, 200) << prefix << path;
    }
    EXPECT_EQ(client.post(prefix + "/chat/completions", kHi).status, 200);
    EXPECT_EQ(client.post(prefix + "/completions", R"({"prompt": "hi"})").status, 200);
    EXPECT_EQ(client.post(prefix + "/tokenize", R"({"prompt": "hi"})").json()["count"], 3);
    EXPECT_EQ(client.post(prefix + "/detokenize", R"({"tokens": [104]})").json()["prompt"], "h");
    EXPECT_EQ(client.post(prefix + "/ping", "").status, 200);
  }
  EXPECT_EQ(client.get("/v1").status, 200);
  EXPECT_EQ(client.get("/health/?x=1").status, 200);
}

TEST(Service, UnknownPathsAre404AndWrongMethods405) {
  ScriptRunner runner;
  const TestServer test(runner);
  HttpClient client = test.client();
  for (const char* path : {"/nothing", "/v1/nothing", "/v11/models", "/v1/../../etc/passwd"}) {
    const HttpReply reply = client.get(path);
    EXPECT_EQ(reply.status, 404) << path;
    EXPECT_EQ(reply.json()["error"]["code"], 404);
  }
  const HttpReply wrong = client.get("/v1/chat/completions");
  EXPECT_EQ(wrong.status, 405);
  EXPECT_THAT(wrong.head, HasSubstr("Allow: POST\r\n"));
  client.send_request("DELETE", "/v1/models");
  EXPECT_EQ(client.read_reply().status, 405);
  client.send_request("OPTIONS", "/ping");
  EXPECT_THAT(client.read_reply().head, HasSubstr("Allow: GET, POST, OPTIONS\r\n"));
  client.send_request("HEAD", "/health");
  EXPECT_EQ(client.read_reply(true).status, 200);
}

TEST(Service, ALoadingServerAnswers503UntilItIsReady) {
  ScriptRunner runner;
  MetricsRegistry metrics;
  AsyncEngine engine(runner, make_engine_config(), &metrics, "test-model");
  const auto server = Server::listen({.port = 0}, metrics);
  ASSERT_TRUE(server.ok());
  HttpClient client = HttpClient::to_port((*server)->port());
  const HttpReply health = client.get("/health");
  EXPECT_EQ(health.status, 503);
  EXPECT_EQ(health.error_message(), "Loading model");
  EXPECT_THAT(health.head, HasSubstr("Retry-After"));
  EXPECT_EQ(client.post("/v1/chat/completions", kHi).status, 503);
  EXPECT_EQ(client.get("/v1/models").status, 503);
  EXPECT_EQ(client.get("/metrics").status, 200);
  (*server)->set_ready(make_served_model(), engine);
  EXPECT_EQ(client.get("/health").status, 200);
  EXPECT_EQ(client.post("/v1/chat/completions", kHi).status, 200);
  (*server)->stop();
}

TEST(Service, ADrainingServerRefusesNewWorkAndStillSaysWhatItServes) {
  ScriptRunner runner;
  const TestServer test(runner);
  test.server->begin_drain();
  EXPECT_EQ(test.client().get("/health").status, 503);
  EXPECT_EQ(test.client().post("/v1/chat/completions", kHi).status, 503);
  EXPECT_EQ(test.client().get("/v1/models").status, 200);
}

TEST(Service, KeysGuardEverythingButTheProbesAndThePages) {
  ScriptRunner runner;
  const TestServer test(runner, {.api_keys = {"secret"}});
  HttpClient client = test.client();
  EXPECT_EQ(client.get("/health").status, 200);
  EXPECT_EQ(client.get("/ping").status, 200);
  for (const ApiService::Route& route : ApiService::routes()) {
    const std::string path(route.path);
    for (const std::string& asked : {path, "/v1" + path, path + "x", path + "/"}) {
      for (const char* method : {route.method.data(), "BREW"}) {
        client.send_request(method, asked);
        const int status = client.read_reply().status;
        const bool has_x = asked == path + "x";
        const bool is_open = path == "/assets/" ? has_x
                                                : !has_x && (path == "/health" || path == "/ping" ||
                                                             path == "/dashboard");
        if (is_open) {
          EXPECT_NE(status, 401) << method << " " << asked;
        } else {
          EXPECT_TRUE(status == 401 || status == 403) << method << " " << asked << " " << status;
        }
      }
    }
  }
  for (const char* path : {"/", "/v1/models", "/metrics", "/version", "/nothing"}) {
    const HttpReply reply = client.get(path);
    EXPECT_EQ(reply.status, 401) << path;
    EXPECT_EQ(reply.json()["error"]["type"], "authentication_error");
    EXPECT_THAT(reply.body, Not(HasSubstr("secret")));
  }
  EXPECT_EQ(client.get("/v1/models", "Authorization: Bearer secret\r\n").status, 200);
  EXPECT_EQ(client.post("/v1/chat/completions", kHi, "X-Api-Key: secret\r\n").status, 200);
  EXPECT_EQ(test.client().post("/v1/chat/completions", kHi).status, 401);
}

TEST(Service, OperatorsSeeTheStateAndOthersDoNot) {
  ScriptRunner runner;
  const TestServer test(runner, {.api_keys = {"user"}, .admin_key = "admin"});
  HttpClient client = test.client();
  EXPECT_EQ(client.get("/debug/state").status, 403);
  EXPECT_EQ(client.get("/debug/state", "X-Api-Key: user\r\n").status, 403);
  const HttpReply reply = client.get("/debug/state", "X-Api-Key: admin\r\n");
  EXPECT_EQ(reply.status, 200);
  const Json state = reply.json();
  EXPECT_EQ(state["server"]["ready"], true);
  EXPECT_EQ(state["server"]["num_connections"], 1);
  EXPECT_TRUE(state["engine"]["requests"].is_array());
  EXPECT_EQ(client.get("/v1/models", "X-Api-Key: admin\r\n").status, 401);
}

TEST(Service, AWrongHostIsA421WhateverIsAsked) {
  ScriptRunner runner;
  const TestServer test(runner);
  HttpClient client = test.client();
  for (const char* start :
       {"GET /health", "OPTIONS /v1/models", "GET http://evil.example/health"}) {
    client.send(std::string(start) + " HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    EXPECT_EQ(client.read_reply().status, 421) << start;
  }
  client.send("GET http://localhost/health HTTP/1.1\r\nHost: evil.example\r\n\r\n");
  EXPECT_EQ(client.read_reply().status, 200);
  EXPECT_THAT(client.get("/metrics").body,
              HasSubstr(R"(pagoda_requests_refused_total{reason="host"} 3)"));
}

TEST(Service, TheRootListsPathsAsClientsUseThem) {
  ScriptRunner runner;
  const TestServer test(runner);
  const Json endpoints = test.client().get("/").json()["endpoints"];
  for (const char* line : {"POST /v1/chat/completions", "GET /v1/models", "POST /tokenize",
                           "GET /health", "GET /debug/state"}) {
    EXPECT_NE(std::ranges::find(endpoints, line), endpoints.end()) << line;
  }
}

TEST(Service, TheHostIsCheckedWhenHostsAreNamed) {
  ScriptRunner runner;
  const TestServer test(runner, {.allowed_hosts = {"pagoda.example", "[::1]"}});
  HttpClient client = test.client();
  for (const char* host : {"pagoda.example", "pagoda.example:8000", "[::1]:80", "[::1]"}) {
    client.send("GET /health HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n");
    EXPECT_EQ(client.read_reply().status, 200) << host;
  }
  EXPECT_EQ(client.get("/health").status, 421);
}

TEST(Service, BrowsersOfAllowedOriginsMayReadReplies) {
  ScriptRunner runner;
  const TestServer test(runner, {.allowed_origins = {"https://chat.example"}});
  HttpClient client = test.client();
  EXPECT_THAT(client.get("/v1/models", "Origin: https://chat.example\r\n").head,
              HasSubstr("Access-Control-Allow-Origin: https://chat.example\r\n"));
  EXPECT_THAT(client.get("/v1/models", "Origin: https://evil.example\r\n").head,
              Not(HasSubstr("Access-Control-Allow-Origin")));
  client.send(
      "OPTIONS /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
      "Origin: https://chat.example\r\nAccess-Control-Request-Method: POST\r\n\r\n");
  const HttpReply preflight = client.read_reply();
  EXPECT_EQ(preflight.status, 204);
  EXPECT_THAT(preflight.head, HasSubstr("Access-Control-Allow-Methods: POST"));
  EXPECT_THAT(preflight.head, Not(HasSubstr("Allow-Credentials")));
}

TEST(Service, RequestsAreCountedByRouteMethodAndStatus) {
  ScriptRunner runner;
  TestServer test(runner);
  HttpClient client = test.client();
  client.post("/v1/chat/completions", kHi);
  client.post("/v1/chat/completions", "[]");
  client.send_request("BREW", "/coffee/17");
  client.read_reply();
  EXPECT_TRUE(test.server->wait_streams(kPatience));
  const std::string metrics = client.get("/metrics").body;
  EXPECT_THAT(
      metrics,
      HasSubstr(
          R"(http_requests_total{handler="/chat/completions",method="POST",status="200"} 1)"));
  EXPECT_THAT(
      metrics,
      HasSubstr(
          R"(http_requests_total{handler="/chat/completions",method="POST",status="400"} 1)"));
  EXPECT_THAT(
      metrics,
      HasSubstr(R"(http_requests_total{handler="unmatched",method="other",status="404"} 1)"));
}

}  // namespace
}  // namespace pagoda
