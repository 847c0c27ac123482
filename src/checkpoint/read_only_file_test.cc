// Reading files that are missing, odd or changed under our hands.
#include "checkpoint/read_only_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>
#include <cstring>

#include "checkpoint/test_folder.h"

namespace pagoda {
namespace {

TEST(ReadOnlyFile, ReadsAnyRangeOfTheFile) {
  const TestFolder folder;
  folder.write("a", "0123456789");
  auto file = ReadOnlyFile::open(folder.path("a"));
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->num_bytes(), 10);
  std::array<std::byte, 4> out = {};
  ASSERT_TRUE(file->read_at(3, out).ok());
  EXPECT_EQ(std::memcmp(out.data(), "3456", 4), 0);
}

TEST(ReadOnlyFile, FileCutShortAfterOpeningIsAnError) {
  const TestFolder folder;
  folder.write("a", std::string(100000, 'x'));
  auto file = ReadOnlyFile::open(folder.path("a"));
  ASSERT_TRUE(file.ok());
  std::filesystem::resize_file(folder.path("a"), 50000);
  std::string out(100000, ' ');
  const auto status = file->read_at(0, std::as_writable_bytes(std::span<char>(out)));
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message.find("ends at byte 50000"), std::string::npos);
}

TEST(ReadOnlyFile, ReadsOnWhenTheFileIsRemovedAfterOpening) {
  const TestFolder folder;
  folder.write("a", "abc");
  auto file = ReadOnlyFile::open(folder.path("a"));
  ASSERT_TRUE(file.ok());
  std::filesystem::remove(folder.path("a"));
  std::array<std::byte, 3> out = {};
  EXPECT_TRUE(file->read_at(0, out).ok());
}

TEST(ReadOnlyFile, MissingFileIsNamed) {
  const TestFolder folder;
  const auto file = ReadOnlyFile::open(folder.path("gone"));
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.error().code, ErrorCode::kNotFound);
  EXPECT_NE(file.error().message.find(folder.path("gone")), std::string::npos);
}

TEST(ReadOnlyFile, RefusesFoldersAndPipesWithoutWaiting) {
  const TestFolder folder;
  ASSERT_EQ(::mkfifo(folder.path("pipe").c_str(), 0600), 0);
  EXPECT_EQ(ReadOnlyFile::open(folder.path("pipe")).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(ReadOnlyFile::open(folder.path()).error().code, ErrorCode::kInvalidArgument);
}

TEST(ReadOnlyFile, TextBeyondTheLimitIsRefusedUnread) {
  const TestFolder folder;
  folder.write("a", "12345");
  EXPECT_EQ(*read_text_file(folder.path("a"), 5), "12345");
  EXPECT_EQ(read_text_file(folder.path("a"), 4).error().code, ErrorCode::kTooLarge);
}

}  // namespace
}  // namespace pagoda
