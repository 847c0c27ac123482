// Tests of AccessPolicy.
#include "server/access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace pagoda {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

HttpRequest from_host(const std::string& host) {
  HttpRequest request;
  if (!host.empty()) request.headers = {{"host", host}};
  return request;
}

TEST(AccessPolicy, OnLoopbackOnlyItsOwnNamesAreAnswered) {
  for (const char* bound : {"127.0.0.1", "localhost", "::1", "127.0.0.9"}) {
    const AccessPolicy policy(ServerConfig{.host = bound});
    for (const char* host :
         {"localhost", "LocalHost:8000", "localhost.", "127.0.0.1:80", "[::1]", "[::1]:8000", ""}) {
      EXPECT_TRUE(policy.accepts_host(from_host(host))) << bound << " " << host;
    }
    for (const char* host : {"evil.example", "evil.example:8000", "localhost.evil.example", "[::2]",
                             "127.0.0.1.evil.example", ":8000"}) {
      EXPECT_FALSE(policy.accepts_host(from_host(host))) << bound << " " << host;
    }
  }
  EXPECT_TRUE(
      AccessPolicy(ServerConfig{.host = "127.0.0.9"}).accepts_host(from_host("127.0.0.9:1")));
}

TEST(AccessPolicy, AWiderServerAnswersAnyNameUnlessTold) {
  const AccessPolicy wide(ServerConfig{.host = "0.0.0.0"});
  EXPECT_TRUE(wide.accepts_host(from_host("anything.example")));
  const AccessPolicy on_unix(ServerConfig{.uds_path = "/tmp/x"});
  EXPECT_TRUE(on_unix.accepts_host(from_host("anything.example")));
  const AccessPolicy told(
      ServerConfig{.host = "0.0.0.0", .allowed_hosts = {"Pagoda.Example", "2001:db8::1"}});
  EXPECT_TRUE(told.accepts_host(from_host("pagoda.example:443")));
  EXPECT_TRUE(told.accepts_host(from_host("[2001:db8::1]:443")));
  EXPECT_FALSE(told.accepts_host(from_host("localhost")));
  EXPECT_FALSE(told.accepts_host(from_host("")));
  const AccessPolicy any(ServerConfig{.allowed_hosts = {"*"}});
  EXPECT_TRUE(any.accepts_host(from_host("evil.example")));
}

TEST(AccessPolicy, OperatorsAreOnThisHostOrHaveTheAdminKey) {
  const AccessPolicy open(ServerConfig{});
  HttpRequest request;
  EXPECT_FALSE(open.is_operator(request));
  request.from_this_host = true;
  EXPECT_TRUE(open.is_operator(request));
  for (const char* name :
       {"x-forwarded-for", "x-forwarded-host", "forwarded", "via", "x-real-ip"}) {
    request.headers = {{name, ""}};
    EXPECT_FALSE(open.is_operator(request)) << name;
  }

  const AccessPolicy keyed(ServerConfig{.api_keys = {"user"}, .admin_key = "admin"});
  request.headers = {};
  EXPECT_FALSE(keyed.is_operator(request));
  request.headers = {{"x-api-key", "user"}};
  EXPECT_FALSE(keyed.is_operator(request));
  request.headers = {{"authorization", "Bearer admin"}};
  EXPECT_TRUE(keyed.is_operator(request));
  EXPECT_FALSE(keyed.identify(request).has_value());  // it opens nothing else
}

TEST(AccessPolicy, OnlyPagesOfThisServerAndOfAllowedOriginsHaveWorkDone) {
  const AccessPolicy policy(ServerConfig{.allowed_origins = {"https://a.example"}});
  HttpRequest request;
  request.headers = {{"host", "localhost:8000"}};
  EXPECT_TRUE(policy.accepts_origin(request));
  const auto from = [&](const char* origin) {
    request.headers = {{"host", "localhost:8000"}, {"origin", origin}};
    return policy.accepts_origin(request);
  };
  EXPECT_TRUE(from("http://localhost:8000"));
  EXPECT_TRUE(from("https://a.example"));
  EXPECT_FALSE(from("http://localhost:8001"));
  EXPECT_FALSE(from("https://evil.example"));
  EXPECT_FALSE(from("null"));
  const AccessPolicy any(ServerConfig{.allowed_origins = {"*"}});
  EXPECT_TRUE(any.accepts_origin(request));
}

TEST(AccessPolicy, PagesOfAllowedOriginsAreToldSoAndCachesThatItDepends) {
  HttpRequest request;
  request.headers = {{"origin", "https://a.example"}};
  EXPECT_TRUE(AccessPolicy(ServerConfig{}).cors_headers(request).empty());
  const AccessPolicy other(ServerConfig{.allowed_origins = {"https://b.example"}});
  EXPECT_THAT(other.cors_headers(request), ElementsAre(Pair("Vary", "Origin")));
  const AccessPolicy same(ServerConfig{.allowed_origins = {"https://a.example"}});
  EXPECT_THAT(same.cors_headers(request),
              testing::Contains(Pair("Access-Control-Allow-Origin", "https://a.example")));
  const AccessPolicy any(ServerConfig{.allowed_origins = {"*"}});
  EXPECT_THAT(any.cors_headers(request),
              testing::Contains(Pair("Access-Control-Allow-Origin", "*")));
}

TEST(ApiKeyFile, HoldsOneKeyALine) {
  const std::string path = testing::TempDir() + "/pagoda_keys";
  std::ofstream(path) << "# team a\nfirst\n\n  second \r\n";
  const auto keys = read_api_keys(path);
  ASSERT_TRUE(keys.ok()) << keys.error().message;
  EXPECT_THAT(*keys, ElementsAre("first", "second"));
  std::ofstream(path) << "# none\n";
  EXPECT_THAT(read_api_keys(path).error().message, HasSubstr("has no key"));
  EXPECT_THAT(read_api_keys("/nonexistent").error().message, HasSubstr("'/nonexistent'"));
  EXPECT_FALSE(read_api_keys(testing::TempDir()).ok());
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace pagoda
