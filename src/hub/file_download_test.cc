// Tests of what each answer of a hub means for a file.
#include "hub/file_download.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hub/test_hub.h"

namespace pagoda {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Verdict = FileDownload::Verdict;

const std::string kCommit(40, 'c');
const std::string kOther(64, 'b');
constexpr const char* kShaOfHello =
    "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";

FetchHead head_of(int status, std::map<std::string, std::string> headers, bool at_hub = true) {
  FetchHead head;
  head.status = status;
  head.headers = std::move(headers);
  head.at_hub = at_hub;
  return head;
}

// "hello\n" in two parts.
class FileDownloadTest : public ::testing::Test {
 protected:
  void begin(int64_t part_bytes) {
    auto lock = FileLock::try_lock(folder_ / "lock");
    ASSERT_TRUE(lock.ok() && *lock);
    ASSERT_TRUE(file_.begin(std::move(**lock), folder_ / "part", part_bytes).ok());
  }

  TestFolder folder_;
  FileDownload file_{{.path = "f", .num_bytes = 6, .etag = kShaOfHello}, kCommit};
};

TEST_F(FileDownloadTest, PartsAskForTheirRangesAndBecomeTheFile) {
  begin(4);
  EXPECT_THAT(file_.start_part(0), ElementsAre("Range: bytes=0-3"));
  const auto first = head_of(206, {{"content-range", "bytes 0-3/6"}, {"etag", "\"e\""}}, false);
  EXPECT_EQ(file_.judge(0, first), Verdict::kGoOn);
  EXPECT_TRUE(file_.append(0, "hel").ok());
  // The rest of a part that broke, only if the file is still the same.
  EXPECT_THAT(file_.start_part(0), ElementsAre("Range: bytes=3-3", "If-Range: \"e\""));
  EXPECT_TRUE(file_.append(0, "l").ok());
  EXPECT_TRUE(file_.append(1, "o\n").ok());
  ASSERT_TRUE(file_.complete());
  file_.start_verifying();
  const auto finished = file_.finish(folder_ / "blob");
  ASSERT_TRUE(finished.ok() && *finished);
  EXPECT_EQ(read_text(folder_ / "blob"), "hello\n");
  EXPECT_EQ(file_.state(), FileDownload::State::kDone);
}

TEST_F(FileDownloadTest, AFileInOnePartIsAskedForAsAWhole) {
  begin(100);
  EXPECT_TRUE(file_.start_part(0).empty());
  EXPECT_EQ(file_.judge(0, head_of(200, {{"content-length", "6"}})), Verdict::kGoOn);
  EXPECT_EQ(file_.judge(0, head_of(200, {{"content-length", "7"}})), Verdict::kFatal);
  EXPECT_THAT(file_.error().message, HasSubstr("7 bytes"));
}

TEST_F(FileDownloadTest, WrongContentIsNotGivenItsName) {
  begin(100);
  EXPECT_TRUE(file_.append(0, "jello\n").ok());
  file_.start_verifying();
  EXPECT_FALSE(*file_.finish(folder_ / "blob"));
  EXPECT_NE(file_.found_checksum(), kShaOfHello);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "blob"));
  EXPECT_TRUE(*file_.restart(1));
  EXPECT_EQ(file_.num_bytes_done(), 0);
  EXPECT_FALSE(*file_.restart(1));
}

TEST_F(FileDownloadTest, AnotherEtagOfTheHubMakesItAnotherFile) {
  begin(4);
  EXPECT_TRUE(file_.append(0, "hel").ok());
  const auto redirect = head_of(
      302,
      {{"location", "http://x/"}, {"x-linked-etag", "\"" + kOther + "\""}, {"x-linked-size", "9"}});
  EXPECT_EQ(file_.judge(0, redirect), Verdict::kRestart);
  const int generation = file_.generation();
  EXPECT_TRUE(*file_.restart(2));
  EXPECT_NE(file_.generation(), generation);
  EXPECT_EQ(file_.etag(), kOther);
  EXPECT_EQ(file_.num_bytes(), 9);
  EXPECT_EQ(file_.state(), FileDownload::State::kNeedsLock);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "part"));
}

TEST_F(FileDownloadTest, AnotherEtagOfTheServingServerBeginsAnew) {
  begin(4);
  file_.start_part(0);
  file_.start_part(1);
  EXPECT_EQ(file_.judge(0, head_of(206, {{"content-range", "bytes 0-3/6"}, {"etag", "\"e\""}})),
            Verdict::kGoOn);
  EXPECT_EQ(file_.judge(1, head_of(206, {{"content-range", "bytes 4-5/6"}, {"etag", "\"f\""}})),
            Verdict::kRestart);
  EXPECT_EQ(file_.judge(1, head_of(200, {{"content-length", "6"}, {"etag", "\"f\""}})),
            Verdict::kRestart);
  EXPECT_EQ(file_.judge(1, head_of(416, {})), Verdict::kRestart);
}

TEST_F(FileDownloadTest, AServerWithoutRangesGivesItInOneStream) {
  begin(4);
  file_.start_part(0);
  EXPECT_EQ(file_.judge(0, head_of(200, {{"content-length", "6"}})), Verdict::kRestart);
  EXPECT_TRUE(*file_.restart(2));
  ASSERT_EQ(file_.parts().size(), 1U);
  EXPECT_TRUE(file_.start_part(0).empty());
  EXPECT_TRUE(file_.append(0, "hel").ok());
  // Broken off: what is there is of no use, since it cannot go on from there.
  EXPECT_TRUE(file_.start_part(0).empty());
  EXPECT_TRUE(file_.append(0, "hello\n").ok());
  EXPECT_TRUE(file_.complete());
}

TEST_F(FileDownloadTest, AnswersThatCannotBeRightEndIt) {
  begin(4);
  file_.start_part(0);
  const std::map<std::string, std::string> good = {{"content-range", "bytes 0-3/6"}};
  EXPECT_EQ(file_.judge(0, head_of(206, good)), Verdict::kGoOn);
  for (const char* range : {"", "bytes 1-3/6", "bytes 0-5/6", "bytes 0-3/7", "bytes 4-5/6"}) {
    EXPECT_EQ(file_.judge(0, head_of(206, {{"content-range", range}})), Verdict::kFatal) << range;
  }
  for (const auto& [name, value] : std::map<std::string, std::string>{
           {"content-encoding", "gzip"}, {"x-repo-commit", "other"}, {"x-linked-size", "7"}}) {
    auto headers = good;
    headers[name] = value;
    EXPECT_EQ(file_.judge(0, head_of(206, headers)), Verdict::kFatal) << name;
  }
  EXPECT_FALSE(file_.append(0, "hello").ok());
}

TEST(FileDownload, MetadataComesFromTheAnswerToHead) {
  FileDownload large({.path = "f", .num_bytes = std::nullopt, .etag = ""}, kCommit);
  EXPECT_EQ(large.state(), FileDownload::State::kNeedsMetadata);
  EXPECT_TRUE(large
                  .take_metadata(head_of(302, {{"location", "http://x/"},
                                               {"x-linked-etag", "\"" + kOther + "\""},
                                               {"x-linked-size", "9"},
                                               {"content-length", "0"}}))
                  .ok());
  EXPECT_EQ(large.etag(), kOther);
  EXPECT_EQ(large.num_bytes(), 9);
  FileDownload small({.path = "f", .num_bytes = std::nullopt, .etag = ""}, kCommit);
  EXPECT_TRUE(
      small.take_metadata(head_of(200, {{"etag", "W/\"abc\""}, {"content-length", "5"}})).ok());
  EXPECT_EQ(small.etag(), "abc");
  EXPECT_EQ(small.num_bytes(), 5);
}

TEST(FileDownload, MetadataThatCannotBeAFileIsRefused) {
  for (const char* etag : {"", "../x", ".hidden", "a/b", "x.incomplete", "a b"}) {
    FileDownload file({.path = "f", .num_bytes = 5, .etag = ""}, kCommit);
    EXPECT_FALSE(file.take_metadata(head_of(200, {{"etag", etag}})).ok()) << etag;
  }
  for (const char* size : {"", "-1", "5x", "99999999999999999999"}) {
    FileDownload file({.path = "f", .num_bytes = std::nullopt, .etag = kOther}, kCommit);
    EXPECT_FALSE(file.take_metadata(head_of(200, {{"content-length", size}})).ok()) << size;
  }
}

}  // namespace
}  // namespace pagoda
