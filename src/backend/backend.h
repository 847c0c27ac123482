// Backend, Ops and Weight: everything a model may ask of a device.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backend/kv_cache.h"
#include "base/result.h"
#include "base/thread_pool.h"
#include "tensor/row_source.h"
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

// Rotary embedding as numbers: pair (i, i + N) of a head turns by position * inv_freq[i], of which
// there are N <= D / 2 (Hugging Face's half-split order), and the result is scaled by
// attention_factor. Elements from 2 N on stay as they are. Su et al., RoFormer (2021).
struct RopeTable {
  std::vector<float> inv_freq;  // [N], the rotary half
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
  // The token at position p sees positions p - sliding_window + 1 to p; 0: all up to p. Blocks that
  // have left the window are not read, and stay where they are.
  int32_t sliding_window = 0;
  // Scores s become cap * tanh(s / cap) before the softmax; 0: they stay (Gemma 2, section 2).
  float logit_soft_cap = 0.0F;
  // [H] or null: for each query head the logit of one more key that has no value. It takes part in
  // the softmax's denominator only, so that a head can attend to nothing.
  const Weight* sinks = nullptr;
};

// How the logits of a token's chosen experts become the factors of their outputs.
enum class ExpertWeighting : uint8_t {
  kSoftmaxOfChosen,  // softmax over the chosen; the same as over all, divided by the chosen's sum
  kSoftmaxOfAll,     // softmax over all experts: the factors of the chosen add up to less than 1
};

// What stands between an expert's first products and its last.
enum class ExpertActivation : uint8_t {
  kSiluMul,        // gate * sigmoid(gate) * up
  kClampedSwiglu,  // g * sigmoid(alpha * g) * (u + 1) with g = min(gate, limit) and u = up within
                   // [-limit, limit]: gpt-oss's model code, swiglu()
};

struct MoeParams {
  int32_t top_k = 1;  // experts a token, at most X
  ExpertWeighting weighting = ExpertWeighting::kSoftmaxOfChosen;
  ExpertActivation activation = ExpertActivation::kSiluMul;
  float alpha = 1.0F;  // kClampedSwiglu only
  float limit = 0.0F;  // kClampedSwiglu only
};

// The X experts of one layer. Matrices come from Backend::pack_stack; borrowed for the call.
struct ExpertWeights {
  const Weight* gate = nullptr;       // [X, F, E]
  const Weight* up = nullptr;         // [X, F, E]
  const Weight* down = nullptr;       // [X, E, F]
  const Weight* gate_bias = nullptr;  // [X * F], expert after expert; all three or none
  const Weight* up_bias = nullptr;    // [X * F]
  const Weight* down_bias = nullptr;  // [X * E]
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
  // D], with the limits of `params` on what is seen and how large a score gets.
  virtual Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v,
                           const AttentionParams& params, const AttentionBatch& batch,
                           KvCache& cache) = 0;
  virtual Tensor add(const Tensor& a, const Tensor& b) = 0;  // same shape
  // Adds bias [E] to every row.
  virtual Tensor add_bias(const Tensor& x, const Weight& bias) = 0;
  virtual Tensor silu_mul(const Tensor& gate, const Tensor& up) = 0;  // gate * sigmoid(gate) * up
  // gelu(gate) * up with the tanh form of Hendrycks and Gimpel (2016): gelu(x) = x / 2 * (1 +
  // tanh(sqrt(2 / pi) * (x + 0.044715 x^3))).
  virtual Tensor gelu_mul(const Tensor& gate, const Tensor& up) = 0;
  // These two change x where it lies and return it: a copy of all logits would be large.
  virtual Tensor scale(const Tensor& x, float factor) = 0;  // x * factor
  virtual Tensor soft_cap(const Tensor& x, float cap) = 0;  // cap * tanh(x / cap); cap > 0
  // Mixture of experts (Shazeer et al., 2017): each row of x [T, E] goes through the top_k experts
  // whose router_logits [T, X] are largest, of equal ones those of lower index, and the results are
  // added, each times its factor, in the order of the experts' indices -> [T, E]. Which experts are
  // taken is decided inside, so a model's forward() needs no contents. A row's result depends on no
  // other row; one with a logit that is NaN is NaN.
  virtual Tensor moe(const Tensor& x, const Tensor& router_logits, const ExpertWeights& experts,
                     const MoeParams& params) = 0;
  virtual Tensor gather_rows(const Tensor& x, std::span<const int32_t> rows) = 0;  // [R, E]
  // Tells that of all Tensors of this step only `x` is still needed: the others die and their
  // memory is used again. Returns the new handle of x. A model calls it after each layer, so that
  // the arena holds one layer instead of all.
  virtual Tensor keep_only(const Tensor& x) = 0;
  // The R rows of a result as host memory, [R, V] row-major; valid until begin_step().
  virtual std::span<const float> read(const Tensor& x) = 0;
};

// A device. Owned by the app and outlived by nothing that uses it. Thread rules: packing is
// done by one thread while loading; afterwards only ops() is used, on the engine thread.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string name() const = 0;  // "cpu avx512"
  // Copies a matrix [Out, In] or vector [E] into the device's layout, converting to `dtype` (kF32,
  // kBF16 or a block format; vectors are always kept as f32). Blocks of `dtype` itself are kept as
  // they are, bit for bit. Rows are fetched by the workers, some at a time. kInvalidArgument when
  // the format cannot hold the shape, naming both, or can only be read from files; kOverloaded when
  // memory is refused; errors of fetching.
  virtual Result<WeightPtr> pack_rows(const RowSource& source, DType dtype) = 0;
  // The same of what is in memory already.
  Result<WeightPtr> pack(const TensorView& source, DType dtype) {
    return pack_rows(ViewRows(source), dtype);
  }
  // Copies a stack [X, Out, In] of matrices, for moe(). `read(i)` gives matrix i [Out, In], once
  // and in order; it need not outlive the next call, so that memory beyond the result is one
  // matrix at most. Errors as pack_rows() and as `read`.
  virtual Result<WeightPtr> pack_stack(
      const Shape& shape, DType dtype,
      const std::function<Result<const RowSource*>(int64_t index)>& read) = 0;
  // Bytes that packing would hold for this shape and format.
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
