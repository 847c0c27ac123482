// Tests of the life of a server.
#include "server/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/un.h>

#include <cstring>
#include <filesystem>
#include <thread>

#include "server/test_support.h"

namespace pagoda {
namespace {

using testing::HasSubstr;

constexpr const char* kStream =
    R"({"messages": [{"role": "user", "content": "hi"}], "stream": true})";

TEST(Server, NamesAnAddressThatIsInUse) {
  MetricsRegistry metrics;
  const auto first = Server::listen({.port = 0}, metrics);
  ASSERT_TRUE(first.ok());
  const auto second = Server::listen({.port = (*first)->port()}, metrics);
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(second.error().message, HasSubstr("127.0.0.1:" + std::to_string((*first)->port())));
  EXPECT_EQ((*first)->url(), "http://127.0.0.1:" + std::to_string((*first)->port()));
}

TEST(Server, RefusesAThreadCountThatCannotBe) {
  MetricsRegistry metrics;
  EXPECT_FALSE(Server::listen({.port = 0, .num_io_threads = 0}, metrics).ok());
}

TEST(Server, ServesOnAUnixSocket) {
  namespace fs = std::filesystem;
  std::string folder = (fs::temp_directory_path() / "pagoda_XXXXXX").string();
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const std::string path = folder + "/socket";
  ScriptRunner runner;
  const TestServer test(runner, {.uds_path = path});
  EXPECT_EQ(test.server->port(), 0);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path, path.data(), path.size());
  ASSERT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&name), sizeof(name)), 0);
  HttpClient client(fd);
  EXPECT_EQ(client.post("/v1/completions", R"({"prompt": "x"})").status, 200);
  test.server->stop();
  EXPECT_FALSE(fs::exists(path));
  fs::remove_all(folder);
}

TEST(Server, ADrainLetsARunningStreamEnd) {
  ScriptRunner runner;
  StepGate gate;
  runner.gate = &gate;
  const TestServer test(runner);
  HttpClient client = test.client();
  client.send_request("POST", "/v1/chat/completions", kStream);
  gate.allow(2);
  client.read_until("\"content\":\"H\"");
  test.server->begin_drain();
  EXPECT_FALSE(test.server->wait_streams(std::chrono::milliseconds(1)));
  EXPECT_EQ(test.server->num_active_requests(), 1);
  gate.allow(1000);
  EXPECT_THAT(client.read_until("[DONE]"), HasSubstr("\"finish_reason\":\"stop\""));
  EXPECT_TRUE(test.server->wait_streams(kPatience));
}

TEST(Server, StoppingEndsAStreamWithAnErrorEvent) {
  ScriptRunner runner;
  runner.endless = true;
  StepGate gate;
  runner.gate = &gate;
  const TestServer test(runner);
  HttpClient client = test.client();
  client.send_request("POST", "/v1/chat/completions", kStream);
  gate.allow(1);
  client.read_until("\"content\":\"H\"");
  HttpClient waiting = test.client();
  waiting.send_request("POST", "/v1/completions", R"({"prompt": "x"})");
  while (test.server->num_active_requests() < 2) std::this_thread::yield();
  test.server->stop();
  const std::string rest = client.read_to_end();
  EXPECT_THAT(rest, HasSubstr("\"error\""));
  EXPECT_THAT(rest, HasSubstr("data: [DONE]\n\n"));
  EXPECT_EQ(waiting.read_reply().status, 503);
  gate.allow(1000000);
}

TEST(Server, TooManyConnectionsAreRefusedAndLeaveRoomWhenTheyGo) {
  ScriptRunner runner;
  const TestServer test(runner, {.max_connections = 2});
  HttpClient first = test.client();
  HttpClient second = test.client();
  EXPECT_EQ(first.get("/health").status, 200);
  EXPECT_EQ(second.get("/health").status, 200);
  {
    HttpClient third = test.client();
    EXPECT_EQ(third.read_reply().status, 503);
  }
  second.close();
  int status = 0;
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (status != 200 && std::chrono::steady_clock::now() < deadline) {
    status = test.client().get("/health").status;
  }
  EXPECT_EQ(status, 200);
  EXPECT_EQ(first.get("/health").status, 200);
}

TEST(Server, StopsTwiceAndWithoutEverBeingReady) {
  MetricsRegistry metrics;
  const auto server = Server::listen({.port = 0}, metrics);
  ASSERT_TRUE(server.ok());
  (*server)->stop();
  (*server)->stop();
}

TEST(Server, ManyClientsThatComeAndGoLeaveNothingBehind) {
  ScriptRunner runner;
  TestServer test(runner);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&test, t] {
      for (int i = 0; i < 20; ++i) {
        HttpClient client = test.client();
        client.send_request("POST", "/v1/chat/completions", kStream);
        if ((i + t) % 3 == 0) client.read_until("[DONE]");
        if ((i + t) % 3 == 1) client.read_until("content");
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(test.server->wait_streams(kPatience));
  EXPECT_TRUE(test.engine.wait_idle(kPatience));
  const EngineStats stats = test.engine.stats();
  EXPECT_EQ(stats.num_free_blocks, stats.num_total_blocks);
  EXPECT_EQ(stats.num_accepted_requests, stats.num_finished_requests);
}

}  // namespace
}  // namespace pagoda
