// The cache's file: what it gives back, what it refuses, and how it ends.
#include "checkpoint/quantized_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "checkpoint/test_folder.h"

namespace pagoda {
namespace {

using testing::HasSubstr;

constexpr int64_t kRows = 4;

// Blocks of q4_0 [4, 64] that differ by `seed`.
std::vector<std::byte> blocks_of(int seed) {
  std::vector<std::byte> bytes(static_cast<size_t>(dtype_bytes(DType::kQ4_0, kRows * 64)));
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::byte>(i * 7 + static_cast<size_t>(seed));
  }
  return bytes;
}

class QuantizedCacheTest : public testing::Test {
 protected:
  std::unique_ptr<QuantizedCache> open(const std::string& key = "model q4_0",
                                       int64_t max_bytes = 1 << 20) {
    auto cache = QuantizedCache::open(
        {.folder = folder_.path("cache"), .key = key, .max_bytes = max_bytes, .min_free_bytes = 0});
    EXPECT_TRUE(cache.ok());
    return std::move(cache).value();
  }

  void fill(const std::string& key = "model q4_0") {
    const auto cache = open(key);
    for (const int i : {0, 1, 2}) {
      const std::vector<std::byte> blocks = blocks_of(i);
      cache->add("m" + std::to_string(i), {blocks.data(), DType::kQ4_0, {kRows, 64}});
    }
    cache->publish();
    EXPECT_EQ(cache->note(), "");
  }

  // Whether the matrix is there with the contents that fill() gave it.
  bool holds(QuantizedCache& cache, int i) {
    Buffer scratch;
    const auto found = cache.find("m" + std::to_string(i), DType::kQ4_0, {kRows, 64}, scratch);
    EXPECT_TRUE(found.ok());
    if (!*found) return false;
    const std::vector<std::byte> want = blocks_of(i);
    EXPECT_EQ(0, std::memcmp((*found)->data, want.data(), want.size()));
    return true;
  }

  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& item : std::filesystem::directory_iterator(folder_.path("cache"))) {
      names.push_back(item.path().string());
    }
    return names;
  }

  void damage(const std::string& path, int64_t at) const {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(at);
    const int byte = file.get();
    file.seekp(at);
    file.put(static_cast<char>(byte ^ 0x40));
  }

  TestFolder folder_;
};

TEST_F(QuantizedCacheTest, GivesBackWhatWasPublishedUnderTheSameKeyOnly) {
  EXPECT_FALSE(open()->has_file());
  fill();
  const auto again = open();
  ASSERT_TRUE(again->has_file());
  for (const int i : {2, 0, 1}) EXPECT_TRUE(holds(*again, i));
  EXPECT_FALSE(open("model q4_1")->has_file());
}

TEST_F(QuantizedCacheTest, LeavesNothingBehindWhenItIsNotPublished) {
  {
    const auto cache = open();
    const std::vector<std::byte> blocks = blocks_of(0);
    cache->add("m0", {blocks.data(), DType::kQ4_0, {kRows, 64}});
    EXPECT_EQ(files().size(), 1U);
  }
  EXPECT_TRUE(files().empty());
}

TEST_F(QuantizedCacheTest, RemovesWhatADeadProcessLeftButNotWhatALivingOneWrites) {
  const auto writer = open();
  const std::vector<std::byte> blocks = blocks_of(0);
  writer->add("m0", {blocks.data(), DType::kQ4_0, {kRows, 64}});
  folder_.write("cache/0123.quantized.abcdef.writing", "left over");
  folder_.write("cache/other.txt", "not ours");
  open("another");
  EXPECT_THAT(files(),
              testing::UnorderedElementsAre(HasSubstr(".writing"), HasSubstr("other.txt")));
  writer->publish();
  EXPECT_TRUE(holds(*open(), 0));
}

TEST_F(QuantizedCacheTest, MakesAFileAnewWhenAMatrixIsDamagedAndKeepsTheSoundOnes) {
  fill();
  damage(files().front(), 4096 + 144 + 9);  // within m1
  const auto cache = open();
  EXPECT_TRUE(holds(*cache, 0));
  EXPECT_FALSE(holds(*cache, 1));
  EXPECT_THAT(cache->note(), HasSubstr("m1"));
  for (const int i : {1, 2}) {
    const std::vector<std::byte> blocks = blocks_of(i);
    cache->add("m" + std::to_string(i), {blocks.data(), DType::kQ4_0, {kRows, 64}});
  }
  cache->publish();
  const auto again = open();
  for (const int i : {0, 1, 2}) EXPECT_TRUE(holds(*again, i));
}

TEST_F(QuantizedCacheTest, DoesNotUseAFileThatIsDamagedElsewhereOrCutOff) {
  fill();
  const std::string path = files().front();
  const auto size = static_cast<int64_t>(std::filesystem::file_size(path));
  for (const int64_t at : {int64_t{0}, int64_t{9}, int64_t{20}, int64_t{30}, size - 20}) {
    damage(path, at);
    const auto cache = open();
    EXPECT_FALSE(cache->has_file()) << at;
    EXPECT_NE(cache->note(), "");
    damage(path, at);  // back again
  }
  EXPECT_TRUE(open()->has_file());
  for (const int64_t length : {int64_t{0}, int64_t{31}, int64_t{4096}, size - 1}) {
    std::filesystem::resize_file(path, static_cast<uintmax_t>(length));
    EXPECT_FALSE(open()->has_file()) << length;
  }
}

TEST_F(QuantizedCacheTest, TakesNoMatrixOfAnotherShapeOrFormat) {
  fill();
  Buffer scratch;
  EXPECT_FALSE(open()->find("m0", DType::kQ4_0, {kRows, 96}, scratch)->has_value());
  EXPECT_FALSE(open()->find("m0", DType::kQ8_0, {kRows, 64}, scratch)->has_value());
  EXPECT_FALSE(open()->find("m9", DType::kQ4_0, {kRows, 64}, scratch)->has_value());
}

TEST_F(QuantizedCacheTest, KeepsTheFolderWithinItsLimitByGivingUpTheLeastRecentlyUsed) {
  fill("first");
  fill("second");
  const auto size = static_cast<int64_t>(std::filesystem::file_size(files().front()));
  const auto old = std::filesystem::file_time_type::clock::now() - std::chrono::hours(1);
  for (const std::string& path : files()) std::filesystem::last_write_time(path, old);
  EXPECT_TRUE(open("first")->has_file());  // used now
  const auto cache = open("third", 2 * size + 100);
  const std::vector<std::byte> blocks = blocks_of(0);
  cache->add("m0", {blocks.data(), DType::kQ4_0, {kRows, 64}});
  cache->publish();
  EXPECT_TRUE(open("first")->has_file());
  EXPECT_TRUE(open("third")->has_file());
  EXPECT_FALSE(open("second")->has_file());
}

TEST_F(QuantizedCacheTest, WritesNothingThatIsOverItsLimitAndSaysSo) {
  const auto cache = open("model", 4096 + 200);
  for (const int i : {0, 1}) {
    const std::vector<std::byte> blocks = blocks_of(i);
    cache->add("m" + std::to_string(i), {blocks.data(), DType::kQ4_0, {kRows, 64}});
  }
  cache->publish();
  EXPECT_THAT(cache->note(), HasSubstr("4296"));
  EXPECT_TRUE(files().empty());
}

TEST_F(QuantizedCacheTest, RefusesAFolderThatCannotBeOne) {
  folder_.write("file", "");
  const auto cache = QuantizedCache::open({.folder = folder_.path("file"), .key = "k"});
  ASSERT_FALSE(cache.ok());
  EXPECT_THAT(cache.error().message, HasSubstr("file"));
}

}  // namespace
}  // namespace pagoda
