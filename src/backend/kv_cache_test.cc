// KvCache geometry and page addresses.
#include "backend/kv_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <set>

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
  const KvCacheGeometry geometry = {.num_layers = kMany,
                                    .num_blocks = kMany,
                                    .block_size = kMany,
                                    .num_kv_heads = kMany,
                                    .head_size = kMany,
                                    .dtype = DType::kF32};
  EXPECT_EQ(geometry.bytes_per_block(), std::numeric_limits<int64_t>::max());
  EXPECT_EQ(KvCache::create(geometry).error().code, ErrorCode::kOverloaded);
}

}  // namespace
}  // namespace pagoda
