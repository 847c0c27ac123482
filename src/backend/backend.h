// Backend, Ops and Weight: everything a model may ask of a device.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backend/kv_cache.h"
#include "base/result.h"
#include "base/thread_pool.h"
#include "tensor/tensor.h"

namespace pagoda {

// A parameter in the device's own layout. Immutable after packing, shared by all steps, freed with
// its last owner. Models keep it and hand it back to Ops; only the backend that packed it looks
// inside.
class Weight {
 public:
  virtual ~Weight() = default;
  virtual const Shape& shape() const = 0;
  virtual DType dtype() const = 0;
  virtual int64_t num_bytes() const = 0;  // device memory held, padding included
};
using WeightPtr = std::shared_ptr<const Weight>;

// Rotary embedding as numbers: pair (i, i + D/2) of a head turns by position * inv_freq[i] (Hugging
// Face's half-split order), and the result is scaled by attention_factor. Su et al., RoFormer
// (2021).
struct RopeTable {
  std::vector<float> inv_freq;  // [D / 2]
  float attention_factor = 1.0F;
};

// Which rows of a step belong to which sequence, and where its cache lies. Spans are borrowed for
// the step.
struct AttentionSequence {
  int32_t first_row = 0;  // in the step's T rows
  int32_t num_rows = 0;   // scheduled tokens, >= 1
  int32_t num_computed_tokens =
      0;  // cached before this step; row r sits at position num_computed_tokens + r
  std::span<const int32_t> block_table;  // covers num_computed_tokens + num_rows tokens
};
struct AttentionBatch {
  std::span<const AttentionSequence> sequences;  // their rows cover [0, T) in order
};

struct AttentionParams {
  int32_t layer = 0;
  int32_t num_heads = 0;     // H, a multiple of K
  int32_t num_kv_heads = 0;  // K
  int32_t head_size = 0;     // D
  float scale = 1.0F;        // of q . k, usually 1 / sqrt(D)
};

// The operations models are written in. Letters as in ARCHITECTURE.md: T tokens of the step, E
// hidden, F feed-forward, V vocabulary, R logit rows. All activations are f32 and live in the
// step's arena. Shapes that do not fit are a CHECK: the model checked its weights when it loaded.
// Engine thread only. Results do not depend on how tokens are grouped into steps nor on the number
// of threads: every sum runs in an order given by the reduced dimension alone.
class Ops {
 public:
  virtual ~Ops() = default;
  // Starts a step: earlier Tensors die, the arena is reused.
  virtual void begin_step() = 0;
  // Rows of `table` [V, E] -> [T, E]. REQUIRES: ids in [0, V).
  virtual Tensor embed(const Weight& table, std::span<const int32_t> token_ids) = 0;
  // x / sqrt(mean(x^2) + eps) * weight, row by row. weight [E]; the last dimension of x may be a
  // multiple of E, which norms each head of [T, H * D] with a weight [D].
  virtual Tensor rms_norm(const Tensor& x, const Weight& weight, float eps) = 0;
  // x [T, In] times weight [Out, In] transposed -> [T, Out].
  virtual Tensor matmul(const Tensor& x, const Weight& weight) = 0;
  // Several products of one x, so that it is converted once; results in the order of `weights`.
  virtual std::vector<Tensor> matmul_many(const Tensor& x,
                                          std::span<const Weight* const> weights) = 0;
  // Turns each head of x [T, heads * head_size] by its row's position.
  virtual Tensor rope(const Tensor& x, std::span<const int32_t> positions, const RopeTable& table,
                      int32_t head_size) = 0;
  // Writes k and v [T, K * D] into their slots, then causal softmax(q . K * scale) . V -> [T, H *
  // D].
  virtual Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v,
                           const AttentionParams& params, const AttentionBatch& batch,
                           KvCache& cache) = 0;
  virtual Tensor add(const Tensor& a, const Tensor& b) = 0;  // same shape
  // Adds bias [E] to every row.
  virtual Tensor add_bias(const Tensor& x, const Weight& bias) = 0;
  virtual Tensor silu_mul(const Tensor& gate, const Tensor& up) = 0;  // gate * sigmoid(gate) * up
  virtual Tensor gather_rows(const Tensor& x, std::span<const int32_t> rows) = 0;  // [R, E]
  // Tells that of all Tensors of this step only `x` is still needed: the others die and their
  // memory is used again. Returns the new handle of x. A model calls it after each layer, so that
  // the arena holds one layer instead of all.
  virtual Tensor keep_only(const Tensor& x) = 0;
  // The R rows of a result as host memory, [R, V] row-major; valid until begin_step().
  virtual std::span<const float> read(const Tensor& x) = 0;
};

// A device. Owned by the app and outlived by nothing that uses it. Thread rules: pack() may be
// called by one thread while loading; afterwards only ops() is used, on the engine thread.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string name() const = 0;  // "cpu avx512"
  // Copies a matrix [Out, In] or vector [E] into the device's layout, converting to `dtype` (kF32,
  // kBF16 or kQ8_0; vectors are always kept as f32). kInvalidArgument when the format cannot hold
  // the shape, naming both; kOverloaded when memory is refused.
  virtual Result<WeightPtr> pack(const TensorView& source, DType dtype) = 0;
  // Bytes pack() would hold for this shape and format.
  virtual int64_t packed_bytes(const Shape& shape, DType dtype) const = 0;
  virtual Ops& ops() = 0;
  // The workers, for host work between operations, on the engine thread; null: there are none.
  virtual ThreadPool* thread_pool() = 0;
  // Step arena for at most `num_bytes`; kOverloaded when memory is refused. Call once before the
  // first step, with what NullOps::num_arena_bytes() says of the largest step (backend/null_ops.h);
  // a step that needs more is a CHECK.
  virtual Result<void> reserve_arena(size_t num_bytes) = 0;
};

}  // namespace pagoda
