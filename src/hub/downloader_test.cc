// Tests of downloads: failures, waiting, words. tests/e2e/test_hub.py runs whole pulls.
#include "hub/downloader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "hub/file_lock.h"
#include "hub/test_hub.h"

namespace pagoda {
namespace {

using ::testing::HasSubstr;

const std::string kCommit(40, 'c');
// git's names of "hello\n" and of nothing.
constexpr const char* kHello = "ce013625030ba8dba906f756967f9e9ca394464a";
constexpr const char* kNothing = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391";

DownloadLimits quick_limits() {
  DownloadLimits limits;
  limits.first_wait = limits.max_wait = std::chrono::milliseconds(1);
  limits.part_bytes = 4;
  return limits;
}

// The bytes that a request's Range asks for, as a server would send them.
std::string range_answer(const std::string& head, const std::string& content) {
  const size_t at = head.find("Range: bytes=");
  if (at == std::string::npos) return http_answer("200 OK", content);
  size_t end = 0;
  const size_t first = std::stoul(head.substr(at + 13), &end);
  const size_t last = std::stoul(head.substr(at + 13 + end + 1));
  return http_answer("206 Partial Content", content.substr(first, last - first + 1),
                     "Content-Range: bytes " + std::to_string(first) + "-" + std::to_string(last) +
                         "/" + std::to_string(content.size()) + "\r\n");
}

class DownloaderTest : public ::testing::Test {
 protected:
  Result<void> download(TestServer& server, const PullObserver& observer = {}) {
    config_.endpoint = server.url();
    auto session = FetchSession::create(config_);
    return download_files(config_, cache_, **session, task_, limits_, observer);
  }
  std::string content(const std::string& name) {
    return read_text(cache_.snapshot_folder("org/name", kCommit) + "/" + name);
  }

  TestFolder folder_;
  HubCache cache_{folder_.path()};
  HubConfig config_;
  DownloadLimits limits_ = quick_limits();
  DownloadTask task_{.repo = "org/name",
                     .revision = "main",
                     .commit = kCommit,
                     .files = {{.path = "a b.json", .num_bytes = 6, .etag = kHello},
                               {.path = "empty.json", .num_bytes = 0, .etag = kNothing}}};
};

TEST_F(DownloaderTest, BringsRangesAndLinksTheFiles) {
  TestServer server([](const std::string& head) { return range_answer(head, "hello\n"); });
  PullProgress last;
  const auto done =
      download(server, {.note = nullptr, .progress = [&](const PullProgress& p) { last = p; }});
  ASSERT_TRUE(done.ok()) << done.error().message;
  EXPECT_EQ(content("a b.json"), "hello\n");
  EXPECT_TRUE(std::filesystem::exists(cache_.blob_path("org/name", kNothing)));
  EXPECT_EQ(server.requests().size(), 2U);
  EXPECT_THAT(server.requests()[0],
              HasSubstr("GET /org/name/resolve/" + kCommit + "/a%20b.json HTTP/1.1"));
  EXPECT_EQ(last.num_bytes, 6);
  EXPECT_EQ(last.num_files, 2);
  EXPECT_EQ(last.received_bytes, 6);
}

TEST_F(DownloaderTest, TriesAgainAndGivesUpAfterTheLimit) {
  std::atomic<int> num_requests = 0;
  int num_bad = 5;
  TestServer server([&](const std::string& head) {
    return ++num_requests <= num_bad ? http_answer("503 Busy", "") : range_answer(head, "hello\n");
  });
  EXPECT_TRUE(download(server).ok());
  EXPECT_EQ(content("a b.json"), "hello\n");
  std::filesystem::remove_all(folder_.path());
  num_requests = 0;
  num_bad = 1000;
  const auto failed = download(server);
  ASSERT_FALSE(failed.ok());
  EXPECT_THAT(failed.error().message, HasSubstr("503"));
  EXPECT_THAT(failed.error().message, HasSubstr("a b.json"));
  EXPECT_LE(num_requests, 2 * (limits_.max_failures + 1));
}

TEST_F(DownloaderTest, CorruptContentIsRefusedInTheEndAndLeavesNoBlob) {
  TestServer server([](const std::string& head) { return range_answer(head, "jello\n"); });
  const auto failed = download(server);
  ASSERT_FALSE(failed.ok());
  EXPECT_THAT(failed.error().message, HasSubstr("corrupt"));
  EXPECT_FALSE(std::filesystem::exists(cache_.blob_path("org/name", kHello)));
}

TEST_F(DownloaderTest, ABlobThatIsThereIsLinkedWithoutTheNetwork) {
  write_text(cache_.blob_path("org/name", kHello), "hello\n");
  TestServer server([](const std::string&) { return http_answer("500 Oops", ""); });
  const auto done = download(server);
  ASSERT_TRUE(done.ok()) << done.error().message;
  EXPECT_EQ(content("a b.json"), "hello\n");
  EXPECT_TRUE(server.requests().empty());
}

TEST_F(DownloaderTest, ABlobOfTheWrongSizeIsReplaced) {
  write_text(cache_.blob_path("org/name", kHello), "hel");
  TestServer server([](const std::string& head) { return range_answer(head, "hello\n"); });
  ASSERT_TRUE(download(server).ok());
  EXPECT_EQ(content("a b.json"), "hello\n");
}

TEST_F(DownloaderTest, AnotherProcessIsWaitedForAndItsFileTaken) {
  auto lock = FileLock::try_lock(cache_.lock_path("org/name", kHello));
  ASSERT_TRUE(lock.ok() && *lock);
  TestServer server([](const std::string&) { return http_answer("500 Oops", ""); });
  bool noted = false;
  const auto done =
      download(server, {.note =
                            [&](const std::string& text) {
                              EXPECT_THAT(text, HasSubstr("another process"));
                              noted = true;
                              write_text(cache_.blob_path("org/name", kHello), "hello\n");
                              lock->reset();
                            },
                        .progress = nullptr});
  ASSERT_TRUE(done.ok()) << done.error().message;
  EXPECT_TRUE(noted);
  EXPECT_EQ(content("a b.json"), "hello\n");
  EXPECT_TRUE(server.requests().empty());
}

TEST_F(DownloaderTest, WeightsAreLinkedAfterEverythingElse) {
  task_.files = {{.path = "model.safetensors", .num_bytes = 0, .etag = kNothing},
                 {.path = "config.json", .num_bytes = 6, .etag = kHello}};
  TestServer server([](const std::string&) { return http_answer("404 Not Found", ""); });
  EXPECT_EQ(download(server).error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(cache_.snapshot_files("org/name", kCommit).empty());
}

TEST_F(DownloaderTest, ADiskWithoutRoomIsToldBeforeAnythingIsFetched) {
  task_.files[0].num_bytes = int64_t{1} << 45;
  TestServer server([](const std::string&) { return http_answer("500 Oops", ""); });
  const auto failed = download(server);
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().code, ErrorCode::kOverloaded);
  EXPECT_THAT(failed.error().message, HasSubstr("35184.37 GB more are needed"));
  EXPECT_TRUE(server.requests().empty());
}

TEST(RetryWait, DoublesUpToALimitAndObeysTheHub) {
  const DownloadLimits limits;
  for (int i = 1; i < 60; ++i) {
    const auto wait = retry_wait(limits, i, "");
    const auto least = std::min<int64_t>(250 * (int64_t{1} << std::min(i - 1, 20)), 15'000);
    EXPECT_GE(wait.count(), least);
    EXPECT_LE(wait.count(), least * 5 / 4);
  }
  EXPECT_GE(retry_wait(limits, 1, "7"), std::chrono::seconds(7));
  EXPECT_LE(retry_wait(limits, 1, "99999"), std::chrono::seconds(375));
  EXPECT_LT(retry_wait(limits, 1, "Wed, 21 Oct 2026 07:28:00 GMT"), std::chrono::seconds(1));
}

std::string words(int status, const std::string& code, const std::string& token,
                  const std::string& file = "") {
  HubConfig config;
  config.endpoint = "https://hub";
  config.token = token;
  FetchHead head;
  head.status = status;
  if (!code.empty()) head.headers["x-error-code"] = code;
  return hub_error(config, head, "org/name", "v1", file).message;
}

TEST(HubError, SaysWhatToDo) {
  EXPECT_THAT(words(401, "GatedRepo", ""), HasSubstr("licence at https://hub/org/name and set"));
  EXPECT_THAT(words(403, "GatedRepo", "hf_x"), HasSubstr("no access"));
  EXPECT_THAT(words(403, "", ""), HasSubstr("forbidden"));
  EXPECT_THAT(words(401, "", ""), HasSubstr("no model org/name at https://hub, or it is private"));
  EXPECT_THAT(words(401, "", "hf_x"), HasSubstr("refuses HF_TOKEN"));
  EXPECT_THAT(words(404, "RepoNotFound", ""), HasSubstr("no model org/name"));
  EXPECT_THAT(words(404, "RevisionNotFound", ""), HasSubstr("no revision 'v1'"));
  EXPECT_THAT(words(404, "", "", "x.json"), HasSubstr("no file 'x.json' at revision 'v1'"));
  EXPECT_THAT(words(418, "", "", "x\x1b.json"), HasSubstr("status 418 for x\\x1b.json"));
  EXPECT_EQ(words(401, "", "hf_x").find("hf_x"), std::string::npos);
}

}  // namespace
}  // namespace pagoda
