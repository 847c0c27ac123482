// CpuKernels: the table of inner loops that each instruction set provides.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace pagoda::cpu {

// Weights are packed in panels of this many rows for every batch size: two 512-bit registers of
// float sums, and one contiguous stream of memory a panel.
inline constexpr int64_t kPanelRows = 32;
// Attention looks at keys in chunks of this many positions, counted from position 0.
inline constexpr int32_t kChunkKeys = 64;
// Most query vectors that one attention call takes.
inline constexpr int32_t kMaxQueries = 16;
// Lanes that every instruction set computes with, in registers or in arrays, so that sums are
// grouped alike everywhere.
inline constexpr int32_t kLanes = 16;
// A group of q8_0 as packed: [8 of 4 k][32 rows][4 k] bytes, each the quant + kQ8Zero, then 32
// scales as f16.
inline constexpr int32_t kQ8Zero = 128;
inline constexpr int64_t kQ8GroupElements = 32;
inline constexpr int64_t kQ8GroupBytes = 32 * 32 + 32 * 2;

// Part of a product: `num_units` steps along k of one panel against up to max_tokens rows of x.
// out[t][r] (+)= sum over k, in order of k, of x[t][k] * w[r][k].
struct MatmulTile {
  const std::byte* weights;   // 64-byte aligned, contiguous units
  const std::byte* x;         // what convert() wrote; rows x_stride bytes apart
  int64_t x_stride;           // bytes
  int64_t num_units;          // >= 1
  int32_t num_tokens;         // 1 .. max_tokens; for `wide` any number
  bool accumulate;            // start from out rather than from zero
  float* out;                 // [num_tokens][32], rows out_stride floats apart
  int64_t out_stride;         // floats
  const std::byte* prefetch;  // weights wanted soon, anywhere; never read
  int64_t prefetch_step;      // bytes to ask for with each unit; 0: nothing is wanted
};

// How products with one weight format are computed. A unit is the smallest step along k.
struct MatmulKernel {
  int32_t unit_elements;  // of k
  int32_t unit_bytes;     // of one panel's weights
  int32_t x_unit_bytes;   // of one converted row of x
  int32_t max_tokens;     // as many as keep all sums in registers
  bool any_tokens;        // `tile` takes any number up to that in one pass; else powers of two
  // Converts `num_elements` of a row of x; the last unit is filled up with zeros.
  void (*convert)(const float* x, int64_t num_elements, std::byte* out);
  void (*tile)(const MatmulTile& tile);
  // Takes any number of tokens at once, from wide_tokens on; null: there is none. Gives the bits of
  // `tile`, unless it takes a single token too: then nothing else computes this format. Where its
  // sums are grouped along k, wide_units is a multiple of the group.
  void (*wide)(const MatmulTile& tile) = nullptr;
  int32_t wide_tokens = 0;
  int32_t wide_units = 0;  // of one call
};

// The block formats as packed by quant_layout.h.
struct QuantKernels {
  MatmulKernel q4_0;
  MatmulKernel q4_1;
  MatmulKernel q5_0;
  MatmulKernel q5_1;
  MatmulKernel q2_k;
  MatmulKernel q3_k;
  MatmulKernel q4_k;
  MatmulKernel q5_k;
  MatmulKernel q6_k;
  MatmulKernel mxfp4;
};

// Scores of a run of keys in one page: out[q * kChunkKeys + i] = sum over d of
// q[q * q_stride + d] * keys[d * key_stride + i], times scales[i] where the format has scales.
struct ScoreRun {
  const float* queries;
  const std::byte* keys;  // first key of the run in a [D, B] page
  const float* scales;    // of the run's keys; int8 only
  float* out;
  int64_t key_stride;  // elements between dimensions: B
  int32_t q_stride;    // floats
  int32_t num_queries;
  int32_t num_keys;  // 1 .. 16
  int32_t head_size;
};

// sums[q * stride + d] = sums * rescale[q] + sum over keys i of p[q * kChunkKeys + i] *
// values[i][d].
struct ValueChunk {
  const float* probs;
  const float* rescale;
  const std::byte* const* values;  // one row of D elements a key
  float* sums;
  int32_t stride;  // floats, head_size rounded up to 16
  int32_t num_queries;
  int32_t num_keys;  // 1 .. kChunkKeys
  int32_t head_size;
};

// Loops over one cache format.
struct AttentionKernel {
  void (*scores)(const ScoreRun& run);
  void (*values)(const ValueChunk& chunk);
};

// The inner loops of one instruction set. Pointers need no alignment unless said; outputs do not
// overlap inputs unless said.
struct CpuKernels {
  const char* isa;
  MatmulKernel f32;
  MatmulKernel bf16;
  MatmulKernel q8;
  QuantKernels quant;
  AttentionKernel attention_f32;
  AttentionKernel attention_bf16;
  AttentionKernel attention_int8;  // the caller multiplies probs by the scales of V
  // One row: x / sqrt(mean(x^2) + eps) * weight.
  void (*rms_norm)(const float* x, const float* weight, float* out, int64_t n, float eps);
  void (*add)(const float* a, const float* b, float* out, int64_t n);  // out may be a
  void (*silu_mul)(const float* gate, const float* up, float* out, int64_t n);
  // The tanh form, with the formula of Ops::gelu_mul.
  void (*gelu_mul)(const float* gate, const float* up, float* out, int64_t n);
  void (*scale)(const float* x, float factor, float* out, int64_t n);  // out may be x
  // cap * tanh(x / cap); out may be x. Relative error below 2^-21; a NaN stays one.
  void (*soft_cap)(const float* x, float cap, float* out, int64_t n);
  // ExpertActivation::kClampedSwiglu of backend.h.
  void (*clamped_swiglu)(const float* gate, const float* up, float* out, int64_t n, float alpha,
                         float limit);
  // sum[i] += factor * x[i], fused.
  void (*add_scaled)(float factor, const float* x, float* sum, int64_t n);
  // One head: out[i] = x[i] cos[i] - x[i + n] sin[i]; out[i + n] = x[i + n] cos[i] + x[i] sin[i].
  void (*rope)(const float* x, const float* cos, const float* sin, float* out, int64_t n);
  // Online softmax of one query (Milakov and Gimelshein, 2018) over a chunk of scores of which
  // those in [begin, end) count: turns them into exp(score - max), zeros the rest of kChunkKeys,
  // updates max and sum, and returns what earlier sums must be multiplied by. Any 0 <= begin and
  // end <= kChunkKeys; when none counts nothing changes and 1 is returned.
  float (*softmax_chunk)(float* scores, int32_t begin, int32_t end, float* max, float* sum);
  // exp() of each element; relative error below 2^-22, 0 below -87.33.
  void (*exp)(const float* x, float* out, int64_t n);
  // Rounds to nearest even.
  void (*to_bf16)(const float* x, uint16_t* out, int64_t n);
  void (*from_bf16)(const uint16_t* x, float* out, int64_t n);
  void (*from_f16)(const uint16_t* x, float* out, int64_t n);
  // Quantises n (a multiple of 32) elements as format q8_0 does: quants + 128, and a scale a group.
  void (*quantize_q8)(const float* x, int64_t n, uint8_t* quants, float* scales);
};

extern const CpuKernels kScalarKernels;
// Defined on x86-64 only.
extern const CpuKernels kAvx2Kernels;
extern const CpuKernels kAvx512Kernels;
extern const CpuKernels kAmxKernels;  // AVX-512 with AMX's int8 and bf16 tiles
// Defined on 64-bit ARM only.
extern const CpuKernels kNeonKernels;
extern const CpuKernels kNeonDotprodKernels;

}  // namespace pagoda::cpu
