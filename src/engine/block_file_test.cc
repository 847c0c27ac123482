// Tests of block files: whatever happens to the bytes, what comes back is what was written.
#include "engine/block_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <limits>
#include <numeric>

namespace pagoda {
namespace {

constexpr int64_t kNever = 0;  // refresh_before_ns that no file is older than

class BlockFile : public ::testing::Test {
 protected:
  BlockFile() {
    std::string folder = ::testing::TempDir() + "block-XXXXXX";
    EXPECT_NE(mkdtemp(folder.data()), nullptr);
    folder_ = folder;
    fd_ = open(folder.c_str(), O_RDONLY | O_DIRECTORY);
    payload_.resize(300);
    for (size_t i = 0; i < payload_.size(); ++i) payload_[i] = static_cast<std::byte>(i * 7);
    tokens_ = {1, 5, 0, 70'000};
  }
  ~BlockFile() override {
    close(fd_);
    std::filesystem::remove_all(folder_);
  }

  BlockFileKey key() const { return {sha256("model a"), sha256("block"), tokens_}; }
  int write() { return write_block_file(fd_, "b.tmp", "b", key(), payload_); }
  BlockFileStatus read(const BlockFileKey& key, int64_t refresh_before_ns = kNever) {
    out_.assign(payload_.size(), std::byte{});
    return read_block_file(fd_, "b", key, out_, refresh_before_ns);
  }
  std::string path() const { return folder_ + "/b"; }

  std::string folder_;
  int fd_ = -1;
  std::vector<std::byte> payload_;
  std::vector<TokenId> tokens_;
  std::vector<std::byte> out_;
};

TEST_F(BlockFile, GivesBackWhatWasWritten) {
  ASSERT_EQ(write(), 0);
  EXPECT_EQ(std::filesystem::file_size(path()), block_file_bytes(4, 300));
  EXPECT_EQ(read(key()), BlockFileStatus::kOk);
  EXPECT_EQ(out_, payload_);
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/b.tmp"));
}

TEST_F(BlockFile, OthersCannotReadIt) {
  ASSERT_EQ(write(), 0);
  struct stat status {};
  ASSERT_EQ(stat(path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777u, 0600u);
}

TEST_F(BlockFile, AFlippedBitAnywhereIsDamage) {
  ASSERT_EQ(write(), 0);
  std::fstream file(path(), std::ios::in | std::ios::out | std::ios::binary);
  const auto size = static_cast<std::streamoff>(block_file_bytes(4, 300));
  for (std::streamoff at = 0; at < size; ++at) {
    char byte = 0;
    file.seekg(at).get(byte);
    const char flipped = static_cast<char>(byte ^ (1 << (at % 8)));
    file.seekp(at).put(flipped).flush();
    EXPECT_EQ(read(key()), BlockFileStatus::kDamaged) << "byte " << at;
    file.seekp(at).put(byte).flush();
  }
  EXPECT_EQ(read(key()), BlockFileStatus::kOk);
}

TEST_F(BlockFile, EveryOtherLengthIsDamage) {
  ASSERT_EQ(write(), 0);
  const size_t size = block_file_bytes(4, 300);
  std::filesystem::resize_file(path(), size + 1);
  EXPECT_EQ(read(key()), BlockFileStatus::kDamaged);
  for (size_t length = size; length-- > 0;) {
    std::filesystem::resize_file(path(), length);
    ASSERT_EQ(read(key()), BlockFileStatus::kDamaged) << length;
  }
}

TEST_F(BlockFile, OtherTokensUnderTheSameHashAreNotBelieved) {
  ASSERT_EQ(write(), 0);
  const std::vector<TokenId> others = {1, 5, 0, 70'001};
  EXPECT_EQ(read({sha256("model a"), sha256("block"), others}), BlockFileStatus::kOtherTokens);
}

TEST_F(BlockFile, AnotherFingerprintOrHashIsNotBelieved) {
  ASSERT_EQ(write(), 0);
  EXPECT_EQ(read({sha256("model b"), sha256("block"), tokens_}), BlockFileStatus::kDamaged);
  EXPECT_EQ(read({sha256("model a"), sha256("other"), tokens_}), BlockFileStatus::kDamaged);
}

TEST_F(BlockFile, LinksPipesAndFoldersAreForeign) {
  ASSERT_EQ(symlink("/etc/passwd", path().c_str()), 0);
  EXPECT_EQ(read(key()), BlockFileStatus::kForeign);
  unlink(path().c_str());
  ASSERT_EQ(mkfifo(path().c_str(), 0600), 0);
  EXPECT_EQ(read(key()), BlockFileStatus::kForeign);
  unlink(path().c_str());
  ASSERT_EQ(mkdir(path().c_str(), 0700), 0);
  EXPECT_EQ(read(key()), BlockFileStatus::kForeign);
  rmdir(path().c_str());
  EXPECT_EQ(read(key()), BlockFileStatus::kMissing);
}

TEST_F(BlockFile, ATemporaryNameInUseIsLeftAlone) {
  std::ofstream(folder_ + "/b.tmp") << "somebody else's";
  EXPECT_EQ(write(), EEXIST);
  EXPECT_TRUE(std::filesystem::exists(folder_ + "/b.tmp"));
  EXPECT_FALSE(std::filesystem::exists(path()));
}

TEST_F(BlockFile, UseIsMarkedOnlyWhenItsMarkIsOld) {
  ASSERT_EQ(write(), 0);
  const timespec long_ago[2] = {{1000, 0}, {1000, 0}};
  ASSERT_EQ(utimensat(fd_, "b", long_ago, 0), 0);
  const auto modified = [this] {
    struct stat status {};
    EXPECT_EQ(stat(path().c_str(), &status), 0);
    return status.st_mtim.tv_sec;
  };
  ASSERT_EQ(read(key(), int64_t{1000} * 1'000'000'000), BlockFileStatus::kOk);
  EXPECT_EQ(modified(), 1000);
  ASSERT_EQ(read(key(), int64_t{1001} * 1'000'000'000), BlockFileStatus::kOk);
  EXPECT_GT(modified(), 1001);
}

TEST(BlockFileSize, OnlySizesWithWholeTokensAreTakenForBlocks) {
  const auto size = static_cast<int64_t>(block_file_bytes(16, 1000));
  EXPECT_TRUE(is_block_file_size(size, 1000));
  for (const int64_t other : {size + 1, size - 2, size + 3}) {
    EXPECT_FALSE(is_block_file_size(other, 1000)) << other;
  }
  EXPECT_FALSE(is_block_file_size(static_cast<int64_t>(block_file_bytes(0, 1000)), 1000));
  EXPECT_FALSE(is_block_file_size(0, 1000));
  EXPECT_FALSE(is_block_file_size(-1, 1000));
  EXPECT_FALSE(is_block_file_size(std::numeric_limits<int64_t>::max(), 1000));
}

}  // namespace
}  // namespace pagoda
