// Tests of the life of a server.
#include "server/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/un.h>

#include <cstring>
#include <filesystem>
#include <thread>

#include "server/test_support.h"
#include "server/tls_test_support.h"

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
  const TestServer test(runner, {.connections = {.max_connections = 2}});
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

TEST(Server, OneAddressGetsItsShareOfConnectionsOnly) {
  ScriptRunner runner;
  const TestServer test(runner, {.connections = {.max_per_address = 1}});
  HttpClient first = test.client();
  EXPECT_EQ(first.get("/health").status, 200);
  const HttpReply refused = test.client().get("/health");
  EXPECT_EQ(refused.status, 503);
  EXPECT_THAT(refused.head, HasSubstr("Retry-After: 1\r\n"));
  EXPECT_THAT(first.get("/metrics").body,
              HasSubstr(R"(connections_refused_total{reason="connections_per_address"} 1)"));
}

class SecureServer : public testing::Test {
 protected:
  TestServer& server() {
    if (!server_) {
      ServerConfig config = {.tls = folder_.files()};
      config.limits = limits_;
      server_ = std::make_unique<TestServer>(runner_, config);
    }
    return *server_;
  }
  double refused_handshakes() {
    HttpClient socket = server().client();
    TlsClient client(socket.fd());
    if (!client.connect()) return -1;
    client.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    const std::string all = client.read_to_end();
    const std::string name = "pagoda_connections_refused_total{reason=\"tls_handshake\"} ";
    const size_t at = all.find(name);
    return at == std::string::npos ? 0 : std::stod(all.substr(at + name.size()));
  }

  TlsFolder folder_;
  HttpLimits limits_;
  ScriptRunner runner_;
  StepGate gate_;
  std::unique_ptr<TestServer> server_;
};

std::string secure_post(std::string_view path, std::string_view body) {
  return "POST " + std::string(path) +
         " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + std::string(body);
}

TEST_F(SecureServer, StreamsAndServesPipelinedRequestsOverEachVersion) {
  EXPECT_TRUE(server().server->url().starts_with("https://127.0.0.1:"));
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    HttpClient socket = server().client();
    TlsClient client(socket.fd(), version);
    client.offer_protocols("\x02h2\x08http/1.1");
    ASSERT_TRUE(client.connect());
    EXPECT_EQ(client.chosen_protocol(), "http/1.1");
    client.send(secure_post("/v1/chat/completions", kStream) +
                "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    EXPECT_THAT(client.read_until("data: [DONE]"), HasSubstr("\"finish_reason\":\"stop\""));
    EXPECT_THAT(client.read_to_end(), HasSubstr(R"({"status":"ok"})"));
    EXPECT_TRUE(client.ended_cleanly()) << client.version();
  }
}

TEST_F(SecureServer, ReadsALargeBodyOfManyRecords) {
  HttpClient socket = server().client();
  TlsClient client(socket.fd());
  ASSERT_TRUE(client.connect());
  const std::string filler(300000, ' ');  // JSON space: a large body, a small prompt
  client.send(secure_post("/v1/completions", filler + R"({"prompt": "hi"})"));
  EXPECT_THAT(client.read_until("\"usage\""), HasSubstr("200 OK"));
}

TEST_F(SecureServer, AClientThatLeavesEndsItsRequestInEitherWay) {
  runner_.endless = true;
  runner_.gate = &gate_;
  for (const bool says_so : {true, false}) {
    HttpClient socket = server().client();
    TlsClient client(socket.fd());
    ASSERT_TRUE(client.connect());
    client.send(secure_post("/v1/chat/completions", kStream));
    gate_.allow(1);
    client.read_until("\"content\":\"H\"");
    if (says_so) {
      client.shutdown();  // close_notify, with the socket left open
    } else {
      socket.close();
    }
    EXPECT_TRUE(server().server->wait_streams(kPatience));
    gate_.allow(2);
    EXPECT_TRUE(server().engine.wait_idle(kPatience));
  }
  gate_.allow(1000000);
  EXPECT_LE(server().engine.stats().num_generation_tokens, 2 * 3);
}

TEST_F(SecureServer, AFailedHandshakeIsClosedQuietlyAndCounted) {
  HttpClient plain = server().client();
  plain.send("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_THAT(plain.read_to_end(), testing::Not(HasSubstr("HTTP/1.1")));
  HttpClient old_socket = server().client();
  TlsClient old(old_socket.fd(), TLS1_1_VERSION);
  EXPECT_FALSE(old.connect());
  EXPECT_EQ(refused_handshakes(), 2);
}

TEST_F(SecureServer, AHandshakeThatDoesNotGoOnIsCut) {
  limits_.read_timeout = std::chrono::milliseconds(50);
  HttpClient silent = server().client();
  EXPECT_EQ(silent.read_to_end(), "");
  HttpClient halfway = server().client();
  halfway.send("\x16\x03\x01");  // the start of a ClientHello
  EXPECT_EQ(halfway.read_to_end(), "");
}

TEST_F(SecureServer, StoppingSendsALastEventAndCloseNotify) {
  runner_.endless = true;
  runner_.gate = &gate_;
  HttpClient socket = server().client();
  TlsClient client(socket.fd());
  ASSERT_TRUE(client.connect());
  client.send(secure_post("/v1/chat/completions", kStream));
  gate_.allow(1);
  client.read_until("\"content\":\"H\"");
  std::thread stopping([this] { server().server->stop(); });
  EXPECT_THAT(client.read_to_end(), HasSubstr("data: [DONE]\n\n"));
  EXPECT_TRUE(client.ended_cleanly());
  socket.close();
  stopping.join();
  gate_.allow(1000000);
}

TEST_F(SecureServer, AMissingFileIsAnErrorThatNamesIt) {
  MetricsRegistry metrics;
  const auto listening =
      Server::listen({.port = 0, .tls = {"/nonexistent.pem", "/nonexistent.pem"}}, metrics);
  ASSERT_FALSE(listening.ok());
  EXPECT_THAT(listening.error().message, HasSubstr("ssl-certfile '/nonexistent.pem'"));
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
