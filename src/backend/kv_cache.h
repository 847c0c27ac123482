// KvCache: the device memory that BlockIds index.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "tensor/buffer.h"
#include "tensor/dtype.h"

namespace pagoda {

// Geometry of a paged cache. Letters: L layers, N blocks, B tokens a block, K heads of keys and
// values, D head size.
struct KvCacheGeometry {
  int32_t num_layers = 0;      // L
  int32_t num_blocks = 0;      // N
  int32_t block_size = 0;      // B
  int32_t num_kv_heads = 0;    // K
  int32_t head_size = 0;       // D
  DType dtype = DType::kBF16;  // kF32, kBF16 or kI8

  // K and V of all layers for one block; the largest int64_t when the product does not fit.
  int64_t bytes_per_block() const;
  // K or V of one layer, block and head; the largest int64_t when the product does not fit.
  int64_t bytes_per_page() const;
  // Where a page's elements begin, behind its scales.
  int64_t elements_offset() const { return dtype == DType::kI8 ? int64_t{block_size} * 4 : 0; }
};

// Keys and values of every block: [N / R, L, 2, K, R, page], one contiguous page for each head and
// block, in runs of R blocks. Pages of a head lie together in a run and K pages apart from V pages,
// so that a sequence whose blocks follow each other is read in long pieces. Runs are short enough
// that the first blocks of all layers are few huge pages: were a head's pages of all blocks one
// piece, the first token would make one resident for each layer and head, K and V. A V page is [B,
// D] row-major; a K page is [D, B], so that the scores of neighbouring keys are computed side by
// side. With kI8 a page begins with one f32 scale for each of its B tokens, the largest magnitude
// of the token's head / 127, and an element is that scale times round_to_even(x * (1 / scale)); the
// page's size is rounded up to whole floats. Owned by the runner; written and read only inside
// Ops::attention, on the engine thread and its workers. Allocated once, never grown.
class KvCache {
 public:
  // kOverloaded when memory is refused, kInvalidArgument for a geometry with a non-positive count
  // or another dtype.
  static Result<KvCache> create(const KvCacheGeometry& geometry);

  const KvCacheGeometry& geometry() const { return geometry_; }
  // First byte of the page of one layer, block and head; `value` picks V over K.
  std::byte* page(int32_t layer, bool value, int32_t block, int32_t kv_head);
  const std::byte* page(int32_t layer, bool value, int32_t block, int32_t kv_head) const;

  // All pages of one block, [L, 2, K, page], as bytes_per_block() bytes.
  void copy_block_to(int32_t block, std::span<std::byte> out) const;
  void copy_block_from(int32_t block, std::span<const std::byte> data);

 private:
  KvCacheGeometry geometry_;
  int32_t run_shift_ = 0;   // R = 1 << run_shift_; the last run may be shorter
  int64_t plane_mask_ = 0;  // bits in which the order of planes differs between runs
  Buffer buffer_;
};

}  // namespace pagoda
