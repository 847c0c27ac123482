// Tests of the hub's list of files, as the hub sends it and as an attacker would.
#include "hub/repo_listing.h"

#include <gtest/gtest.h>

#include <string>

namespace pagoda {
namespace {

const std::string kCommit(40, 'c');
const std::string kSha1(40, 'a');
const std::string kSha256(64, 'b');

std::string listing_of(const std::string& siblings) {
  return R"({"id": "org/name", "sha": ")" + kCommit + R"(", "siblings": [)" + siblings + "]}";
}

TEST(RepoListing, ReadsSmallAndLargeFiles) {
  const auto listing = parse_repo_listing(
      listing_of(R"({"rfilename": "config.json", "size": 12, "blobId": ")" + kSha1 +
                 R"("}, {"rfilename": "sub/model.safetensors", "size": 5, "blobId": ")" + kSha1 +
                 R"(", "lfs": {"sha256": ")" + kSha256 +
                 R"(", "size": 6000000000, "pointerSize": 1}},)"
                 R"({"rfilename": "bare.json"})"));
  ASSERT_TRUE(listing.ok()) << listing.error().message;
  EXPECT_EQ(listing->commit, kCommit);
  ASSERT_EQ(listing->files.size(), 3U);
  EXPECT_EQ(listing->files[0].etag, kSha1);
  EXPECT_EQ(listing->files[0].num_bytes, 12);
  EXPECT_EQ(listing->files[1].etag, kSha256);
  EXPECT_EQ(listing->files[1].num_bytes, 6'000'000'000);
  EXPECT_EQ(listing->files[2].etag, "");
  EXPECT_FALSE(listing->files[2].num_bytes);
}

TEST(RepoListing, RefusesEverythingThatIsNotWhatItSeems) {
  for (const std::string siblings :
       {R"({"rfilename": "../x"})", R"({"rfilename": "/x"})", R"({"rfilename": "a\u0000b"})",
        R"({"rfilename": ""})", R"({"rfilename": 7})", R"({})", R"("x")", R"(null)",
        R"({"rfilename": "x", "size": -1})", R"({"rfilename": "x", "size": 1.5})",
        R"({"rfilename": "x", "size": 18446744073709551615})",
        R"({"rfilename": "x", "size": 70368744177665})", R"({"rfilename": "x", "blobId": "../y"})",
        R"({"rfilename": "x", "lfs": {"sha256": "aa", "size": 1}})",
        R"({"rfilename": "x"}, {"rfilename": "x"})"}) {
    EXPECT_FALSE(parse_repo_listing(listing_of(siblings)).ok()) << siblings;
  }
  for (const std::string& text : {std::string("[]"), std::string("{}"), std::string(""),
                                  std::string(R"({"sha": "../x", "siblings": []})"),
                                  R"({"sha": ")" + kCommit + R"(", "siblings": {}})"}) {
    EXPECT_FALSE(parse_repo_listing(text).ok()) << text;
  }
}

TEST(RepoListing, TheNumberOfFilesIsBounded) {
  std::string siblings;
  for (int i = 0; i < 100'001; ++i) {
    siblings += (i == 0 ? "" : ",") + std::string(R"({"rfilename":"f)") + std::to_string(i) + "\"}";
  }
  const auto listing = parse_repo_listing(listing_of(siblings));
  ASSERT_FALSE(listing.ok());
  EXPECT_NE(listing.error().message.find("100000"), std::string::npos);
}

}  // namespace
}  // namespace pagoda
