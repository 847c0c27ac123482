// NullOps: Ops that compute shapes only, to size a step's arena and to test models without weights.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "backend/backend.h"

namespace pagoda {

// Checks every shape as a real backend does, returns Tensors whose data is null, and counts the
// arena that a real backend would use. To learn how large an arena a model needs, run its forward
// once with the largest step on a NullOps:
//   NullOps null_ops; null_ops.begin_step(); model.forward(null_ops, largest_batch, cache);
//   backend.reserve_arena(null_ops.num_arena_bytes());
// Token ids, positions and block tables are not looked at. One thread.
class NullOps : public Ops {
 public:
  void begin_step() override;
  Tensor embed(const Weight& table, std::span<const int32_t> token_ids) override;
  Tensor rms_norm(const Tensor& x, const Weight& weight, float eps) override;
  Tensor matmul(const Tensor& x, const Weight& weight) override;
  std::vector<Tensor> matmul_many(const Tensor& x, std::span<const Weight* const> weights) override;
  Tensor rope(const Tensor& x, std::span<const int32_t> positions, const RopeTable& table,
              int32_t head_size) override;
  Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionParams& params,
                   const AttentionBatch& batch, KvCache& cache) override;
  Tensor add(const Tensor& a, const Tensor& b) override;
  Tensor add_bias(const Tensor& x, const Weight& bias) override;
  Tensor silu_mul(const Tensor& gate, const Tensor& up) override;
  Tensor gelu_mul(const Tensor& gate, const Tensor& up) override;
  Tensor scale(const Tensor& x, float factor) override;
  Tensor soft_cap(const Tensor& x, float cap) override;
  Tensor moe(const Tensor& x, const Tensor& router_logits, const ExpertWeights& experts,
             const MoeParams& params) override;
  Tensor gather_rows(const Tensor& x, std::span<const int32_t> rows) override;
  Tensor keep_only(const Tensor& x) override;
  // Zeros of x's size.
  std::span<const float> read(const Tensor& x) override;

  // Most arena bytes any step used so far, working memory of the operations included.
  size_t num_arena_bytes() const { return peak_bytes_; }

 private:
  Tensor make(const Shape& shape);
  void count_scratch(size_t num_bytes);

  size_t used_bytes_ = 0;
  size_t peak_bytes_ = 0;
  std::vector<float> zeros_;
};

// A Weight without contents, for NullOps.
WeightPtr null_weight(const Shape& shape, DType dtype);

}  // namespace pagoda
