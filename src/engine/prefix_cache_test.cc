// Tests of PrefixCache.
#include "engine/prefix_cache.h"

#include <gtest/gtest.h>

#include <map>
#include <utility>

#include "engine/fake_runner.h"

namespace pagoda {
namespace {

constexpr int32_t kBlockSize = 4;
const std::vector<TokenId> kTokens = {1, 2, 3, 4};
const std::vector<TokenId> kOtherTokens = {1, 2, 3, 5};
const BlockHash kRoot{};

// Keeps everything in memory.
struct MemoryStore : BlockStore {
  bool contains(const BlockHash& hash) const override { return saved.contains(hash); }
  bool load(const BlockHash& hash, std::span<const TokenId> tokens,
            std::span<std::byte> out) override {
    const auto found = saved.find(hash);
    if (found == saved.end() || !std::ranges::equal(found->second.first, tokens)) return false;
    std::ranges::copy(found->second.second, out.begin());
    return true;
  }
  bool has_room() const override { return true; }
  void save(const BlockHash& hash, std::span<const TokenId> tokens,
            std::vector<std::byte> data) override {
    saved[hash] = {{tokens.begin(), tokens.end()}, std::move(data)};
  }
  std::map<BlockHash, std::pair<std::vector<TokenId>, std::vector<std::byte>>> saved;
};

TEST(PrefixCache, TheHashDependsOnEveryTokenAndOnWhatStoodBefore) {
  const BlockHash hash = PrefixCache::hash_of(kRoot, kTokens);
  EXPECT_EQ(PrefixCache::hash_of(kRoot, kTokens), hash);
  EXPECT_NE(PrefixCache::hash_of(kRoot, kOtherTokens), hash);
  EXPECT_NE(PrefixCache::hash_of(hash, kTokens), hash);
}

TEST(PrefixCache, AHashAloneIsNotBelieved) {
  BlockPool pool(4, kBlockSize);
  PrefixCache cache(pool, nullptr, nullptr);
  const BlockHash hash = PrefixCache::hash_of(kRoot, kTokens);
  const BlockId block = *pool.allocate();
  cache.insert(block, hash, kRoot, kTokens, Priority::kInteractive);
  EXPECT_EQ(cache.find(hash, kRoot, kTokens), block);
  EXPECT_EQ(cache.find(hash, kRoot, kOtherTokens), std::nullopt);
  EXPECT_EQ(cache.find(hash, hash, kTokens), std::nullopt);
  EXPECT_EQ(cache.find(PrefixCache::hash_of(kRoot, kOtherTokens), kRoot, kTokens), std::nullopt);
}

TEST(PrefixCache, ABlockIsFoundAfterItsReleaseUntilItIsTakenForSomethingElse) {
  BlockPool pool(2, kBlockSize);
  PrefixCache cache(pool, nullptr, nullptr);
  const BlockHash hash = PrefixCache::hash_of(kRoot, kTokens);
  const BlockId block = *pool.allocate();
  cache.insert(block, hash, kRoot, kTokens, Priority::kInteractive);
  pool.release(block);
  ASSERT_EQ(cache.find(hash, kRoot, kTokens), block);
  EXPECT_NE(*pool.allocate(), block);  // the empty one goes first
  EXPECT_EQ(*pool.allocate(), block);
  EXPECT_EQ(cache.find(hash, kRoot, kTokens), std::nullopt);
  EXPECT_EQ(cache.num_blocks(), 0);
  EXPECT_TRUE(cache.check_invariants().ok());
}

TEST(PrefixCache, TheSameContentTwiceIsKeptOnce) {
  BlockPool pool(2, kBlockSize);
  PrefixCache cache(pool, nullptr, nullptr);
  const BlockHash hash = PrefixCache::hash_of(kRoot, kTokens);
  const BlockId first = *pool.allocate();
  const BlockId second = *pool.allocate();
  cache.insert(first, hash, kRoot, kTokens, Priority::kInteractive);
  cache.insert(second, hash, kRoot, kTokens, Priority::kInteractive);
  EXPECT_EQ(cache.find(hash, kRoot, kTokens), first);
  EXPECT_EQ(pool.worth(second), BlockWorth::kNothing);
}

TEST(PrefixCache, WhatIsTakenForSomethingElseComesBackFromTheStore) {
  FakeRunner runner({.num_blocks = 1, .block_size = kBlockSize});
  BlockPool pool(1, kBlockSize);
  MemoryStore store;
  PrefixCache cache(pool, &runner, &store);
  std::vector<std::byte> content(kBlockSize * sizeof(TokenId), std::byte{42});
  runner.write_block(0, content);
  const BlockHash hash = PrefixCache::hash_of(kRoot, kTokens);
  cache.insert(*pool.allocate(), hash, kRoot, kTokens, Priority::kInteractive);
  EXPECT_EQ(cache.restore(hash, kRoot, kTokens, Priority::kInteractive), std::nullopt);
  pool.release(0);
  ASSERT_EQ(pool.allocate(), 0);  // saves it
  runner.write_block(0, std::vector<std::byte>(content.size(), std::byte{7}));
  pool.release(0);
  EXPECT_EQ(cache.restore(hash, kRoot, kOtherTokens, Priority::kInteractive), std::nullopt);
  ASSERT_EQ(cache.restore(hash, kRoot, kTokens, Priority::kInteractive), 0);
  std::vector<std::byte> restored(content.size());
  runner.read_block(0, restored);
  EXPECT_EQ(restored, content);
  EXPECT_EQ(cache.find(hash, kRoot, kTokens), 0);
  EXPECT_TRUE(cache.check_invariants().ok());
}

TEST(PrefixCache, SavesWhatTheStoreHasNotAndThenHasNothingLeft) {
  FakeRunner runner({.num_blocks = 4, .block_size = kBlockSize});
  BlockPool pool(4, kBlockSize);
  MemoryStore store;
  PrefixCache cache(pool, &runner, &store);
  for (TokenId i = 0; i < 3; ++i) {
    const std::vector<TokenId> tokens(kBlockSize, i);
    cache.insert(*pool.allocate(), PrefixCache::hash_of(kRoot, tokens), kRoot, tokens,
                 Priority::kBackground);
  }
  EXPECT_TRUE(cache.save_some(2));
  EXPECT_EQ(store.saved.size(), 2U);
  EXPECT_FALSE(cache.save_some(2));
  EXPECT_EQ(store.saved.size(), 3U);
  EXPECT_FALSE(cache.save_some(2));
}

}  // namespace
}  // namespace pagoda
