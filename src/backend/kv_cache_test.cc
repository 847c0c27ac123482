// KvCache geometry and page addresses.
#include "backend/kv_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>
#include <limits>
#include <map>
#include <set>
#include <vector>

namespace pagoda {
namespace {

constexpr KvCacheGeometry kSmall = {.num_layers = 2,
                                    .num_blocks = 3,
                                    .block_size = 4,
                                    .num_kv_heads = 2,
                                    .head_size = 8,
                                    .dtype = DType::kBF16};

TEST(KvCache, PagesAreDisjointAndFillTheCacheExactly) {
  auto cache = KvCache::create(kSmall);
  ASSERT_TRUE(cache.ok());
  std::set<std::byte*> pages;
  for (int32_t layer = 0; layer < 2; ++layer) {
    for (const bool value : {false, true}) {
      for (int32_t block = 0; block < 3; ++block) {
        for (int32_t head = 0; head < 2; ++head)
          pages.insert(cache->page(layer, value, block, head));
      }
    }
  }
  ASSERT_EQ(pages.size(), 24U);
  constexpr int64_t kPageBytes = 4 * 8 * 2;
  EXPECT_EQ(*pages.rbegin() - *pages.begin(), 23 * kPageBytes);
  EXPECT_EQ(kSmall.bytes_per_block(), 2 * 2 * 2 * kPageBytes);
}

TEST(KvCache, FirstBlocksOfAllLayersAndHeadsLieTogether) {
  // As many runs as fill some memory, and a part of one.
  const KvCacheGeometry geometry = {.num_layers = 4,
                                    .num_blocks = 100,
                                    .block_size = 16,
                                    .num_kv_heads = 2,
                                    .head_size = 64,
                                    .dtype = DType::kBF16};
  auto cache = KvCache::create(geometry);
  ASSERT_TRUE(cache.ok());
  const std::byte* const begin = cache->page(0, false, 0, 0);
  std::set<int64_t> pages;
  for (int32_t layer = 0; layer < 4; ++layer) {
    for (const bool value : {false, true}) {
      for (int32_t block = 0; block < 100; ++block) {
        for (int32_t head = 0; head < 2; ++head) {
          const int64_t at = cache->page(layer, value, block, head) - begin;
          EXPECT_EQ(at % geometry.bytes_per_page(), 0);
          if (block == 0) {
            EXPECT_LT(at, 16 * geometry.bytes_per_block());
          }
          pages.insert(at);
        }
      }
    }
  }
  EXPECT_EQ(pages.size(), 1600U);
  EXPECT_EQ(*pages.begin(), 0);
  EXPECT_EQ(*pages.rbegin(), 1599 * geometry.bytes_per_page());
}

TEST(KvCache, RunsOfAHeadSpreadOverTheSetsOfACpusCache) {
  // As Llama 3.2 1B. A way of a cache of 2 MiB in 16 has 128 KiB, as much as four runs.
  auto cache = KvCache::create({.num_layers = 16,
                                .num_blocks = 256,
                                .block_size = 16,
                                .num_kv_heads = 8,
                                .head_size = 64,
                                .dtype = DType::kBF16});
  ASSERT_TRUE(cache.ok());
  std::map<ptrdiff_t, int> count;
  for (int32_t block = 0; block < 256; ++block) {
    ++count[(cache->page(3, true, block, 5) - cache->page(0, false, 0, 0)) / (32 << 10) % 4];
  }
  for (const auto& [place, num_blocks] : count) EXPECT_EQ(num_blocks, 64) << place;
  EXPECT_EQ(count.size(), 4U);
}

TEST(KvCache, AnInt8PageHoldsAScaleForEachTokenAndStartsOnAFloat) {
  KvCacheGeometry geometry = kSmall;
  geometry.dtype = DType::kI8;
  EXPECT_EQ(geometry.bytes_per_page(), 4 * 4 + 4 * 8);
  EXPECT_EQ(geometry.elements_offset(), 4 * 4);
  EXPECT_EQ(geometry.bytes_per_block(), 2 * 2 * 2 * geometry.bytes_per_page());
  geometry.block_size = 3;
  geometry.head_size = 6;
  EXPECT_EQ(geometry.bytes_per_page(), 3 * 4 + 20);
}

TEST(KvCache, ABlockTakenOutComesBackUnderAnotherNumber) {
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kI8}) {
    KvCacheGeometry geometry = kSmall;
    geometry.dtype = dtype;
    geometry.block_size = 3;
    auto cache = KvCache::create(geometry);
    ASSERT_TRUE(cache.ok());
    const auto page_bytes = static_cast<size_t>(geometry.bytes_per_page());
    const auto for_pages = [&](int32_t block, const auto& body) {
      for (int32_t layer = 0; layer < 2; ++layer) {
        for (const bool value : {false, true}) {
          for (int32_t head = 0; head < 2; ++head) body(cache->page(layer, value, block, head));
        }
      }
    };
    uint8_t next = 1;
    for (const int32_t block : {0, 1, 2}) {
      for_pages(block, [&](std::byte* page) { std::memset(page, next++, page_bytes); });
    }
    std::vector<std::byte> bytes(static_cast<size_t>(geometry.bytes_per_block()));
    cache->copy_block_to(1, bytes);
    cache->copy_block_from(2, bytes);
    next = 9;
    for_pages(2, [&](std::byte* page) {
      EXPECT_EQ(page[0], std::byte{next});
      EXPECT_EQ(page[page_bytes - 1], std::byte{next++});
    });
    next = 1;
    for_pages(0, [&](std::byte* page) { EXPECT_EQ(page[page_bytes - 1], std::byte{next++}); });
  }
}

TEST(KvCache, ImpossibleGeometriesAreErrors) {
  KvCacheGeometry geometry = kSmall;
  geometry.head_size = 0;
  EXPECT_EQ(KvCache::create(geometry).error().code, ErrorCode::kInvalidArgument);
  geometry = kSmall;
  geometry.dtype = DType::kQ8_0;
  const auto q8 = KvCache::create(geometry);
  ASSERT_FALSE(q8.ok());
  EXPECT_THAT(q8.error().message, testing::HasSubstr("q8_0"));
}

TEST(KvCache, SizesBeyondMemoryAreRefusedWithoutOverflow) {
  constexpr int32_t kMany = std::numeric_limits<int32_t>::max();
  for (const int32_t num_blocks : {1, kMany}) {
    const KvCacheGeometry geometry = {.num_layers = kMany,
                                      .num_blocks = num_blocks,
                                      .block_size = kMany,
                                      .num_kv_heads = kMany,
                                      .head_size = kMany,
                                      .dtype = DType::kF32};
    EXPECT_EQ(geometry.bytes_per_block(), std::numeric_limits<int64_t>::max());
    EXPECT_EQ(KvCache::create(geometry).error().code, ErrorCode::kOverloaded);
  }
}

}  // namespace
}  // namespace pagoda
