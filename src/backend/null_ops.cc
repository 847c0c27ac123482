// NullOps: every operation as its shape rule and its arena use.
#include "backend/null_ops.h"

#include <algorithm>

#include "backend/op_shapes.h"
#include "base/check.h"

namespace pagoda {
namespace {

class NullWeight : public Weight {
 public:
  NullWeight(const Shape& shape, DType dtype) : shape_(shape), dtype_(dtype) {}
  const Shape& shape() const override { return shape_; }
  DType dtype() const override { return dtype_; }
  int64_t num_bytes() const override { return 0; }

 private:
  Shape shape_;
  DType dtype_;
};

}  // namespace

WeightPtr null_weight(const Shape& shape, DType dtype) {
  return std::make_shared<NullWeight>(shape, dtype);
}

Tensor NullOps::make(const Shape& shape) {
  used_bytes_ += tensor_arena_bytes(shape.num_elements());
  peak_bytes_ = std::max(peak_bytes_, used_bytes_);
  return {.data = nullptr, .shape = shape};
}

void NullOps::count_scratch(size_t num_bytes) {
  peak_bytes_ = std::max(peak_bytes_, used_bytes_ + num_bytes);
}

void NullOps::begin_step() {
  used_bytes_ = 0;
}

Tensor NullOps::embed(const Weight& table, std::span<const int32_t> token_ids) {
  return make(embed_shape(table, static_cast<int64_t>(token_ids.size())));
}

Tensor NullOps::rms_norm(const Tensor& x, const Weight& weight, float) {
  check_rms_norm(x, weight);
  return make(x.shape);
}

Tensor NullOps::matmul(const Tensor& x, const Weight& weight) {
  const Weight* const weights[] = {&weight};
  return matmul_many(x, weights).front();
}

std::vector<Tensor> NullOps::matmul_many(const Tensor& x, std::span<const Weight* const> weights) {
  std::vector<Tensor> results;
  results.reserve(weights.size());
  for (const Weight* weight : weights) results.push_back(make(matmul_shape(x, *weight)));
  count_scratch(matmul_scratch_bytes(num_rows(x.shape), num_columns(x.shape)));
  return results;
}

Tensor NullOps::rope(const Tensor& x, std::span<const int32_t> positions, const RopeTable& table,
                     int32_t head_size) {
  check_rope(x, static_cast<int64_t>(positions.size()), table, head_size);
  return make(x.shape);
}

Tensor NullOps::attention(const Tensor& q, const Tensor& k, const Tensor& v,
                          const AttentionParams& params, const AttentionBatch& batch,
                          KvCache& cache) {
  return make(attention_shape(q, k, v, params, batch, cache.geometry()));
}

Tensor NullOps::add(const Tensor& a, const Tensor& b) {
  CHECK(a.shape == b.shape);
  return make(a.shape);
}

Tensor NullOps::add_bias(const Tensor& x, const Weight& bias) {
  check_add_bias(x, bias);
  return make(x.shape);
}

Tensor NullOps::silu_mul(const Tensor& gate, const Tensor& up) {
  CHECK(gate.shape == up.shape);
  return make(gate.shape);
}

Tensor NullOps::gelu_mul(const Tensor& gate, const Tensor& up) {
  return silu_mul(gate, up);
}

Tensor NullOps::scale(const Tensor& x, float) {
  return x;
}

Tensor NullOps::soft_cap(const Tensor& x, float cap) {
  CHECK(cap > 0.0F);
  return x;
}

Tensor NullOps::moe(const Tensor& x, const Tensor& router_logits, const ExpertWeights& experts,
                    const MoeParams& params) {
  const Tensor out = make(moe_shape(x, router_logits, experts, params));
  const Shape& gate = experts.gate->shape();
  count_scratch(MoeScratch(out.shape[0] * params.top_k, gate[2], gate[1]).num_bytes);
  return out;
}

Tensor NullOps::gather_rows(const Tensor& x, std::span<const int32_t> rows) {
  return make(gather_shape(x, static_cast<int64_t>(rows.size())));
}

Tensor NullOps::keep_only(const Tensor& x) {
  used_bytes_ = 0;
  return make(x.shape);
}

std::span<const float> NullOps::read(const Tensor& x) {
  zeros_.assign(static_cast<size_t>(x.shape.num_elements()), 0.0F);
  return zeros_;
}

}  // namespace pagoda
