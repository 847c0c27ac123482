// Paged attention. Keys are taken in chunks of fixed positions, so a row's result depends on its
// own position and cache alone.
#include "backend/cpu/attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/check.h"

namespace pagoda::cpu {
namespace {

int32_t group_size(const AttentionParams& params) {
  return params.num_heads / params.num_kv_heads;
}

// Asks for the cache lines of a page part that a later chunk will read: pages lie anywhere, so the
// hardware does not see them coming.
void prefetch(const std::byte* from, int64_t num_bytes) {
  for (int64_t i = 0; i < num_bytes; i += 64) __builtin_prefetch(from + i);
}

// Scale and quants of one token's head: the largest magnitude becomes 127, the others are rounded
// to the nearest, so an element is off by at most half the scale. A head that is not finite gets
// the scale NaN, so that the failure shows in the logits.
float quantize_head(const float* x, int64_t head_size, int8_t* quants) {
  float max_abs = 0.0F;
  bool finite = true;
  for (int64_t d = 0; d < head_size; ++d) {
    const float magnitude = std::fabs(x[d]);
    finite = finite && magnitude <= std::numeric_limits<float>::max();
    max_abs = magnitude > max_abs ? magnitude : max_abs;
  }
  const float scale = max_abs / 127.0F;
  // Below the normal numbers the inverse would overflow; such a head is as good as zero.
  const bool zero = !finite || scale < std::numeric_limits<float>::min();
  const float inverse = zero ? 0.0F : 1.0F / scale;
  // Adding 1.5 * 2^23, where a float's step is 1, rounds to the nearest whole number.
  constexpr float kRounder = 12582912.0F;
  for (int64_t d = 0; d < head_size; ++d) {
    const float scaled = zero ? 0.0F : x[d] * inverse;
    quants[d] = static_cast<int8_t>(static_cast<int32_t>((scaled + kRounder) - kRounder));
  }
  return finite ? (zero ? 0.0F : scale) : std::numeric_limits<float>::quiet_NaN();
}

// As write_slot, for pages that begin with scales.
void write_int8_slot(const float* k, const float* v, int32_t slot, const KvCacheGeometry& g,
                     std::byte* k_page, std::byte* v_page) {
  const int64_t head_size = g.head_size;
  auto* values = reinterpret_cast<int8_t*>(v_page + g.elements_offset()) + slot * head_size;
  // The K page is transposed: its quants pass through the V row, which is written after them.
  reinterpret_cast<float*>(k_page)[slot] = quantize_head(k, head_size, values);
  auto* keys = reinterpret_cast<int8_t*>(k_page + g.elements_offset());
  for (int64_t d = 0; d < head_size; ++d) keys[d * g.block_size + slot] = values[d];
  reinterpret_cast<float*>(v_page)[slot] = quantize_head(v, head_size, values);
}

// Writes one token's head into its slot of a K page [D, B] and a V page [B, D].
void write_slot(const float* k, const float* v, int32_t slot, const KvCacheGeometry& g,
                std::byte* k_page, std::byte* v_page) {
  const int64_t block_size = g.block_size;
  const int64_t head_size = g.head_size;
  if (g.dtype == DType::kI8) {
    write_int8_slot(k, v, slot, g, k_page, v_page);
    return;
  }
  if (g.dtype == DType::kF32) {
    auto* keys = reinterpret_cast<float*>(k_page);
    for (int64_t d = 0; d < head_size; ++d) keys[d * block_size + slot] = k[d];
    std::memcpy(reinterpret_cast<float*>(v_page) + slot * head_size, v,
                static_cast<size_t>(head_size) * sizeof(float));
    return;
  }
  auto* keys = reinterpret_cast<uint16_t*>(k_page);
  auto* values = reinterpret_cast<uint16_t*>(v_page) + slot * head_size;
  for (int64_t d = 0; d < head_size; ++d) keys[d * block_size + slot] = float_to_bf16(k[d]);
  for (int64_t d = 0; d < head_size; ++d) values[d] = float_to_bf16(v[d]);
}

}  // namespace

// Buffers of one tile, cut from one allocation: queries and sums [Q, stride], scores [Q, 64].
struct AttentionDriver::Workspace {
  Workspace(std::vector<float>& floats, int32_t head_size)
      : stride((head_size + kLanes - 1) / kLanes * kLanes) {
    const size_t matrix = static_cast<size_t>(kMaxQueries * stride);
    floats.resize(std::max(floats.size(), 2 * matrix + kMaxQueries * kChunkKeys));
    queries = floats.data();
    sums = queries + matrix;
    scores = sums + matrix;
  }
  int32_t stride;
  float* queries;
  float* sums;
  float* scores;
  float max[kMaxQueries];
  float sum[kMaxQueries];
  float rescale[kMaxQueries];
  const std::byte* values[kChunkKeys];
  float value_scales[kChunkKeys];  // int8 only
};

AttentionDriver::AttentionDriver(const CpuKernels& kernels, ThreadPool& pool)
    : kernels_(kernels), pool_(pool), floats_(static_cast<size_t>(pool.num_threads())) {
}

const AttentionKernel& AttentionDriver::kernel_for(DType dtype) const {
  if (dtype == DType::kI8) return kernels_.attention_int8;
  return dtype == DType::kBF16 ? kernels_.attention_bf16 : kernels_.attention_f32;
}

void AttentionDriver::run(const AttentionCall& call) {
  write_cache(call);
  tiles_.clear();
  const int32_t group = group_size(call.params);
  for (const AttentionSequence& sequence : call.batch.sequences) {
    for (int32_t head = 0; head < call.params.num_kv_heads; ++head) {
      const int32_t num_queries = sequence.num_rows * group;
      for (int32_t query = 0; query < num_queries; query += kMaxQueries) {
        tiles_.push_back({.sequence = &sequence,
                          .kv_head = head,
                          .first_query = query,
                          .num_queries = std::min(kMaxQueries, num_queries - query)});
      }
    }
  }
  pool_.parallel_for(
      static_cast<int64_t>(tiles_.size()), 1, [&](int64_t begin, int64_t end, int32_t worker) {
        for (int64_t i = begin; i < end; ++i) {
          run_tile(call, tiles_[static_cast<size_t>(i)], floats_[static_cast<size_t>(worker)]);
        }
      });
}

void AttentionDriver::write_cache(const AttentionCall& call) {
  const KvCacheGeometry& g = call.cache.geometry();
  const int64_t row_floats = int64_t{g.num_kv_heads} * g.head_size;
  for (const AttentionSequence& sequence : call.batch.sequences) {
    const int64_t num_tokens = int64_t{sequence.num_computed_tokens} + sequence.num_rows;
    CHECK(static_cast<int64_t>(sequence.block_table.size()) * g.block_size >= num_tokens);
    // A worker takes whole heads: two tokens of one K page never meet on one cache line there.
    const int64_t work = sequence.num_rows * row_floats;
    const int64_t grain = work < 16384 ? g.num_kv_heads : 1;
    pool_.parallel_for(g.num_kv_heads, grain, [&](int64_t begin, int64_t end, int32_t) {
      for (int64_t head = begin; head < end; ++head) {
        for (int32_t i = 0; i < sequence.num_rows; ++i) {
          const int32_t position = sequence.num_computed_tokens + i;
          const int32_t block = sequence.block_table[static_cast<size_t>(position / g.block_size)];
          CHECK(block >= 0 && block < g.num_blocks);
          const int64_t from = (sequence.first_row + i) * row_floats + head * g.head_size;
          const auto kv_head = static_cast<int32_t>(head);
          write_slot(call.k + from, call.v + from, position % g.block_size, g,
                     call.cache.page(call.params.layer, false, block, kv_head),
                     call.cache.page(call.params.layer, true, block, kv_head));
        }
      }
    });
  }
}

// Scores of the chunk's keys with all queries, and where their values lie. Runs are keys side by
// side in one page, at most one register of them.
void AttentionDriver::score_chunk(const AttentionCall& call, const Tile& tile, int32_t chunk,
                                  int32_t num_keys, Workspace& w) {
  const KvCacheGeometry& g = call.cache.geometry();
  const bool scaled = g.dtype == DType::kI8;
  const AttentionKernel& kernel = kernel_for(g.dtype);
  const int64_t element_bytes = format_traits(g.dtype).block_bytes;
  const int64_t elements = g.elements_offset();
  const int32_t chunk_keys = std::min(kChunkKeys, num_keys - chunk);
  const auto page_of = [&](int32_t position, bool value) {
    const auto index = static_cast<size_t>(position / g.block_size);
    return call.cache.page(call.params.layer, value, tile.sequence->block_table[index],
                           tile.kv_head);
  };
  int32_t run = 0;
  for (int32_t i = 0; i < chunk_keys; i += run) {
    const int32_t position = chunk + i;
    const int32_t slot = position % g.block_size;
    run = std::min({kLanes, chunk_keys - i, g.block_size - slot});
    const int64_t token_bytes = g.head_size * element_bytes;
    if (position + kChunkKeys < num_keys) {
      for (const bool value : {false, true}) {
        const std::byte* page = page_of(position + kChunkKeys, value);
        if (scaled) prefetch(page + slot * 4, 1);
        prefetch(page + elements + slot * token_bytes, run * token_bytes);
      }
    }
    const std::byte* k_page = page_of(position, false);
    const std::byte* v_page = page_of(position, true);
    kernel.scores({.queries = w.queries,
                   .keys = k_page + elements + slot * element_bytes,
                   .scales = scaled ? reinterpret_cast<const float*>(k_page) + slot : nullptr,
                   .out = w.scores + i,
                   .key_stride = g.block_size,
                   .q_stride = w.stride,
                   .num_queries = tile.num_queries,
                   .num_keys = run,
                   .head_size = g.head_size});
    const std::byte* values = v_page + elements + slot * token_bytes;
    for (int32_t j = 0; j < run; ++j) w.values[i + j] = values + j * token_bytes;
    if (scaled) std::memcpy(w.value_scales + i, v_page + slot * 4, static_cast<size_t>(run) * 4);
  }
}

void AttentionDriver::run_tile(const AttentionCall& call, const Tile& tile,
                               std::vector<float>& floats) {
  const AttentionParams& params = call.params;
  const AttentionSequence& sequence = *tile.sequence;
  const bool scaled = call.cache.geometry().dtype == DType::kI8;
  const AttentionKernel& kernel = kernel_for(call.cache.geometry().dtype);
  const int32_t head_size = params.head_size;
  const int32_t group = group_size(params);
  Workspace w(floats, head_size);
  // The row of vector i, and the offset of its head in q and out.
  const auto row_of = [&](int32_t i) { return (tile.first_query + i) / group; };
  const auto offset_of = [&](int32_t i) {
    const int64_t row = sequence.first_row + row_of(i);
    const int64_t head = int64_t{tile.kv_head} * group + (tile.first_query + i) % group;
    return (row * params.num_heads + head) * head_size;
  };
  for (int32_t i = 0; i < tile.num_queries; ++i) {
    const float* q = call.q + offset_of(i);
    for (int32_t d = 0; d < head_size; ++d) w.queries[i * w.stride + d] = q[d] * params.scale;
    std::fill_n(w.sums + i * w.stride, w.stride, 0.0F);
    // A sink comes before all keys: the first maximum, with exp(0) in the sum and no value.
    const int64_t head = int64_t{tile.kv_head} * group + (tile.first_query + i) % group;
    w.max[i] = call.sinks != nullptr ? call.sinks[head] : std::numeric_limits<float>::lowest();
    w.sum[i] = call.sinks != nullptr ? 1.0F : 0.0F;
  }
  // The first position that vector i sees; vectors are in the order of their positions.
  const auto first_visible = [&](int32_t i) {
    const int32_t position = sequence.num_computed_tokens + row_of(i);
    return params.sliding_window > 0 ? std::max(0, position - params.sliding_window + 1) : 0;
  };
  const int32_t num_keys = sequence.num_computed_tokens + row_of(tile.num_queries - 1) + 1;
  const int32_t first_chunk = first_visible(0) / kChunkKeys * kChunkKeys;
  for (int32_t chunk = first_chunk; chunk < num_keys; chunk += kChunkKeys) {
    const int32_t chunk_keys = std::min(kChunkKeys, num_keys - chunk);
    score_chunk(call, tile, chunk, num_keys, w);
    for (int32_t i = 0; i < tile.num_queries; ++i) {
      float* probs = w.scores + i * kChunkKeys;
      if (params.logit_soft_cap > 0.0F) {
        kernels_.soft_cap(probs, params.logit_soft_cap, probs, chunk_keys);
      }
      const int32_t begin = std::max(0, first_visible(i) - chunk);
      const int32_t end = sequence.num_computed_tokens + row_of(i) + 1 - chunk;
      w.rescale[i] =
          kernels_.softmax_chunk(probs, begin, std::min(end, chunk_keys), &w.max[i], &w.sum[i]);
      // The sum is of the probabilities alone; only what multiplies V carries V's scales.
      for (int32_t j = 0; scaled && j < chunk_keys; ++j) probs[j] *= w.value_scales[j];
    }
    kernel.values({.probs = w.scores,
                   .rescale = w.rescale,
                   .values = w.values,
                   .sums = w.sums,
                   .stride = w.stride,
                   .num_queries = tile.num_queries,
                   .num_keys = chunk_keys,
                   .head_size = head_size});
  }
  for (int32_t i = 0; i < tile.num_queries; ++i) {
    const float inverse = 1.0F / w.sum[i];
    float* out = call.out + offset_of(i);
    for (int32_t d = 0; d < head_size; ++d) out[d] = w.sums[i * w.stride + d] * inverse;
  }
}

}  // namespace pagoda::cpu
