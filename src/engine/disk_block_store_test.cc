// Tests of the folder of cached blocks: damage, restarts, bounds, foreign files, disks that refuse.
#include "engine/disk_block_store.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "base/log.h"
#include "engine/block_file.h"

namespace pagoda {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr size_t kBlockBytes = 5000;
constexpr int64_t kFileBytes = 8192;  // on the disk, in whole pages

std::vector<TokenId> tokens_of(int block) {
  return {block, block + 1, 7, 9};
}
std::vector<std::byte> data_of(int block) {
  std::vector<std::byte> data(kBlockBytes);
  for (size_t i = 0; i < data.size(); ++i) {
    data[i] = static_cast<std::byte>(i + static_cast<size_t>(block) * 31);
  }
  return data;
}
BlockHash hash_of(int block) {
  return sha256("block " + std::to_string(block));
}

class BlockFolder : public ::testing::Test {
 protected:
  BlockFolder() {
    std::string folder = ::testing::TempDir() + "blocks-XXXXXX";
    EXPECT_NE(mkdtemp(folder.data()), nullptr);
    top_ = folder;
    config_ = {.folder = folder + "/cache",
               .fingerprint = "model a",
               .max_bytes = 100 * kFileBytes,
               .bytes_per_block = kBlockBytes};
  }
  ~BlockFolder() override { fs::remove_all(top_); }

  std::unique_ptr<DiskBlockStore> open() const {
    auto store = DiskBlockStore::open(config_);
    EXPECT_TRUE(store.ok()) << store.error().message;
    return std::move(store).value();
  }
  static void save(DiskBlockStore& store, int block) {
    store.save(hash_of(block), tokens_of(block), data_of(block));
    EXPECT_TRUE(store.flush(seconds(20)));
  }
  // True when the block comes back as it was saved; a wrong one is a failure of the test.
  static bool has(DiskBlockStore& store, int block) {
    std::vector<std::byte> out(kBlockBytes);
    if (!store.load(hash_of(block), tokens_of(block), out)) return false;
    EXPECT_EQ(out, data_of(block)) << "block " << block;
    return true;
  }
  static std::set<int> blocks_in(DiskBlockStore& store, int num_blocks) {
    std::set<int> found;
    for (int block = 0; block < num_blocks; ++block) {
      if (has(store, block)) found.insert(block);
    }
    return found;
  }
  std::vector<fs::path> files() const {
    std::vector<fs::path> found;
    for (const auto& entry : fs::recursive_directory_iterator(config_.folder)) {
      if (entry.is_regular_file()) found.push_back(entry.path());
    }
    return found;
  }
  int64_t bytes_on_disk() const {
    int64_t sum = 0;
    for (const fs::path& file : files()) {
      sum += (static_cast<int64_t>(fs::file_size(file)) + 4095) / 4096 * 4096;
    }
    return sum;
  }

  std::string top_;
  DiskBlockStoreConfig config_;
};

TEST_F(BlockFolder, WhatWasSavedComesBackAtOnceAndAfterARestart) {
  {
    const auto store = open();
    EXPECT_FALSE(store->contains(hash_of(1)));
    store->save(hash_of(1), tokens_of(1), data_of(1));
    EXPECT_TRUE(store->contains(hash_of(1)));
    EXPECT_TRUE(has(*store, 1));
  }
  const auto store = open();
  EXPECT_TRUE(store->contains(hash_of(1)));
  EXPECT_TRUE(has(*store, 1));
  EXPECT_FALSE(store->contains(hash_of(2)));
  EXPECT_FALSE(has(*store, 2));
  EXPECT_EQ(store->stats().num_blocks, 1);
  EXPECT_EQ(store->stats().num_bytes, kFileBytes);
}

TEST_F(BlockFolder, OtherTokensAreAMissInMemoryAndOnDisk) {
  const auto store = open();
  std::vector<std::byte> out(kBlockBytes);
  store->save(hash_of(1), tokens_of(1), data_of(1));
  EXPECT_FALSE(store->load(hash_of(1), tokens_of(2), out));
  ASSERT_TRUE(store->flush(seconds(20)));
  EXPECT_FALSE(store->load(hash_of(1), tokens_of(2), out));
  EXPECT_TRUE(has(*store, 1));
}

TEST_F(BlockFolder, AnotherFingerprintNeverGivesABlockBack) {
  save(*open(), 1);
  config_.fingerprint = "model b";
  const auto store = open();
  EXPECT_FALSE(store->contains(hash_of(1)));
  EXPECT_FALSE(has(*store, 1));
  EXPECT_EQ(store->stats().num_bytes, kFileBytes);  // but it is known to be there
}

TEST_F(BlockFolder, ADamagedBlockIsAMissAndGone) {
  std::mt19937 random(1);
  for (int block = 0; block < 20; ++block) {
    const auto store = open();
    save(*store, block);
    const fs::path path = files().at(0);
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    const auto at = static_cast<std::streamoff>(random() % fs::file_size(path));
    char byte = 0;
    file.seekg(at).get(byte);
    file.seekp(at).put(static_cast<char>(~byte)).flush();
    EXPECT_FALSE(has(*store, block)) << "byte " << at;
    EXPECT_FALSE(store->contains(hash_of(block)));
    EXPECT_TRUE(files().empty());
    EXPECT_EQ(store->stats().num_damaged, 1);
    EXPECT_EQ(store->stats().num_bytes, 0);
  }
}

TEST_F(BlockFolder, AFileOfTheWrongSizeIsGoneAtOpen) {
  save(*open(), 1);
  fs::resize_file(files().at(0), 100);
  EXPECT_FALSE(open()->contains(hash_of(1)));
  EXPECT_TRUE(files().empty());
}

TEST_F(BlockFolder, TheLeastRecentlyUsedGoFirstAlsoAfterARestart) {
  config_.max_bytes = 4 * kFileBytes;
  {
    const auto store = open();
    for (int block = 0; block < 4; ++block) save(*store, block);
    EXPECT_TRUE(has(*store, 0));
    save(*store, 4);
    EXPECT_EQ(blocks_in(*store, 5), (std::set<int>{0, 2, 3, 4}));
    EXPECT_EQ(store->stats().num_evicted, 1);
  }
  const auto old = fs::last_write_time(files().at(0)) - std::chrono::hours(1);
  for (const fs::path& file : files()) fs::last_write_time(file, old);
  const auto store = open();
  EXPECT_TRUE(has(*store, 2));  // marks it on the disk, for its mark is an hour old
  const auto again = open();
  save(*again, 5);
  save(*again, 6);
  save(*again, 7);
  EXPECT_EQ(blocks_in(*again, 8), (std::set<int>{2, 5, 6, 7}));
}

TEST_F(BlockFolder, BlocksOfOtherFingerprintsGoBeforeOurOwn) {
  config_.max_bytes = 4 * kFileBytes;
  {
    const auto store = open();
    save(*store, 0);
    save(*store, 1);
  }
  config_.fingerprint = "model b";
  const auto store = open();
  for (int block = 0; block < 4; ++block) save(*store, block);
  EXPECT_EQ(blocks_in(*store, 4), (std::set<int>{0, 1, 2, 3}));
  EXPECT_EQ(bytes_on_disk(), 4 * kFileBytes);
  config_.fingerprint = "model a";
  EXPECT_EQ(open()->stats().num_blocks, 0);
}

TEST_F(BlockFolder, ASmallerBoundHoldsFromOpenOn) {
  {
    const auto store = open();
    for (int block = 0; block < 10; ++block) save(*store, block);
  }
  config_.max_bytes = 3 * kFileBytes;
  const auto store = open();
  EXPECT_EQ(bytes_on_disk(), 3 * kFileBytes);
  EXPECT_EQ(blocks_in(*store, 10), (std::set<int>{7, 8, 9}));
}

// Random saves, loads, restarts and damage: never a wrong block, never more than the bounds.
TEST_F(BlockFolder, HoldsItsBoundsUnderRandomUse) {
  const uint32_t seed = 20;
  std::mt19937 random(seed);
  config_.max_bytes = 7 * kFileBytes + 4096;
  int num_hits = 0;
  auto store = open();
  for (int i = 0; i < 600; ++i) {
    const int block = static_cast<int>(random() % 20);
    const auto action = random() % 100;
    if (action < 50) {
      store->save(hash_of(block), tokens_of(block), data_of(block));
    } else if (action < 90) {
      num_hits += has(*store, block) ? 1 : 0;
    } else if (action < 95) {
      store.reset();
      config_.fingerprint = action < 92 ? "model a" : "model b";
      store = open();
    } else if (store->flush(seconds(20)) && !files().empty()) {
      fs::resize_file(files().at(0), random() % 6000);
    }
    if (random() % 10 != 0) continue;
    ASSERT_TRUE(store->flush(seconds(20)));
    ASSERT_LE(bytes_on_disk(), config_.max_bytes) << "seed " << seed << " action " << i;
    ASSERT_LE(store->stats().num_bytes, config_.max_bytes);
  }
  EXPECT_GT(num_hits, 20);
}

TEST_F(BlockFolder, TheNumberOfFilesIsBoundedToo) {
  config_.max_files = 5;
  const auto store = open();
  for (int block = 0; block < 12; ++block) save(*store, block);
  EXPECT_EQ(files().size(), 5u);
  EXPECT_EQ(blocks_in(*store, 12), (std::set<int>{7, 8, 9, 10, 11}));
}

TEST_F(BlockFolder, WhatItDidNotWriteIsNeverTouched) {
  config_.max_bytes = 2 * kFileBytes;
  save(*open(), 0);
  const fs::path own = files().at(0).parent_path();
  const std::string name = files().at(0).filename().string();
  const std::string digits = own.filename().string();
  const fs::path elsewhere = fs::path(top_) / "elsewhere";
  fs::create_directories(elsewhere / digits);
  const std::vector<fs::path> foreign = {
      fs::path(config_.folder) / "notes.txt",
      fs::path(config_.folder) / name,
      own / "readme",
      own / (name + "x"),
      own / ("A" + name.substr(1)),
      own / (name.substr(0, 64) + ".tmp"),
      elsewhere / digits / name,
  };
  for (const fs::path& path : foreign) std::ofstream(path) << "mine";
  // Links to folders and files that look like blocks.
  fs::create_directory_symlink(elsewhere, fs::path(config_.folder) / std::string(32, '1'));
  fs::create_symlink(elsewhere / digits / name, own / (digits + std::string(62, '0') + ".kv"));

  const auto store = open();
  for (int block = 1; block < 10; ++block) save(*store, block);
  EXPECT_EQ(store->stats().num_evicted, 8);
  for (const fs::path& path : foreign) EXPECT_EQ(fs::file_size(path), 4u) << path;
  EXPECT_TRUE(fs::is_symlink(own / (digits + std::string(62, '0') + ".kv")));
}

TEST_F(BlockFolder, HalfWrittenFilesOfADeadServerAreRemovedAndThoseOfALiveOneAreNot) {
  save(*open(), 0);
  const fs::path folder = files().at(0).parent_path();
  const std::string digits = files().at(0).filename().string().substr(0, 64);
  const fs::path dead = folder / (digits + ".0123456789abcdef.tmp");
  const fs::path live = folder / (digits + ".0123456789abcdee.tmp");
  std::ofstream(dead) << "half";
  std::ofstream(live) << "half";
  fs::last_write_time(dead, fs::last_write_time(dead) - std::chrono::hours(1));
  open();
  EXPECT_FALSE(fs::exists(dead));
  EXPECT_TRUE(fs::exists(live));
}

TEST_F(BlockFolder, FoldersAreClosedToOthers) {
  save(*open(), 0);
  const fs::path digits = files().at(0).parent_path();
  for (const fs::path& folder : {digits, digits.parent_path(), fs::path(config_.folder)}) {
    EXPECT_EQ(fs::status(folder).permissions(), fs::perms::owner_all) << folder;
  }
  fs::permissions(digits.parent_path(), fs::perms::owner_all | fs::perms::others_read);
  const auto refused = DiskBlockStore::open(config_);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find(config_.folder), std::string::npos);
}

TEST_F(BlockFolder, WhatComesTooFastIsDroppedAndCounted) {
  config_.max_queued_bytes = 3 * kBlockBytes;
  const auto store = open();
  for (int block = 0; block < 60; ++block) {
    store->save(hash_of(block), tokens_of(block), data_of(block));
  }
  ASSERT_TRUE(store->flush(seconds(20)));
  const DiskBlockStoreStats stats = store->stats();
  EXPECT_EQ(stats.num_saved + stats.num_dropped, 60);
  EXPECT_GE(stats.num_saved, 3);
  EXPECT_EQ(static_cast<int64_t>(blocks_in(*store, 60).size()), stats.num_saved);
}

TEST_F(BlockFolder, HasRoomUntilTheQueueIsFullAndNoneWhileTheDiskRefuses) {
  config_.max_queued_bytes = 0;
  EXPECT_FALSE(open()->has_room());
  config_.max_queued_bytes = kBlockBytes;
  config_.retry_after = seconds(3600);
  const auto store = open();
  EXPECT_TRUE(store->has_room());
  fs::remove_all(config_.folder);
  std::ofstream(config_.folder) << "a file where the folder was";
  save(*store, 0);
  EXPECT_FALSE(store->has_room());
  fs::remove(config_.folder);
}

TEST_F(BlockFolder, ABlockThatIsThereIsNotWrittenAgain) {
  const auto store = open();
  save(*store, 1);
  save(*store, 1);
  EXPECT_EQ(store->stats().num_saved, 1);
}

TEST_F(BlockFolder, ADiskThatRefusesCostsBlocksAndNothingElse) {
  config_.retry_after = milliseconds(1);
  const auto store = open();
  save(*store, 0);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit small = before;
  small.rlim_cur = 2000;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  save(*store, 1);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_FALSE(store->contains(hash_of(1)));
  EXPECT_TRUE(has(*store, 0));
  EXPECT_EQ(files().size(), 1u);  // nothing half written
  EXPECT_EQ(store->stats().num_dropped, 1);
  std::this_thread::sleep_for(milliseconds(5));
  save(*store, 1);
  EXPECT_TRUE(has(*store, 1));
}

TEST_F(BlockFolder, ADiskThatRefusedIsLeftAloneForAWhile) {
  config_.retry_after = seconds(3600);
  const auto store = open();
  fs::remove_all(config_.folder);
  std::ofstream(config_.folder) << "a file where the folder was";
  for (int block = 0; block < 5; ++block) save(*store, block);
  EXPECT_EQ(store->stats().num_dropped, 5);
  fs::remove(config_.folder);
  save(*store, 5);
  EXPECT_EQ(store->stats().num_dropped, 6);
  EXPECT_EQ(store->stats().num_blocks, 0);
}

TEST_F(BlockFolder, AFolderThatIsDeletedWhileInUseIsMadeAgain) {
  const auto store = open();
  save(*store, 0);
  fs::remove_all(config_.folder);
  EXPECT_FALSE(has(*store, 0));
  save(*store, 1);
  EXPECT_TRUE(has(*store, 1));
  EXPECT_EQ(store->stats().num_bytes, kFileBytes);
}

TEST_F(BlockFolder, TwoServersShareAFolder) {
  config_.max_bytes = 8 * kFileBytes;
  const auto one = open();
  const auto two = open();
  for (int block = 0; block < 16; ++block) save(block % 2 == 0 ? *one : *two, block);
  // Each may pass the bound by an eighth before it looks again: here, one block.
  EXPECT_LE(bytes_on_disk(), 10 * kFileBytes);
  EXPECT_GE(blocks_in(*one, 16).size(), 7u);
  EXPECT_GE(blocks_in(*two, 16).size(), 7u);
}

TEST_F(BlockFolder, ManyThreadsOfTwoServersNeverSeeAWrongBlock) {
  config_.max_bytes = 10 * kFileBytes;
  const auto use = [this](uint32_t seed) {
    std::mt19937 random(seed);
    const auto store = open();
    for (int i = 0; i < 300; ++i) {
      const int block = static_cast<int>(random() % 15);
      if (random() % 2 == 0) {
        store->save(hash_of(block), tokens_of(block), data_of(block));
      } else {
        has(*store, block);
      }
    }
  };
  std::thread other(use, 1);
  use(2);
  other.join();
}

TEST_F(BlockFolder, ABoundWithoutRoomForABlockIsRefused) {
  config_.max_bytes = kFileBytes - 1;
  const auto refused = DiskBlockStore::open(config_);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(refused.error().message.find("8191"), std::string::npos);
}

TEST_F(BlockFolder, AFolderThatCannotBeIsNamed) {
  std::ofstream(top_ + "/file") << "x";
  config_.folder = top_ + "/file/cache";
  const auto refused = DiskBlockStore::open(config_);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find(config_.folder), std::string::npos);
}

}  // namespace
}  // namespace pagoda
