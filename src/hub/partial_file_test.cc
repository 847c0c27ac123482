// Tests of the file of a download that is not complete.
#include "hub/partial_file.h"

#include <gtest/gtest.h>

#include "hub/test_hub.h"

namespace pagoda {
namespace {

TEST(PartialFile, PartsInAnyOrderBecomeTheFile) {
  const TestFolder folder;
  auto file = PartialFile::open(folder / "part", 10, 4);
  ASSERT_TRUE(file.ok()) << file.error().message;
  ASSERT_EQ(file->num_parts(), 3);
  EXPECT_EQ(file->part_num_bytes(2), 2);
  ASSERT_TRUE(file->append(2, "89").ok());
  ASSERT_TRUE(file->append(0, "01").ok());
  ASSERT_TRUE(file->append(1, "4567").ok());
  ASSERT_TRUE(file->append(0, "23").ok());
  ASSERT_TRUE(file->sync().ok());
  ASSERT_TRUE(file->finish(folder / "whole").ok());
  EXPECT_EQ(read_text(folder / "whole"), "0123456789");
  EXPECT_FALSE(std::filesystem::exists(folder / "part"));
}

TEST(PartialFile, GoesOnWhereAnEarlierProcessStopped) {
  const TestFolder folder;
  {
    auto file = PartialFile::open(folder / "part", 10, 4);
    ASSERT_TRUE(file->append(1, "456").ok());
  }
  // Whatever size of parts is asked for: the ranges that are there count.
  auto file = PartialFile::open(folder / "part", 10, 5);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->num_parts(), 3);
  EXPECT_EQ(file->part_done(1), 3);
  EXPECT_EQ(file->num_bytes_done(), 3);
}

TEST(PartialFile, BeginsAnewForAnotherSizeOrADamagedTable) {
  const TestFolder folder;
  {
    auto file = PartialFile::open(folder / "part", 10, 4);
    ASSERT_TRUE(file->append(0, "0123").ok());
  }
  const std::string good = read_text(folder / "part");
  EXPECT_EQ(PartialFile::open(folder / "part", 11, 4)->num_bytes_done(), 0);
  for (size_t at = 10; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x40);
    write_text(folder / "part", bad);
    auto file = PartialFile::open(folder / "part", 10, 4);
    ASSERT_TRUE(file.ok());
    ASSERT_EQ(file->num_bytes_done(), 0) << at;
  }
  for (size_t length = 0; length < good.size(); ++length) {
    write_text(folder / "part", good.substr(0, length));
    ASSERT_EQ(PartialFile::open(folder / "part", 10, 4)->num_bytes_done(), 0) << length;
  }
}

TEST(PartialFile, ATableOfEnormousNumbersIsNotBelieved) {
  const TestFolder folder;
  std::string text(10, 'x');
  const int64_t numbers[] = {10, 1, 10, int64_t{1} << 62};
  text += "PGDPART1";
  text.append(reinterpret_cast<const char*>(numbers), sizeof(numbers));
  write_text(folder / "part", text);
  auto file = PartialFile::open(folder / "part", 10, 4);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->num_bytes_done(), 0);
}

TEST(PartialFile, RefusesMoreThanAPartHolds) {
  const TestFolder folder;
  auto file = PartialFile::open(folder / "part", 10, 4);
  EXPECT_EQ(file->append(2, "89x").error().code, ErrorCode::kTooLarge);
  EXPECT_EQ(file->num_bytes_done(), 0);
}

TEST(PartialFile, NeverWritesThroughALink) {
  const TestFolder folder;
  write_text(folder / "precious", "mine");
  std::filesystem::create_symlink(folder / "precious", folder / "part");
  EXPECT_FALSE(PartialFile::open(folder / "part", 10, 4).ok());
  EXPECT_EQ(read_text(folder / "precious"), "mine");
}

TEST(PartialFile, AnEmptyFileHasNoParts) {
  const TestFolder folder;
  auto file = PartialFile::open(folder / "part", 0, 4);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->num_parts(), 0);
  ASSERT_TRUE(file->finish(folder / "whole").ok());
  EXPECT_EQ(std::filesystem::file_size(folder / "whole"), 0U);
}

TEST(PartialFile, PartsAreOfAUsefulSize) {
  constexpr int64_t kMiB = int64_t{1} << 20;
  EXPECT_EQ(PartialFile::usual_part_bytes(100), 8 * kMiB);
  EXPECT_EQ(PartialFile::usual_part_bytes(200 * kMiB), 26 * kMiB);
  EXPECT_EQ(PartialFile::usual_part_bytes(int64_t{1} << 46), 64 * kMiB);
}

TEST(DiskFull, SaysWhatIsNeededAndWhatIsFree) {
  const std::string message = disk_full_error("/", 5'000'000'000).message;
  EXPECT_NE(message.find("needed"), std::string::npos);
  EXPECT_NE(message.find("free"), std::string::npos);
  EXPECT_GE(free_disk_bytes("/"), 0);
  EXPECT_EQ(free_disk_bytes("/no/such/folder"), -1);
}

}  // namespace
}  // namespace pagoda
