// Blocking of products. Every output is one chain of sums in the order of k, whatever the blocks.
#include "backend/cpu/matmul.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace pagoda::cpu {
namespace {

// Weights of one block along k: half of a 32 KiB first-level cache, so that they stay there while
// all token tiles pass.
constexpr int64_t kBlockBytes = 16 << 10;

// How x is laid out and walked: [block of k][token][units of the block].
struct Blocking {
  const MatmulKernel& kernel;
  int64_t num_tokens;
  int64_t num_inputs;
  int64_t num_units;
  int64_t block_units;

  int64_t num_blocks() const { return (num_units + block_units - 1) / block_units; }
  int64_t units_in(int64_t block) const {
    return std::min(block_units, num_units - block * block_units);
  }
  // Where a block of x begins, and the distance of its tokens.
  int64_t x_offset(int64_t block) const {
    return block * block_units * kernel.x_unit_bytes * num_tokens;
  }
  // An odd number of cache lines when there is one block: rows a power of two apart would fall into
  // the same few sets of the cache.
  int64_t x_stride(int64_t block) const {
    const int64_t bytes = units_in(block) * kernel.x_unit_bytes;
    return num_blocks() > 1 ? bytes : ((bytes + 63) / 64 | 1) * 64;
  }
};

Blocking make_blocking(const MatmulKernel& kernel, int64_t num_tokens, int64_t num_inputs) {
  const int64_t units = (num_inputs + kernel.unit_elements - 1) / kernel.unit_elements;
  // A single tile reads each weight once: then the panel is best read as one stream.
  const int64_t block = num_tokens <= kernel.max_tokens
                            ? units
                            : std::max<int64_t>(1, kBlockBytes / kernel.unit_bytes);
  return {.kernel = kernel,
          .num_tokens = num_tokens,
          .num_inputs = num_inputs,
          .num_units = units,
          .block_units = std::min(block, units)};
}

void convert_token(const Blocking& b, const float* row, int64_t token, std::byte* scratch) {
  for (int64_t block = 0; block < b.num_blocks(); ++block) {
    const int64_t first = block * b.block_units * b.kernel.unit_elements;
    const int64_t count =
        std::min(b.units_in(block) * b.kernel.unit_elements, b.num_inputs - first);
    b.kernel.convert(row + first, count, scratch + b.x_offset(block) + token * b.x_stride(block));
  }
}

// Sums of one panel for all tokens, into sums [T, 32]. Tiles are as even as can be: 13 tokens are 7
// and 6, not 12 and 1. With several tiles, each asks for its share of the block after this one, so
// that memory and arithmetic work at the same time.
void run_panel(const Blocking& b, const std::byte* weights, const std::byte* x, float* sums,
               int64_t sums_stride) {
  const int64_t num_tiles = (b.num_tokens + b.kernel.max_tokens - 1) / b.kernel.max_tokens;
  for (int64_t block = 0; block < b.num_blocks(); ++block) {
    const int64_t num_units = b.units_in(block);
    const std::byte* next = weights + num_units * b.kernel.unit_bytes;
    const int64_t prefetch_step = num_tiles > 1 ? b.kernel.unit_bytes / num_tiles : 0;
    for (int64_t tile = 0; tile < num_tiles; ++tile) {
      const int64_t begin = b.num_tokens * tile / num_tiles;
      const int64_t end = b.num_tokens * (tile + 1) / num_tiles;
      b.kernel.tile({.weights = weights,
                     .x = x + b.x_offset(block) + begin * b.x_stride(block),
                     .x_stride = b.x_stride(block),
                     .num_units = num_units,
                     .num_tokens = static_cast<int32_t>(end - begin),
                     .accumulate = block > 0,
                     .out = sums + begin * sums_stride,
                     .out_stride = sums_stride,
                     .prefetch = next + tile * num_units * prefetch_step,
                     .prefetch_step = prefetch_step});
    }
    weights = next;
  }
}

}  // namespace

const MatmulKernel& matmul_kernel(const CpuKernels& kernels, DType dtype) {
  switch (dtype) {
    case DType::kF32: return kernels.f32;
    case DType::kBF16: return kernels.bf16;
    default: CHECK(dtype == DType::kQ8_0); return kernels.q8;
  }
}

MatmulDriver::MatmulDriver(const CpuKernels& kernels, ThreadPool& pool)
    : kernels_(kernels), pool_(pool), sums_(static_cast<size_t>(pool.num_threads())) {
}

void MatmulDriver::run(const float* x, int64_t num_tokens, std::span<const Product> products,
                       std::byte* scratch) {
  if (num_tokens == 0 || products.empty()) return;
  const PackedWeight& first = *products[0].weight;
  const Blocking b =
      make_blocking(matmul_kernel(kernels_, first.dtype()), num_tokens, first.shape()[1]);
  pool_.parallel_for(num_tokens, 4, [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t t = begin; t < end; ++t) convert_token(b, x + t * b.num_inputs, t, scratch);
  });
  int64_t num_panels = 0;
  for (const Product& product : products) {
    CHECK(product.weight->dtype() == first.dtype() && product.weight->shape()[1] == b.num_inputs);
    num_panels += product.weight->num_panels();
  }
  // Few tokens: pieces of several panels, as a piece is over soon; but at least eight a worker, so
  // that a slow core can be helped out.
  const int64_t share = num_panels / (int64_t{8} * pool_.num_threads());
  const int64_t grain = std::clamp<int64_t>(share, 1, 4);
  pool_.parallel_for(num_panels, grain, [&](int64_t begin, int64_t end, int32_t worker) {
    std::vector<float>& sums = sums_[static_cast<size_t>(worker)];
    sums.resize(std::max(sums.size(), static_cast<size_t>(num_tokens * kPanelRows)));
    size_t index = 0;
    int64_t panel = begin;
    while (panel >= products[index].weight->num_panels()) {
      panel -= products[index++].weight->num_panels();
    }
    for (int64_t i = begin; i < end; ++i, ++panel) {
      if (panel == products[index].weight->num_panels()) {
        panel = 0;
        ++index;
      }
      const PackedWeight& weight = *products[index].weight;
      const int64_t num_outputs = weight.shape()[0];
      const int64_t row = panel * kPanelRows;
      float* out = products[index].out + row;
      // A whole panel in one tile goes straight to its place; else the sums are kept close together
      // and copied, as rows of out lie a power of two apart and would share few cache sets.
      if (b.num_blocks() == 1 && row + kPanelRows <= num_outputs) {
        run_panel(b, weight.panel(panel), scratch, out, num_outputs);
        continue;
      }
      run_panel(b, weight.panel(panel), scratch, sums.data(), kPanelRows);
      const int64_t valid = std::min(kPanelRows, num_outputs - row);
      for (int64_t t = 0; t < num_tokens; ++t) {
        std::memcpy(out + t * num_outputs, sums.data() + t * kPanelRows,
                    static_cast<size_t>(valid) * sizeof(float));
      }
    }
  });
}

}  // namespace pagoda::cpu
