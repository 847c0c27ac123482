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
// How far ahead of a single pass through a panel its weights are asked for: more than a core takes
// in while it waits for memory. Where each byte costs many instructions, it would look ahead some
// 40 lines only.
constexpr int64_t kAheadBytes = 8 << 10;

// Converted rows that `wide` takes in one pass through some panels: they and the panels' blocks
// stay in a second-level cache of 1 to 2 MiB.
constexpr int64_t kWideBytes = 640 << 10;
// Tokens that the tiles of `wide` take at a time: pieces are whole ones.
constexpr int64_t kWideTokens = 32;

// How x is laid out and walked: [block of k][token][units of the block].
struct Blocking {
  const MatmulKernel& kernel;
  int64_t num_tokens;
  int64_t num_inputs;
  int64_t num_units;
  int64_t block_units;
  bool wide;

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
  const bool wide = kernel.wide != nullptr && num_tokens >= kernel.wide_tokens;
  int64_t block = std::max<int64_t>(1, kBlockBytes / kernel.unit_bytes);
  // A single tile reads each weight once: then the panel is best read as one stream.
  if (num_tokens <= kernel.max_tokens) block = units;
  if (wide) block = kernel.wide_units;
  return {.kernel = kernel,
          .num_tokens = num_tokens,
          .num_inputs = num_inputs,
          .num_units = units,
          .block_units = std::min(block, units),
          .wide = wide};
}

void convert_token(const Blocking& b, const float* row, int64_t token, std::byte* scratch) {
  for (int64_t block = 0; block < b.num_blocks(); ++block) {
    const int64_t first = block * b.block_units * b.kernel.unit_elements;
    const int64_t count =
        std::min(b.units_in(block) * b.kernel.unit_elements, b.num_inputs - first);
    b.kernel.convert(row + first, count, scratch + b.x_offset(block) + token * b.x_stride(block));
  }
}

// Sums of one panel for all tokens, into sums [T, 32]. Tiles are as even as can be where the kernel
// takes any number of tokens: 13 are 7 and 6, not 12 and 1. With several tiles, each asks for its
// share of the block after this one, so that memory and arithmetic work at the same time.
void run_panel(const Blocking& b, const std::byte* weights, const std::byte* x, float* sums,
               int64_t sums_stride) {
  const int64_t num_tiles = (b.num_tokens + b.kernel.max_tokens - 1) / b.kernel.max_tokens;
  const auto tile_begin = [&](int64_t tile) {
    return b.kernel.any_tokens ? b.num_tokens * tile / num_tiles
                               : std::min(tile * b.kernel.max_tokens, b.num_tokens);
  };
  for (int64_t block = 0; block < b.num_blocks(); ++block) {
    const int64_t num_units = b.units_in(block);
    const std::byte* next = weights + num_units * b.kernel.unit_bytes;
    const int64_t prefetch_step = b.kernel.unit_bytes / num_tiles;
    // What comes after this block, or a little ahead where its weights are read but once.
    const bool once = num_tiles == 1 && b.num_tokens <= 32;
    const std::byte* prefetch = once ? weights + kAheadBytes : next;
    for (int64_t tile = 0; tile < num_tiles; ++tile) {
      const int64_t begin = tile_begin(tile);
      const int64_t end = tile_begin(tile + 1);
      b.kernel.tile({.weights = weights,
                     .x = x + b.x_offset(block) + begin * b.x_stride(block),
                     .x_stride = b.x_stride(block),
                     .num_units = num_units,
                     .num_tokens = static_cast<int32_t>(end - begin),
                     .accumulate = block > 0,
                     .out = sums + begin * sums_stride,
                     .out_stride = sums_stride,
                     .prefetch = prefetch + tile * num_units * prefetch_step,
                     .prefetch_step = prefetch_step});
    }
    weights = next;
  }
}

// Panels of one product that a worker computes together, and where the sums of each go.
struct PanelRun {
  const PackedWeight& weight;
  int64_t first;
  int64_t count;
  float* sums;
  int64_t sums_stride;   // of tokens, floats
  int64_t panel_stride;  // floats
};

// A few rows of x pass all panels before the next few do: each row is fetched once for all panels,
// and each weight once for all rows. The first rows ask for the panel after theirs; the later ones
// find the panels in the cache.
void run_wide(const Blocking& b, const std::byte* x, const PanelRun& run) {
  int64_t weights_offset = 0;
  for (int64_t block = 0; block < b.num_blocks(); ++block) {
    const int64_t num_units = b.units_in(block);
    const int64_t block_bytes = num_units * b.kernel.unit_bytes;
    const int64_t stride = b.x_stride(block);
    const int64_t num_pieces = (b.num_tokens * stride + kWideBytes - 1) / kWideBytes;
    const int64_t even = (b.num_tokens + num_pieces - 1) / num_pieces;
    const int64_t piece = (even + kWideTokens - 1) / kWideTokens * kWideTokens;
    for (int64_t begin = 0; begin < b.num_tokens; begin += piece) {
      const int64_t count = std::min(piece, b.num_tokens - begin);
      for (int64_t i = 0; i < run.count; ++i) {
        const std::byte* weights = run.weight.panel(run.first + i) + weights_offset;
        const std::byte* next = weights + block_bytes;
        if (run.count > 1) {
          next = i + 1 < run.count ? run.weight.panel(run.first + i + 1) + weights_offset
                                   : run.weight.panel(run.first) + weights_offset + block_bytes;
        }
        // A single pass through the weights asks for what comes a little later in it.
        const bool once = b.num_tokens <= kWideTokens;
        b.kernel.wide({.weights = weights,
                       .x = x + b.x_offset(block) + begin * stride,
                       .x_stride = stride,
                       .num_units = num_units,
                       .num_tokens = static_cast<int32_t>(count),
                       .accumulate = block > 0,
                       .out = run.sums + i * run.panel_stride + begin * run.sums_stride,
                       .out_stride = run.sums_stride,
                       .prefetch = once ? weights + kAheadBytes : next,
                       .prefetch_step = begin == 0 ? b.kernel.unit_bytes : 0});
      }
    }
    weights_offset += block_bytes;
  }
}

// Sums of a run to rows of out, of which `num_valid` columns from `out` on are the run's: a token's
// panels lie side by side there, so that each row is a stream of some lines.
void copy_sums(const PanelRun& run, int64_t num_tokens, int64_t num_valid, float* out) {
  const int64_t num_outputs = run.weight.shape()[0];
  for (int64_t t = 0; t < num_tokens; ++t, out += num_outputs) {
    const float* sums = run.sums + t * run.sums_stride;
    int64_t column = 0;
    for (; column + kPanelRows <= num_valid; column += kPanelRows, sums += run.panel_stride) {
      std::memcpy(out + column, sums, kPanelRows * sizeof(float));
    }
    if (column < num_valid) {
      std::memcpy(out + column, sums, static_cast<size_t>(num_valid - column) * sizeof(float));
    }
  }
}

// Panels of a product, for all tokens of its group.
void run_panels(const Blocking& b, const std::byte* x, const Product& product, int64_t first,
                int64_t count, std::vector<float>& sums) {
  const PackedWeight& weight = *product.weight;
  const int64_t num_outputs = weight.shape()[0];
  const int64_t row = first * kPanelRows;
  float* out = product.out + row;
  // Whole panels in one block go straight to their place; else the sums are kept close together
  // and copied, as rows of out lie a power of two apart and would share few cache sets.
  const bool direct = b.num_blocks() == 1 && row + count * kPanelRows <= num_outputs;
  PanelRun run = {.weight = weight,
                  .first = first,
                  .count = count,
                  .sums = out,
                  .sums_stride = num_outputs,
                  .panel_stride = kPanelRows};
  if (!direct) {
    const int64_t panel_sums = b.num_tokens * kPanelRows;
    sums.resize(std::max(sums.size(), static_cast<size_t>(count * panel_sums)));
    run.sums = sums.data();
    run.sums_stride = kPanelRows;
    run.panel_stride = panel_sums;
  }
  if (b.wide) {
    run_wide(b, x, run);
  } else {
    for (int64_t i = 0; i < count; ++i) {
      run_panel(b, weight.panel(first + i), x, run.sums + i * run.panel_stride, run.sums_stride);
    }
  }
  if (!direct) copy_sums(run, b.num_tokens, std::min(num_outputs - row, count * kPanelRows), out);
}

// Groups and products as two flat lists, of rows and of panels, by where each part ends.
struct Plan {
  struct Part {
    size_t group;
    const Product* product;
  };
  std::vector<const ProductGroup*> groups;  // those with work, each with its blocking
  std::vector<Blocking> blockings;
  std::vector<int64_t> row_ends;
  std::vector<Part> parts;
  std::vector<int64_t> panel_ends;

  int64_t num_rows() const { return row_ends.empty() ? 0 : row_ends.back(); }
  int64_t num_panels() const { return panel_ends.empty() ? 0 : panel_ends.back(); }
};

Plan make_plan(const CpuKernels& kernels, std::span<const ProductGroup> groups) {
  Plan plan;
  for (const ProductGroup& group : groups) {
    if (group.num_rows == 0 || group.products.empty()) continue;
    const PackedWeight& first = *group.products[0].weight;
    const int64_t num_inputs = first.shape()[1];
    for (const Product& product : group.products) {
      const PackedWeight& weight = *product.weight;
      CHECK(weight.dtype() == first.dtype() && weight.shape()[1] == num_inputs);
      plan.parts.push_back({plan.groups.size(), &product});
      plan.panel_ends.push_back(plan.num_panels() + weight.num_panels());
    }
    plan.blockings.push_back(
        make_blocking(matmul_kernel(kernels, first.dtype()), group.num_rows, num_inputs));
    plan.row_ends.push_back(plan.num_rows() + group.num_rows);
    plan.groups.push_back(&group);
  }
  return plan;
}

size_t first_after(const std::vector<int64_t>& ends, int64_t index) {
  return static_cast<size_t>(std::upper_bound(ends.begin(), ends.end(), index) - ends.begin());
}

}  // namespace

const MatmulKernel& matmul_kernel(const CpuKernels& kernels, DType dtype) {
  switch (dtype) {
    case DType::kF32: return kernels.f32;
    case DType::kBF16: return kernels.bf16;
    case DType::kQ4_0: return kernels.quant.q4_0;
    case DType::kQ4_1: return kernels.quant.q4_1;
    case DType::kQ5_0: return kernels.quant.q5_0;
    case DType::kQ5_1: return kernels.quant.q5_1;
    case DType::kQ2_K: return kernels.quant.q2_k;
    case DType::kQ3_K: return kernels.quant.q3_k;
    case DType::kQ4_K: return kernels.quant.q4_k;
    case DType::kQ5_K: return kernels.quant.q5_k;
    case DType::kQ6_K: return kernels.quant.q6_k;
    case DType::kMXFP4: return kernels.quant.mxfp4;
    default: CHECK(dtype == DType::kQ8_0); return kernels.q8;
  }
}

MatmulDriver::MatmulDriver(const CpuKernels& kernels, ThreadPool& pool)
    : kernels_(kernels), pool_(pool), sums_(static_cast<size_t>(pool.num_threads())) {
}

void MatmulDriver::run(const float* x, int64_t num_tokens, std::span<const Product> products,
                       std::byte* scratch) {
  const ProductGroup group = {
      .x = x, .rows = nullptr, .num_rows = num_tokens, .products = products, .scratch = scratch};
  run_groups({&group, 1});
}

void MatmulDriver::run_groups(std::span<const ProductGroup> groups) {
  const Plan plan = make_plan(kernels_, groups);
  pool_.parallel_for(plan.num_rows(), 4, [&](int64_t begin, int64_t end, int32_t) {
    size_t index = first_after(plan.row_ends, begin);
    for (int64_t i = begin; i < end; ++i) {
      while (i >= plan.row_ends[index]) ++index;
      const ProductGroup& group = *plan.groups[index];
      const int64_t row = i - (plan.row_ends[index] - group.num_rows);
      const int64_t from = group.rows != nullptr ? group.rows[row] : row;
      const Blocking& b = plan.blockings[index];
      convert_token(b, group.x + from * b.num_inputs, row, group.scratch);
    }
  });
  // Few tokens: pieces of several panels, as a piece is over soon; but at least eight a worker, so
  // that a slow core can be helped out.
  const int64_t share = plan.num_panels() / (int64_t{8} * pool_.num_threads());
  const int64_t grain = std::clamp<int64_t>(share, 1, 4);
  pool_.parallel_for(plan.num_panels(), grain, [&](int64_t begin, int64_t end, int32_t worker) {
    std::vector<float>& sums = sums_[static_cast<size_t>(worker)];
    for (size_t index = first_after(plan.panel_ends, begin); begin < end; ++index) {
      const Plan::Part& part = plan.parts[index];
      const int64_t part_begin = plan.panel_ends[index] - part.product->weight->num_panels();
      const int64_t count = std::min(end, plan.panel_ends[index]) - begin;
      if (count == 0) continue;
      run_panels(plan.blockings[part.group], plan.groups[part.group]->scratch, *part.product,
                 begin - part_begin, count, sums);
      begin += count;
    }
  });
}

}  // namespace pagoda::cpu
