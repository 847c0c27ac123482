// Tests of the checksums, against those that sha256sum and `git hash-object` print.
#include "hub/checksum.h"

#include <gtest/gtest.h>

#include "hub/test_hub.h"

namespace pagoda {
namespace {

constexpr const char* kGitOfHello = "ce013625030ba8dba906f756967f9e9ca394464a";
constexpr const char* kShaOfHello =
    "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";

TEST(Checksum, IsOfTheKindThatTheHubUses) {
  const TestFolder folder;
  write_text(folder / "file", "hello\n");
  EXPECT_EQ(*file_checksum(folder / "file", 6, kGitOfHello), kGitOfHello);
  EXPECT_EQ(*file_checksum(folder / "file", 6, kShaOfHello), kShaOfHello);
  EXPECT_EQ(*file_checksum(folder / "file", 6, "some-etag"), "");
}

TEST(Checksum, ReadsNoFurtherThanTheContent) {
  const TestFolder folder;
  write_text(folder / "file", "hello\nand a table");
  EXPECT_EQ(*file_checksum(folder / "file", 6, kShaOfHello), kShaOfHello);
}

TEST(Checksum, AFileThatEndsEarlyOrIsNotThereIsAnError) {
  const TestFolder folder;
  write_text(folder / "file", "hel");
  EXPECT_FALSE(file_checksum(folder / "file", 6, kShaOfHello).ok());
  EXPECT_FALSE(file_checksum(folder / "none", 6, kShaOfHello).ok());
}

}  // namespace
}  // namespace pagoda
