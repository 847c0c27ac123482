// Mixture of experts: routing, the products of each expert with its rows, and their sum.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/kernels.h"
#include "backend/cpu/matmul.h"
#include "backend/cpu/stacked_weight.h"
#include "backend/op_shapes.h"
#include "base/thread_pool.h"

namespace pagoda::cpu {

// Borrowed operands of one call; shapes as in Ops::moe, checked by moe_shape().
struct MoeCall {
  const float* x;              // [T, E]
  const float* router_logits;  // [T, X]
  float* out;                  // [T, E]
  int64_t num_tokens;
  const ExpertWeights& experts;
  const MoeParams& params;
  // MoeScratch(T * top_k, E, F).num_bytes bytes, aligned to 64.
  std::byte* scratch;
};

// Rows that chose the same expert are computed together, all experts in one parallel loop. A row's
// products do not depend on the others (MatmulDriver), and its results are added in the order of
// the experts' indices, so it does not matter who shares the step.
// Owns the lists of a step's choices. Engine thread only; the others outlive it.
class MoeDriver {
 public:
  MoeDriver(const CpuKernels& kernels, ThreadPool& pool, MatmulDriver& matmul);
  void run(const MoeCall& call);

 private:
  // A stack of matrices, and where its product goes: rows grouped by expert, [T * top_k, Out].
  struct Operand {
    const StackedWeight* stack;
    float* out;
  };

  void route(const MoeCall& call, int64_t num_experts);
  void group_by_expert(int64_t num_tokens, int32_t top_k, int64_t num_experts);
  // Multiplies each group's rows with its expert's matrices. x is grouped too, or has the rows of
  // the step and is gathered. `scratch` gets row_bytes a row.
  void multiply(const float* x, bool gather, std::span<const Operand> operands, std::byte* scratch,
                size_t row_bytes);
  void activate(const MoeCall& call, float* gate, float* up, float* out, int64_t ffn);
  void combine(const MoeCall& call, float* results, int64_t hidden);

  const CpuKernels& kernels_;
  ThreadPool& pool_;
  MatmulDriver& matmul_;
  // Of choice i of token t, at t * top_k + i, in the order of experts: the expert, its factor, and
  // its row in the grouped matrices.
  std::vector<int32_t> experts_;
  std::vector<float> factors_;
  std::vector<int32_t> places_;
  // Of each row of the grouped matrices: its token and its expert.
  std::vector<int32_t> tokens_;
  std::vector<int32_t> row_experts_;
  std::vector<int32_t> ends_;  // [X], where each expert's rows end
};

}  // namespace pagoda::cpu
