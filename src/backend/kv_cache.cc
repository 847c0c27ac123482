// KvCache: checked geometry and page addresses.
#include "backend/kv_cache.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "base/check.h"

namespace pagoda {
namespace {

constexpr int64_t kTooMany = std::numeric_limits<int64_t>::max();

// What is read of one head before the next run, at most. Eight 4 KiB pages: reading ahead starts
// again on each of those anyway.
constexpr int64_t kRunBytes = 32 << 10;

// The logarithm to base 2 of how many blocks a run has.
int32_t run_shift(int64_t bytes_per_page) {
  int32_t shift = 0;
  while (bytes_per_page <= kRunBytes >> (shift + 1)) ++shift;
  return shift;
}

}  // namespace

int64_t KvCacheGeometry::bytes_per_block() const {
  int64_t bytes = bytes_per_page();
  for (const int32_t factor : {2, num_layers, num_kv_heads}) {
    if (__builtin_mul_overflow(bytes, static_cast<int64_t>(factor), &bytes)) return kTooMany;
  }
  return bytes;
}

int64_t KvCacheGeometry::bytes_per_page() const {
  // At most 2^62 elements.
  int64_t bytes = int64_t{block_size} * head_size;
  if (__builtin_mul_overflow(bytes, int64_t{format_traits(dtype).block_bytes}, &bytes)) {
    return kTooMany;
  }
  if (dtype != DType::kI8) return bytes;
  constexpr int64_t kFloatBytes = 4;
  return (bytes + elements_offset() + kFloatBytes - 1) / kFloatBytes * kFloatBytes;
}

Result<KvCache> KvCache::create(const KvCacheGeometry& geometry) {
  const KvCacheGeometry& g = geometry;
  if (g.num_layers <= 0 || g.num_blocks <= 0 || g.block_size <= 0 || g.num_kv_heads <= 0 ||
      g.head_size <= 0) {
    return invalid_argument(
        fmt::format("KV cache: {} layers, {} blocks of {} tokens, {} heads of size {}: every count "
                    "must be at least 1",
                    g.num_layers, g.num_blocks, g.block_size, g.num_kv_heads, g.head_size));
  }
  if (g.dtype != DType::kBF16 && g.dtype != DType::kF32 && g.dtype != DType::kI8) {
    return invalid_argument(fmt::format("KV cache: dtype {} is not one of f32, bf16, int8",
                                        format_traits(g.dtype).name));
  }
  int64_t bytes = 0;
  if (__builtin_mul_overflow(g.bytes_per_block(), static_cast<int64_t>(g.num_blocks), &bytes)) {
    return Error{ErrorCode::kOverloaded,
                 fmt::format("KV cache: {} blocks of {} bytes are more than any memory holds",
                             g.num_blocks, g.bytes_per_block())};
  }
  KvCache cache;
  cache.geometry_ = geometry;
  cache.run_shift_ = run_shift(g.bytes_per_page());
  // The largest power of two that divides the number of planes, 2 L K.
  const int64_t num_planes = int64_t{g.num_layers} * 2 * g.num_kv_heads;
  cache.plane_mask_ = (num_planes & -num_planes) - 1;
  ASSIGN_OR_RETURN(cache.buffer_, Buffer::allocate(static_cast<size_t>(bytes)));
  return cache;
}

std::byte* KvCache::page(int32_t layer, bool value, int32_t block, int32_t kv_head) {
  return const_cast<std::byte*>(std::as_const(*this).page(layer, value, block, kv_head));
}

const std::byte* KvCache::page(int32_t layer, bool value, int32_t block, int32_t kv_head) const {
  const KvCacheGeometry& g = geometry_;
  DCHECK(layer >= 0 && layer < g.num_layers && block >= 0 && block < g.num_blocks);
  DCHECK(kv_head >= 0 && kv_head < g.num_kv_heads);
  const int32_t run_index = block >> run_shift_;
  const int32_t first = run_index << run_shift_;
  const int32_t run = std::min(1 << run_shift_, g.num_blocks - first);
  const int64_t num_planes = int64_t{g.num_layers} * 2 * g.num_kv_heads;
  // Each run has its planes in another order: else all runs of a head would be a multiple of a
  // large power of two apart, and share few sets of a CPU's cache.
  const int64_t plane = ((int64_t{layer} * 2 + (value ? 1 : 0)) * g.num_kv_heads + kv_head) ^
                        (run_index & plane_mask_);
  const int64_t index = first * num_planes + plane * run + (block - first);
  return buffer_.data() + index * g.bytes_per_page();
}

void KvCache::copy_block_to(int32_t block, std::span<std::byte> out) const {
  CHECK(static_cast<int64_t>(out.size()) == geometry_.bytes_per_block());
  const auto page_bytes = static_cast<size_t>(geometry_.bytes_per_page());
  std::byte* to = out.data();
  for (int32_t layer = 0; layer < geometry_.num_layers; ++layer) {
    for (const bool value : {false, true}) {
      for (int32_t head = 0; head < geometry_.num_kv_heads; ++head, to += page_bytes) {
        std::memcpy(to, page(layer, value, block, head), page_bytes);
      }
    }
  }
}

void KvCache::copy_block_from(int32_t block, std::span<const std::byte> data) {
  CHECK(static_cast<int64_t>(data.size()) == geometry_.bytes_per_block());
  const auto page_bytes = static_cast<size_t>(geometry_.bytes_per_page());
  const std::byte* from = data.data();
  for (int32_t layer = 0; layer < geometry_.num_layers; ++layer) {
    for (const bool value : {false, true}) {
      for (int32_t head = 0; head < geometry_.num_kv_heads; ++head, from += page_bytes) {
        std::memcpy(page(layer, value, block, head), from, page_bytes);
      }
    }
  }
}

}  // namespace pagoda
