// The shape rules of Ops and the sizes of its results, shared by all backends with a step arena.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "backend/backend.h"

namespace pagoda {

// Every result starts on a cache line.
inline constexpr size_t kArenaAlignment = 64;

// Arena bytes of a result of `num_elements` floats.
size_t tensor_arena_bytes(int64_t num_elements);
// Upper bound of the working memory of a product of [T, In] with anything: one converted copy of x.
size_t matmul_scratch_bytes(int64_t num_rows, int64_t num_inputs);
// The same for moe(), whichever experts the rows choose. Matrices lie in two areas, each used
// twice: first x converted, then the activations; first gate and up, then the activations converted
// and the experts' results. num_rows is T * top_k.
struct MoeScratch {
  MoeScratch(int64_t num_rows, int64_t hidden, int64_t ffn);
  size_t x_row_bytes;    // of a converted row of x, a multiple of kArenaAlignment
  size_t ffn_row_bytes;  // of a converted row of activations, likewise
  size_t first_bytes;    // the first area, a multiple of kArenaAlignment
  size_t num_bytes;      // both
};

// Shape of each result; a CHECK when the operands do not fit.
Shape embed_shape(const Weight& table, int64_t num_tokens);
Shape matmul_shape(const Tensor& x, const Weight& weight);
Shape attention_shape(const Tensor& q, const Tensor& k, const Tensor& v,
                      const AttentionParams& params, const AttentionBatch& batch,
                      const KvCacheGeometry& geometry);
Shape moe_shape(const Tensor& x, const Tensor& router_logits, const ExpertWeights& experts,
                const MoeParams& params);
Shape gather_shape(const Tensor& x, int64_t num_rows);
// These return nothing, as the result has the shape of x.
void check_rms_norm(const Tensor& x, const Weight& weight);
void check_rope(const Tensor& x, int64_t num_positions, const RopeTable& table, int32_t head_size);
void check_add_bias(const Tensor& x, const Weight& bias);

// Product of all dimensions but the last, and the last.
int64_t num_rows(const Shape& shape);
int64_t num_columns(const Shape& shape);

}  // namespace pagoda
