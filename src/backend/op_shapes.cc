// Shape rules of Ops.
#include "backend/op_shapes.h"

#include <algorithm>

#include "base/check.h"

namespace pagoda {

size_t tensor_arena_bytes(int64_t num_elements) {
  const size_t bytes = static_cast<size_t>(num_elements) * sizeof(float);
  return (bytes + kArenaAlignment - 1) / kArenaAlignment * kArenaAlignment;
}

// The widest converted format takes four bytes an element; two cache lines a row cover rounding up
// to whole units and the distance kept between rows.
size_t matmul_scratch_bytes(int64_t rows, int64_t num_inputs) {
  return static_cast<size_t>(rows) * (static_cast<size_t>(num_inputs) * 4 + 2 * kArenaAlignment);
}

MoeScratch::MoeScratch(int64_t num_rows, int64_t hidden, int64_t ffn) {
  const auto rows = static_cast<size_t>(num_rows);
  const auto aligned = [](size_t bytes) {
    return (bytes + kArenaAlignment - 1) / kArenaAlignment * kArenaAlignment;
  };
  x_row_bytes = aligned(matmul_scratch_bytes(1, hidden));
  ffn_row_bytes = aligned(matmul_scratch_bytes(1, ffn));
  const size_t activations = tensor_arena_bytes(num_rows * ffn);
  const size_t results = tensor_arena_bytes(num_rows * hidden);
  first_bytes = std::max(rows * x_row_bytes, activations);
  num_bytes = first_bytes + std::max(2 * activations, rows * ffn_row_bytes + results);
}

int64_t num_columns(const Shape& shape) {
  CHECK(shape.rank() >= 1);
  return shape[shape.rank() - 1];
}

int64_t num_rows(const Shape& shape) {
  int64_t rows = 1;
  for (int32_t axis = 0; axis + 1 < shape.rank(); ++axis) rows *= shape[axis];
  return rows;
}

Shape embed_shape(const Weight& table, int64_t num_tokens) {
  CHECK(table.shape().rank() == 2);
  return {num_tokens, table.shape()[1]};
}

Shape matmul_shape(const Tensor& x, const Weight& weight) {
  CHECK(weight.shape().rank() == 2);
  CHECK(num_columns(x.shape) == weight.shape()[1]);
  return {num_rows(x.shape), weight.shape()[0]};
}

Shape attention_shape(const Tensor& q, const Tensor& k, const Tensor& v,
                      const AttentionParams& params, const AttentionBatch& batch,
                      const KvCacheGeometry& geometry) {
  CHECK(params.num_kv_heads > 0 && params.num_heads % params.num_kv_heads == 0);
  CHECK(params.num_kv_heads == geometry.num_kv_heads && params.head_size == geometry.head_size);
  CHECK(params.layer >= 0 && params.layer < geometry.num_layers);
  CHECK(params.sliding_window >= 0 && params.logit_soft_cap >= 0.0F);
  const int64_t rows = num_rows(q.shape);
  CHECK(num_columns(q.shape) == int64_t{params.num_heads} * params.head_size);
  CHECK(num_columns(k.shape) == int64_t{params.num_kv_heads} * params.head_size);
  CHECK(num_rows(k.shape) == rows && k.shape == v.shape);
  int64_t next_row = 0;
  for (const AttentionSequence& sequence : batch.sequences) {
    CHECK(sequence.first_row == next_row && sequence.num_rows >= 1);
    CHECK(sequence.num_computed_tokens >= 0);
    next_row += sequence.num_rows;
  }
  CHECK(next_row == rows);
  CHECK(params.sinks == nullptr || (params.sinks->shape() == Shape{params.num_heads}));
  return q.shape;
}

Shape moe_shape(const Tensor& x, const Tensor& router_logits, const ExpertWeights& experts,
                const MoeParams& params) {
  CHECK(experts.gate != nullptr && experts.up != nullptr && experts.down != nullptr);
  const Shape& gate = experts.gate->shape();
  CHECK(gate.rank() == 3 && gate == experts.up->shape());
  const int64_t num_experts = gate[0];
  const int64_t ffn = gate[1];
  const int64_t hidden = gate[2];
  CHECK((experts.down->shape() == Shape{num_experts, hidden, ffn}));
  const bool has_bias = experts.gate_bias != nullptr;
  CHECK((experts.up_bias != nullptr) == has_bias && (experts.down_bias != nullptr) == has_bias);
  if (has_bias) {
    CHECK((experts.gate_bias->shape() == Shape{num_experts * ffn}));
    CHECK((experts.up_bias->shape() == Shape{num_experts * ffn}));
    CHECK((experts.down_bias->shape() == Shape{num_experts * hidden}));
  }
  CHECK(params.top_k >= 1 && params.top_k <= num_experts);
  CHECK(num_columns(x.shape) == hidden && num_columns(router_logits.shape) == num_experts);
  CHECK(num_rows(x.shape) == num_rows(router_logits.shape));
  return {num_rows(x.shape), hidden};
}

Shape gather_shape(const Tensor& x, int64_t rows) {
  CHECK(x.shape.rank() == 2);
  return {rows, x.shape[1]};
}

void check_rms_norm(const Tensor& x, const Weight& weight) {
  CHECK(weight.shape().rank() == 1 && weight.shape()[0] > 0);
  CHECK(num_columns(x.shape) % weight.shape()[0] == 0);
}

void check_rope(const Tensor& x, int64_t num_positions, const RopeTable& table, int32_t head_size) {
  CHECK(head_size > 0 && head_size % 2 == 0);
  CHECK(static_cast<int64_t>(table.inv_freq.size()) * 2 <= head_size);
  CHECK(num_rows(x.shape) == num_positions && num_columns(x.shape) % head_size == 0);
}

void check_add_bias(const Tensor& x, const Weight& bias) {
  CHECK(bias.shape().rank() == 1 && bias.shape()[0] == num_columns(x.shape));
}

}  // namespace pagoda
