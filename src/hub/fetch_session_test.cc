// Tests of HTTP requests: redirects, tokens, endings.
#include "hub/fetch_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hub/test_hub.h"

namespace pagoda {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Fetched {
  FetchEnd end;
  std::string body;
};

HubConfig config_for(const std::string& endpoint) {
  HubConfig config;
  config.endpoint = endpoint;
  config.token = "hf_secret";
  return config;
}

Fetched fetch(const HubConfig& config, FetchRequest request) {
  auto session = FetchSession::create(config);
  EXPECT_TRUE(session.ok());
  Fetched fetched;
  bool ended = false;
  if (!request.on_data) {
    request.on_data = [&](std::string_view data) {
      fetched.body.append(data);
      return true;
    };
  }
  request.on_end = [&](const FetchEnd& end) {
    fetched.end = end;
    ended = true;
  };
  (*session)->start(std::move(request));
  while (!ended) EXPECT_TRUE((*session)->poll(std::chrono::milliseconds(100)).ok());
  EXPECT_EQ((*session)->num_running(), 0);
  return fetched;
}

Fetched fetch(const HubConfig& config, const std::string& url) {
  FetchRequest request;
  request.url = url;
  return fetch(config, std::move(request));
}

TEST(FetchSession, BringsStatusHeadersAndBody) {
  TestServer server([](const std::string&) {
    return http_answer("200 OK", "hello", "X-Repo-Commit: abc\r\netag:  \"e\" \r\n");
  });
  const Fetched got = fetch(config_for(server.url()), server.url() + "/a");
  EXPECT_EQ(got.end.kind, FetchEnd::Kind::kAnswered);
  EXPECT_EQ(got.end.head.status, 200);
  EXPECT_TRUE(got.end.head.at_hub);
  EXPECT_EQ(got.end.head.header("x-repo-commit"), "abc");
  EXPECT_EQ(got.end.head.header("etag"), "\"e\"");
  EXPECT_EQ(got.end.head.header("none"), "");
  EXPECT_EQ(got.body, "hello");
  EXPECT_THAT(server.requests().at(0), HasSubstr("Authorization: Bearer hf_secret\r\n"));
  EXPECT_THAT(server.requests().at(0), HasSubstr("Accept-Encoding: identity\r\n"));
}

TEST(FetchSession, TheTokenStaysWithTheHubEvenWhenARedirectComesBack) {
  std::string hub_url;
  TestServer other([&](const std::string&) {
    return http_answer("302 Found", "", "Location: " + hub_url + "/back\r\n");
  });
  TestServer hub([&](const std::string& head) {
    if (head.starts_with("GET /back")) return http_answer("200 OK", "done");
    if (head.starts_with("GET /here")) {
      return http_answer("302 Found", "", "Location: " + other.url() + "/there\r\n");
    }
    return http_answer("307 Temporary Redirect", "", "Location: /here\r\n");
  });
  hub_url = hub.url();
  const Fetched got = fetch(config_for(hub.url()), hub.url() + "/a");
  EXPECT_EQ(got.body, "done");
  ASSERT_EQ(hub.requests().size(), 3U);
  EXPECT_THAT(hub.requests()[0], HasSubstr("hf_secret"));
  EXPECT_THAT(hub.requests()[1], HasSubstr("hf_secret"));
  EXPECT_THAT(hub.requests()[2], Not(HasSubstr("hf_secret")));
  EXPECT_THAT(other.requests().at(0), Not(HasSubstr("hf_secret")));
}

TEST(FetchSession, HeadStaysAtTheHub) {
  TestServer hub([](const std::string&) {
    return http_answer("302 Found", "",
                       "Location: http://127.0.0.1:1/x\r\nX-Linked-Etag: \"e\"\r\n");
  });
  FetchRequest request;
  request.url = hub.url() + "/a";
  request.head_only = true;
  const Fetched got = fetch(config_for(hub.url()), std::move(request));
  EXPECT_EQ(got.end.kind, FetchEnd::Kind::kAnswered);
  EXPECT_EQ(got.end.head.status, 302);
  EXPECT_EQ(got.end.head.header("x-linked-etag"), "\"e\"");
}

TEST(FetchSession, RedirectsElsewhereThanTheWebOrWithoutEndAreRefused) {
  std::string target;
  TestServer hub([&](const std::string&) {
    return http_answer("302 Found", "", "Location: " + target + "\r\n");
  });
  for (const char* bad : {"file:///etc/passwd", "ftp://127.0.0.1/x", "http://me:you@127.0.0.1/",
                          "http://[::1", "javascript:alert(1)", "/round/and/round"}) {
    target = bad;
    const Fetched got = fetch(config_for(hub.url()), hub.url() + "/a");
    EXPECT_EQ(got.end.kind, FetchEnd::Kind::kRefused) << bad;
    EXPECT_THAT(got.end.message, HasSubstr("redirect")) << bad;
  }
}

TEST(FetchSession, ACallbackEndsTheRequest) {
  TestServer hub([](const std::string&) { return http_answer("200 OK", "hello"); });
  FetchRequest request;
  request.url = hub.url();
  request.on_head = [](const FetchHead&) { return false; };
  EXPECT_EQ(fetch(config_for(hub.url()), request).end.kind, FetchEnd::Kind::kStopped);
  request.on_head = nullptr;
  request.on_data = [](std::string_view) { return false; };
  EXPECT_EQ(fetch(config_for(hub.url()), request).end.kind, FetchEnd::Kind::kStopped);
}

TEST(FetchSession, BrokenConnectionsAreToldFromHubsThatAreNotThere) {
  std::string answer;
  TestServer hub([&](const std::string&) { return answer; });
  const auto kind = [&] { return fetch(config_for(hub.url()), hub.url()).end.kind; };
  EXPECT_EQ(kind(), FetchEnd::Kind::kCut);
  answer = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
  EXPECT_EQ(kind(), FetchEnd::Kind::kCut);
  answer = "garbage\r\n\r\n";
  EXPECT_EQ(kind(), FetchEnd::Kind::kCut);
  answer = "HTTP/1.1 200 OK\r\n";
  for (int i = 0; i < 30'000; ++i) answer += "X-Many: 0123456789\r\n";
  EXPECT_EQ(kind(), FetchEnd::Kind::kCut);
  EXPECT_EQ(fetch(config_for("http://127.0.0.1:1"), "http://127.0.0.1:1/x").end.kind,
            FetchEnd::Kind::kUnreachable);
}

TEST(FetchSession, ABodyNobodyAskedForIsNotReadWithoutEnd) {
  TestServer hub([](const std::string&) {
    return http_answer("404 Not Found", std::string(size_t{8} << 20, 'x'));
  });
  EXPECT_EQ(fetch(config_for(hub.url()), hub.url()).end.kind, FetchEnd::Kind::kCut);
}

TEST(FetchSession, AnEndpointThatIsNoAddressIsRefused) {
  EXPECT_FALSE(FetchSession::create(config_for("mailto:me")).ok());
}

TEST(PercentEncoded, KeepsOnlyPlainCharacters) {
  EXPECT_EQ(percent_encoded("a b/ü?#%", "/"), "a%20b/%C3%BC%3F%23%25");
  EXPECT_EQ(percent_encoded("refs/pr/1"), "refs%2Fpr%2F1");
}

TEST(ContentRange, IsReadWholeOrNotAtAll) {
  ContentRange range;
  ASSERT_TRUE(parse_content_range("bytes 5-9/100", range));
  EXPECT_EQ(range.first, 5);
  EXPECT_EQ(range.last, 9);
  EXPECT_EQ(range.num_bytes, 100);
  for (const char* bad : {"", "bytes", "bytes 5-9", "bytes 5-9/", "bytes 5-9/*", "bytes 9-5/100",
                          "bytes 5-100/100", "bytes -5-9/100", "bytes 5-9/100x", "items 5-9/100",
                          "bytes 5-9/99999999999999999999", "bytes 5 9/100"}) {
    EXPECT_FALSE(parse_content_range(bad, range)) << bad;
  }
}

}  // namespace
}  // namespace pagoda
