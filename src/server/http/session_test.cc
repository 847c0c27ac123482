// Tests of connections, over a socket pair and a service made for it.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <condition_variable>
#include <mutex>

#include "server/http/io_thread.h"
#include "server/test_support.h"

namespace pagoda {
namespace {

using testing::HasSubstr;

// /echo answers with the body, /hold keeps the exchange for the test, /throw throws, all else 200.
class TestService : public HttpService {
 public:
  std::optional<HttpResponse> check_head(const HttpRequest& request) override {
    if (request.header("x-refuse").empty()) return std::nullopt;
    return HttpResponse{.status = 401, .body = "refused"};
  }
  void handle(std::shared_ptr<HttpExchange> exchange) override {
    const std::string& path = exchange->request().path;
    if (path == "/throw") throw std::runtime_error("on purpose");
    if (path == "/hold") {
      exchange->on_end([this](EndCause cause) {
        const std::lock_guard lock(mutex_);
        causes_.push_back(cause);
        changed_.notify_all();
      });
      const std::lock_guard lock(mutex_);
      held_ = exchange;
      changed_.notify_all();
      return;
    }
    exchange->respond({.body = path == "/echo" ? exchange->request().body : "ok"});
  }
  HttpHeaders common_headers(const HttpRequest& /*request*/) override { return {}; }
  HttpResponse protocol_error(const ProtocolError& error) override {
    return {.status = error.status, .body = error.message};
  }
  void connection_refused(std::string_view reason) override {
    const std::lock_guard lock(mutex_);
    refusals_.emplace_back(reason);
    changed_.notify_all();
  }
  void completed(const HttpRequest& /*request*/, const RequestLog& /*log*/, int status) override {
    const std::lock_guard lock(mutex_);
    statuses_.push_back(status);
    changed_.notify_all();
  }

  std::shared_ptr<HttpExchange> wait_held() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kPatience, [this] { return held_ != nullptr; });
    return std::exchange(held_, nullptr);
  }
  std::vector<EndCause> wait_cause() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kPatience, [this] { return !causes_.empty(); });
    return causes_;
  }
  std::vector<int> wait_completed(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kPatience, [&] { return statuses_.size() >= count; });
    return statuses_;
  }
  std::vector<std::string> wait_refusal() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kPatience, [this] { return !refusals_.empty(); });
    return refusals_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> refusals_;
  std::shared_ptr<HttpExchange> held_;
  std::vector<EndCause> causes_;
  std::vector<int> statuses_;
};

class Connection : public testing::Test {
 protected:
  HttpClient connect(std::string refusal = {}) {
    if (!io_) io_ = std::make_unique<IoThread>(service_, limits_, resources_);
    int ends[2] = {-1, -1};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    // Non-blocking is the session's end only.
    const int flags = ::fcntl(ends[0], F_GETFL);
    ::fcntl(ends[0], F_SETFL, flags | O_NONBLOCK);
    io_->adopt({.fd = ends[0], .refusal = std::move(refusal)});
    return HttpClient(ends[1]);
  }

  HttpLimits limits_{.max_body_bytes = 100000};
  TestService service_;
  IoResources resources_;
  std::unique_ptr<IoThread> io_;
};

TEST_F(Connection, ServesOneRequestAfterAnotherOnAConnection) {
  HttpClient client = connect();
  for (int i = 0; i < 3; ++i) {
    const HttpReply reply = client.post("/echo", "body " + std::to_string(i));
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.body, "body " + std::to_string(i));
  }
}

TEST_F(Connection, AnswersPipelinedRequestsInOrder) {
  HttpClient client = connect();
  std::string requests;
  for (const char* body : {"a", "bb", "ccc"}) {
    requests += "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: " +
                std::to_string(std::string(body).size()) + "\r\n\r\n" + body;
  }
  client.send(requests);
  EXPECT_EQ(client.read_reply().body, "a");
  EXPECT_EQ(client.read_reply().body, "bb");
  EXPECT_EQ(client.read_reply().body, "ccc");
}

TEST_F(Connection, KeepsAPipelinedRequestUntilTheOneBeforeIsAnswered) {
  HttpClient client = connect();
  client.send_request("GET", "/hold");
  const auto held = service_.wait_held();
  client.send_request("POST", "/echo", "second");
  held->post([held] { held->respond({.body = "first"}); });
  EXPECT_EQ(client.read_reply().body, "first");
  EXPECT_EQ(client.read_reply().body, "second");
}

TEST_F(Connection, ReadsChunkedBodies) {
  HttpClient client = connect();
  client.send(
      "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n");
  EXPECT_EQ(client.read_reply().body, "abcdefg");
  EXPECT_EQ(client.get("/").status, 200);
}

TEST_F(Connection, ReadsABodyOfManyPieces) {
  HttpClient client = connect();
  const std::string body(limits_.max_body_bytes, 'x');
  EXPECT_EQ(client.post("/echo", body).body, body);
}

TEST_F(Connection, RefusesABodyBeyondTheLimitWhicheverWayItIsSent) {
  HttpClient announced = connect();
  announced.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100001\r\n\r\n");
  EXPECT_EQ(announced.read_reply().status, 413);
  EXPECT_EQ(announced.read_to_end(), "");

  HttpClient chunked = connect();
  chunked.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1ffff\r\n");
  chunked.send(std::string(0x1ffff, 'x'));
  EXPECT_EQ(chunked.read_reply().status, 413);
}

TEST_F(Connection, AsksForTheBodyOfAClientThatExpectsIt) {
  HttpClient client = connect();
  client.send(
      "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.read_reply().status, 100);
  client.send("hi");
  EXPECT_EQ(client.read_reply().body, "hi");

  HttpClient refused = connect();
  refused.send(
      "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100001\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(refused.read_reply().status, 413);
}

TEST_F(Connection, AnswersAnUnacceptableHeadRequestWithoutABodyToo) {
  HttpClient client = connect();
  client.send("HEAD / HTTP/1.1\r\n\r\n");
  const std::string all = client.read_to_end();
  EXPECT_THAT(all, HasSubstr("400"));
  EXPECT_TRUE(all.ends_with("\r\n\r\n")) << all;
}

TEST_F(Connection, TakesPathAndHostFromAnAbsoluteTarget) {
  HttpClient client = connect();
  client.send(
      "POST http://other.example:80/echo?x=1 HTTP/1.1\r\nHost: ignored\r\nContent-Length: 2\r\n"
      "\r\nhi");
  EXPECT_EQ(client.read_reply().body, "hi");
  client.send("GET HTTP://other.example HTTP/1.1\r\nHost: ignored\r\n\r\n");
  EXPECT_EQ(client.read_reply().body, "ok");
  client.send_request("GET", "/hold");
  service_.wait_held();
  HttpClient held_client = connect();
  held_client.send("GET http://other.example/hold HTTP/1.1\r\nHost: ignored\r\n\r\n");
  const auto held = service_.wait_held();
  EXPECT_EQ(held->request().header("host"), "other.example");
}

TEST_F(Connection, TellsAClientWhyThereIsNoRoomForItsConnection) {
  HttpClient client = connect("too many of you");
  client.send_request("GET", "/");
  const HttpReply reply = client.read_reply();
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(reply.body, "too many of you");
  EXPECT_EQ(client.read_to_end(), "");
}

TEST_F(Connection, RefusesTheBodyForWhichThereIsNoMemoryAndServesTheOthers) {
  // Room for one body and the reply that echoes it.
  resources_.body_memory = std::make_shared<MemoryBudget>(190000);
  const std::string large(90000, 'x');
  HttpClient first = connect();
  first.send_request("POST", "/hold", large);
  auto held = service_.wait_held();
  EXPECT_GE(resources_.body_memory->used_bytes(), large.size());
  for (const char* framing :
       {"Content-Length: 90000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n15f90\r\n"}) {
    HttpClient second = connect();
    second.send("POST /echo HTTP/1.1\r\nHost: x\r\n" + std::string(framing) + large);
    EXPECT_EQ(second.read_reply().status, 503) << framing;
    EXPECT_EQ(second.read_to_end(), "");
  }
  EXPECT_EQ(connect().post("/echo", "small").body, "small");
  held->post([held] {
    held->request().body_memory.release();
    held->respond({.body = "done"});
  });
  EXPECT_EQ(first.read_reply().body, "done");
  held.reset();
  EXPECT_EQ(connect().post("/echo", large).body, large);
  io_->stop(kPatience);
  EXPECT_EQ(resources_.body_memory->used_bytes(), 0U);
}

TEST_F(Connection, TheFrameOfAChunkAndTrailersAreBounded) {
  const std::string endless(size_t{64} << 10, 'a');
  for (const std::string& frame :
       {"5;" + endless, "0\r\nA: " + endless, "5;" + endless + "\r\nhello\r\n0\r\n\r\n"}) {
    HttpClient client = connect();
    client.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + frame);
    EXPECT_EQ(client.read_reply().status, 431);
    EXPECT_EQ(client.read_to_end(), "");
  }
}

TEST_F(Connection, AnUploadThatStopsGainsNoTimeByWhatItHasSent) {
  limits_.read_timeout = std::chrono::milliseconds(60);
  limits_.min_bytes_per_second = 1;  // by which 50,000 bytes would be worth half a day
  HttpClient client = connect();
  client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n" +
              std::string(50000, 'x'));
  EXPECT_EQ(client.read_reply().status, 408);
}

TEST_F(Connection, RepliesThatNobodyReadsAreBoundedTogether) {
  resources_.body_memory = std::make_shared<MemoryBudget>(size_t{20} << 20);
  const std::string large(size_t{16} << 20, 'x');  // beyond any socket buffer
  HttpClient first = connect();
  first.send_request("GET", "/hold");
  auto held = service_.wait_held();
  held->post([held, &large] { held->respond({.body = large}); });
  HttpClient second = connect();
  second.send_request("GET", "/hold");
  auto other = service_.wait_held();
  other->post([other, &large] { other->respond({.body = large}); });
  EXPECT_EQ(second.read_reply().status, 503);
  EXPECT_EQ(first.read_reply().body, large);
  service_.wait_completed(2);
  held.reset();
  other.reset();
  io_->stop(kPatience);
  EXPECT_EQ(resources_.body_memory->used_bytes(), 0U);
}

TEST_F(Connection, GivesUpOnAReplyThatNobodyReadsHoweverLargeItIs) {
  limits_.write_timeout = std::chrono::milliseconds(20);
  limits_.min_bytes_per_second = 8 << 20;  // two seconds for the whole, 31 ms for a part
  HttpClient client = connect();
  client.send_request("GET", "/hold");
  const auto held = service_.wait_held();
  const auto begin = std::chrono::steady_clock::now();
  held->post([held] { held->respond({.body = std::string(size_t{16} << 20, 'x')}); });
  EXPECT_EQ(service_.wait_completed(1), std::vector<int>{200});
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(1500));
}

TEST_F(Connection, AnswersAHeadRequestWithoutABody) {
  HttpClient client = connect();
  client.send_request("HEAD", "/");
  const HttpReply head = client.read_reply(true);
  EXPECT_THAT(head.head, HasSubstr("Content-Length: 2\r\n"));
  EXPECT_EQ(client.get("/").body, "ok");
}

struct BadHead {
  const char* head;
  int status;
};

TEST_F(Connection, RefusesWhatIsNotGoodHttpAndCloses) {
  const std::string huge =
      "GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(20000, 'a') + "\r\n\r\n";
  const std::string target = "GET /" + std::string(9000, 'a') + " HTTP/1.1\r\nHost: x\r\n\r\n";
  const BadHead cases[] = {
      {"hello\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400},
      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
       400},
      {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: magic\r\n\r\n{}", 400},
      {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
      {"POST / HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\nContent-Length: 1\r\n\r\n", 417},
      {huge.c_str(), 431},
      {target.c_str(), 414},
  };
  for (const BadHead& bad : cases) {
    HttpClient client = connect();
    client.send(bad.head);
    EXPECT_EQ(client.read_reply().status, bad.status) << bad.head;
    EXPECT_EQ(client.read_to_end(), "") << bad.head;
  }
}

TEST_F(Connection, AnswersASlowSenderWith408) {
  limits_.read_timeout = std::chrono::milliseconds(20);
  HttpClient in_head = connect();
  in_head.send("GET / HT");
  EXPECT_EQ(in_head.read_reply().status, 408);
  HttpClient in_body = connect();
  in_body.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab");
  EXPECT_EQ(in_body.read_reply().status, 408);
}

TEST_F(Connection, ATrickleOfBytesDoesNotProlongAHead) {
  limits_.read_timeout = std::chrono::milliseconds(100);
  HttpClient client = connect();
  const auto began = std::chrono::steady_clock::now();
  std::string received;
  // A byte every 5 ms, for far longer than the head may take.
  for (int i = 0; i < 400 && received.empty(); ++i) {
    client.send(i == 0 ? "GET / HTTP/1.1\r\nX: " : "a");
    pollfd ready{.fd = client.fd(), .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, 5) == 1) received = client.read_until("\r\n");
  }
  EXPECT_THAT(received, HasSubstr("408"));
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::milliseconds(1500));
}

TEST_F(Connection, ClosesAnIdleConnectionSilently) {
  limits_.idle_timeout = std::chrono::milliseconds(20);
  HttpClient client = connect();
  EXPECT_EQ(client.get("/").status, 200);
  EXPECT_EQ(client.read_to_end(), "");
}

TEST_F(Connection, RefusesByTheHeadAloneAndKeepsTheConnectionWhenNothingFollows) {
  HttpClient client = connect();
  EXPECT_EQ(client.get("/", "X-Refuse: 1\r\n").status, 401);
  EXPECT_EQ(client.get("/").status, 200);
  client.send("POST / HTTP/1.1\r\nHost: x\r\nX-Refuse: 1\r\nContent-Length: 5\r\n\r\n");
  EXPECT_EQ(client.read_reply().status, 401);
  EXPECT_EQ(client.read_to_end(), "");
}

TEST_F(Connection, EchoesAGoodRequestIdAndDrawsOneForAnother) {
  HttpClient client = connect();
  EXPECT_THAT(client.get("/", "X-Request-Id: my-id\r\n").head,
              HasSubstr("X-Request-Id: my-id\r\n"));
  const HttpReply drawn = client.get("/", "X-Request-Id: not good\r\n");
  EXPECT_THAT(drawn.head, HasSubstr("X-Request-Id: "));
  EXPECT_THAT(drawn.head, testing::Not(HasSubstr("not good")));
}

TEST_F(Connection, SpeaksHttp10WithoutChunks) {
  HttpClient client = connect();
  client.send("GET /hold HTTP/1.0\r\n\r\n");
  const auto held = service_.wait_held();
  held->post([held] {
    held->start_stream({.content_type = "text/event-stream", .body = "one "});
    held->write("two");
    held->end_stream();
  });
  const HttpReply reply = client.read_reply();
  EXPECT_EQ(reply.body, "one two");
  EXPECT_THAT(reply.head, testing::Not(HasSubstr("chunked")));
}

TEST_F(Connection, StreamsInChunksAndServesTheNextRequest) {
  HttpClient client = connect();
  client.send_request("GET", "/hold");
  const auto held = service_.wait_held();
  held->post([held] { held->start_stream({.content_type = "text/event-stream", .body = "one "}); });
  client.read_until("one ");
  held->post([held] {
    for (int i = 0; i < 100; ++i) held->write("x");
    held->end_stream();
    held->write("after the end");
  });
  const std::string rest = client.read_until("\r\n0\r\n\r\n");
  EXPECT_EQ(std::ranges::count(rest, 'x'), 100);
  EXPECT_THAT(rest, testing::Not(HasSubstr("after")));
  EXPECT_EQ(client.get("/").body, "ok");
}

TEST_F(Connection, TellsTheHandlerWhenTheClientLeaves) {
  HttpClient client = connect();
  client.send_request("GET", "/hold");
  const auto held = service_.wait_held();
  client.close();
  EXPECT_THAT(service_.wait_cause(), testing::ElementsAre(EndCause::kClientGone));
  EXPECT_THAT(service_.wait_completed(1), testing::ElementsAre(499));
}

TEST_F(Connection, TakesAHalfClosedConnectionForALeavingClientEvenBehindAPipelinedRequest) {
  HttpClient client = connect();
  client.send_request("GET", "/hold");
  const auto held = service_.wait_held();
  client.send_request("GET", "/");
  client.shut_sending();
  EXPECT_THAT(service_.wait_cause(), testing::ElementsAre(EndCause::kClientGone));
}

TEST_F(Connection, AnswersAHalfClosedClientWhenThatIsAllowed) {
  limits_.allow_half_close = true;
  HttpClient client = connect();
  client.send_request("GET", "/hold");
  const auto held = service_.wait_held();
  client.send_request("POST", "/echo", "second");
  client.shut_sending();
  held->post([held] { held->respond({.body = "first"}); });
  EXPECT_EQ(client.read_reply().body, "first");
  EXPECT_EQ(client.read_reply().body, "second");
  EXPECT_EQ(client.read_to_end(), "");
  EXPECT_THAT(service_.wait_completed(2), testing::ElementsAre(200, 200));
}

TEST_F(Connection, EndsAStreamAtItsNextWriteWhenAHalfClosedClientIsGone) {
  limits_.allow_half_close = true;
  HttpClient client = connect();
  client.send_request("GET", "/hold");
  const auto held = service_.wait_held();
  client.shut_sending();
  held->post([held] { held->start_stream({.body = "one"}); });
  client.read_until("one");
  client.close();
  held->post([held] { held->write("two"); });
  EXPECT_THAT(service_.wait_cause(), testing::ElementsAre(EndCause::kClientGone));
}

TEST_F(Connection, GivesUpOnAClientThatDoesNotRead) {
  limits_.max_stream_queue_bytes = 1000;
  HttpClient client = connect();
  client.send_request("GET", "/hold");
  const auto held = service_.wait_held();
  held->post([held] {
    held->start_stream({.content_type = "text/event-stream", .body = ""});
    // More than any socket buffer takes while nobody reads.
    for (int i = 0; i < 100000; ++i) held->write(std::string(500, 'x'));
  });
  EXPECT_THAT(service_.wait_cause(), testing::ElementsAre(EndCause::kClientGone));
}

TEST_F(Connection, GivesUpOnAWriteThatTakesTooLong) {
  limits_.write_timeout = std::chrono::milliseconds(20);
  limits_.min_bytes_per_second = int64_t{1} << 40;
  limits_.max_stream_queue_bytes = size_t{64} << 20;
  HttpClient client = connect();
  client.send_request("GET", "/hold");
  const auto held = service_.wait_held();
  held->post([held] {
    held->start_stream({.content_type = "text/event-stream", .body = ""});
    held->write(std::string(size_t{16} << 20, 'x'));  // beyond any socket buffer, within the queue
  });
  EXPECT_THAT(service_.wait_cause(), testing::ElementsAre(EndCause::kClientGone));
}

TEST_F(Connection, AnExceptionIsA500ForItsRequestOnly) {
  HttpClient client = connect();
  EXPECT_EQ(client.get("/throw").status, 500);
  HttpClient other = connect();
  EXPECT_EQ(other.get("/").status, 200);
  other.send_request("GET", "/hold");
  const auto held = service_.wait_held();
  held->post([] { throw std::runtime_error("on purpose"); });
  EXPECT_EQ(other.read_reply().status, 500);
}

TEST_F(Connection, StoppingLetsTheHandlerSayALastWord) {
  HttpClient client = connect();
  client.send_request("GET", "/hold");
  auto held = service_.wait_held();
  held->post([held] {
    held->on_end([held](EndCause cause) {
      EXPECT_EQ(cause, EndCause::kShutdown);
      held->write("last word");
      held->end_stream();
    });
    held->start_stream({.content_type = "text/event-stream", .body = "first "});
  });
  client.read_until("first ");
  held.reset();
  HttpClient idle = connect();
  io_->stop(kPatience);
  EXPECT_THAT(client.read_to_end(), HasSubstr("last word"));
  EXPECT_EQ(idle.read_to_end(), "");
  EXPECT_EQ(io_->num_connections(), 0);
}

TEST_F(Connection, CallsAfterTheEndAreWithoutEffect) {
  HttpClient client = connect();
  client.send_request("GET", "/hold");
  const auto held = service_.wait_held();
  client.close();
  service_.wait_completed(1);
  io_->stop(std::chrono::milliseconds(0));
  held->post([] { ADD_FAILURE() << "ran on a stopped thread"; });
  held->respond({.body = "nobody reads this"});
  held->write("nor this");
}

TEST_F(Connection, ADrainingConnectionClosesAfterItsReply) {
  HttpClient client = connect();
  EXPECT_EQ(client.get("/").status, 200);
  io_->begin_drain();
  const HttpReply reply = client.get("/");
  EXPECT_EQ(reply.status, 200);
  EXPECT_THAT(reply.head, HasSubstr("Connection: close"));
  EXPECT_EQ(client.read_to_end(), "");
}

}  // namespace
}  // namespace pagoda
