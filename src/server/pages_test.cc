// Tests of the pages' encodings, headers and names.
#include "server/pages.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>

namespace pagoda {
namespace {

constexpr std::array kFiles = {
    PageFile{"/", "text/html", "identity", "\"plain\"", "<p>the page</p>"},
    PageFile{"/", "text/html", "gzip", "\"zipped\"", "zzzzz"},
    PageFile{"/assets/a-1.js", "text/javascript", "identity", "\"script\"", "1"},
};

HttpRequest get(std::string path, std::vector<std::pair<std::string, std::string>> headers = {}) {
  HttpRequest request;
  request.method = "GET";
  request.path = std::move(path);
  request.headers.assign(headers.begin(), headers.end());
  return request;
}

std::string header(const HttpResponse& response, std::string_view name) {
  for (const auto& [key, value] : response.headers) {
    if (key == name) return value;
  }
  return "";
}

TEST(Pages, AClientGetsAnEncodingThatItTakes) {
  const HttpResponse plain = page_response(kFiles, "/", get("/"));
  EXPECT_EQ(plain.body, "<p>the page</p>");
  EXPECT_EQ(header(plain, "Content-Encoding"), "");
  const HttpResponse zipped =
      page_response(kFiles, "/", get("/", {{"accept-encoding", "br, gzip;q=0.8"}}));
  EXPECT_EQ(zipped.body, "zzzzz");
  EXPECT_EQ(header(zipped, "Content-Encoding"), "gzip");
  const HttpResponse refused =
      page_response(kFiles, "/", get("/", {{"accept-encoding", "gzip;q=0"}}));
  EXPECT_EQ(refused.body, "<p>the page</p>");
}

TEST(Pages, WhatTheClientHasIsNotSentAgain) {
  const HttpResponse same =
      page_response(kFiles, "/", get("/", {{"if-none-match", "\"other\", W/\"plain\""}}));
  EXPECT_EQ(same.status, 304);
  EXPECT_EQ(same.body, "");
  EXPECT_EQ(page_response(kFiles, "/", get("/", {{"if-none-match", "\"zipped\""}})).status, 200);
}

TEST(Pages, OnlyNamesWithAHashAreKeptForEver) {
  const HttpResponse script = page_response(kFiles, "/assets/a-1.js", get("/assets/a-1.js"));
  EXPECT_NE(header(script, "Cache-Control").find("immutable"), std::string::npos);
  EXPECT_EQ(header(page_response(kFiles, "/", get("/")), "Cache-Control"), "no-cache");
}

TEST(Pages, AnUnknownNameIsNotFound) {
  EXPECT_EQ(page_response(kFiles, "/assets/b.js", get("/assets/b.js")).status, 404);
}

TEST(Pages, PagesAllowNothingInlineAndNoOtherHost) {
  const HttpResponse page = page_response(embedded_pages(), "/", get("/"));
  ASSERT_EQ(page.status, 200);
  const std::string policy = header(page, "Content-Security-Policy");
  EXPECT_EQ(policy.find("unsafe"), std::string::npos);
  EXPECT_EQ(policy.find("http"), std::string::npos);
  EXPECT_NE(policy.find("default-src 'none'"), std::string::npos);
}

TEST(Pages, TheBuildEmbedsBothPages) {
  for (const std::string_view url : {"/", "/dashboard"}) {
    EXPECT_TRUE(std::any_of(
        embedded_pages().begin(), embedded_pages().end(),
        [&](const auto& file) { return file.url == url && file.encoding == "identity"; }))
        << url;
  }
}

TEST(Pages, OnlyBrowsersAreGivenThePageAtTheRoot) {
  EXPECT_TRUE(wants_page(get("/", {{"accept", "text/html,application/xhtml+xml"}})));
  EXPECT_FALSE(wants_page(get("/", {{"accept", "*/*"}})));
  EXPECT_FALSE(wants_page(get("/")));
}

}  // namespace
}  // namespace pagoda
