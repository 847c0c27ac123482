// Routing and grouping of rows by expert.
#include "backend/cpu/moe.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"

namespace pagoda::cpu {
namespace {

const StackedWeight& stacked(const Weight* weight) {
  DCHECK(dynamic_cast<const StackedWeight*>(weight) != nullptr);
  return *static_cast<const StackedWeight*>(weight);
}

const float* vector_of(const Weight* weight) {
  return weight != nullptr ? static_cast<const PackedWeight*>(weight)->vector() : nullptr;
}

// Whether b comes before a, whose index is lower: a NaN before all numbers, so that it is chosen
// and shows in the result.
bool outranks(float b, float a) {
  return b > a || (std::isnan(b) && !std::isnan(a));
}

// The `count` largest logits, of equal ones the first, in the order of their indices.
void choose(const float* logits, int32_t num_experts, int32_t count, int32_t* chosen) {
  int32_t size = 0;
  for (int32_t expert = 0; expert < num_experts; ++expert) {
    // Kept by falling logits; the last makes room for a larger one.
    int32_t at = size;
    while (at > 0 && outranks(logits[expert], logits[chosen[at - 1]])) --at;
    if (at == count) continue;
    size = std::min(size + 1, count);
    for (int32_t i = size - 1; i > at; --i) chosen[i] = chosen[i - 1];
    chosen[at] = expert;
  }
  std::sort(chosen, chosen + count);
}

// Factors of the chosen experts; `work` holds [X] floats. The sum has one order, that of the
// experts' indices.
void weigh(const CpuKernels& kernels, const float* logits, std::span<const int32_t> chosen,
           std::span<float> work, bool all, float* factors) {
  float max = logits[chosen[0]];
  for (const int32_t expert : chosen) {
    if (logits[expert] > max || std::isnan(logits[expert])) max = logits[expert];
  }
  const size_t count = all ? work.size() : chosen.size();
  for (size_t i = 0; i < count; ++i) work[i] = (all ? logits[i] : logits[chosen[i]]) - max;
  kernels.exp(work.data(), work.data(), static_cast<int64_t>(count));
  float sum = 0.0F;
  for (size_t i = 0; i < count; ++i) sum += work[i];
  // 0, or NaN where the largest logit is not finite: exp() itself passes no NaN on.
  const float failure = max - max;
  for (size_t i = 0; i < chosen.size(); ++i) {
    factors[i] = work[all ? static_cast<size_t>(chosen[i]) : i] / sum + failure;
  }
}

// Rows a worker takes at once: at least 16,384 floats, some microseconds of work.
int64_t grain_of(int64_t row_floats) {
  return std::max<int64_t>(1, 16384 / std::max<int64_t>(1, row_floats));
}

}  // namespace

MoeDriver::MoeDriver(const CpuKernels& kernels, ThreadPool& pool, MatmulDriver& matmul)
    : kernels_(kernels), pool_(pool), matmul_(matmul) {
}

void MoeDriver::route(const MoeCall& call, int64_t num_experts) {
  const int32_t top_k = call.params.top_k;
  const auto num_choices = static_cast<size_t>(call.num_tokens * top_k);
  experts_.resize(num_choices);
  factors_.resize(num_choices);
  const bool all = call.params.weighting == ExpertWeighting::kSoftmaxOfAll;
  pool_.parallel_for(call.num_tokens, 32, [&](int64_t begin, int64_t end, int32_t) {
    std::vector<float> work(static_cast<size_t>(num_experts));
    for (int64_t t = begin; t < end; ++t) {
      const float* const logits = call.router_logits + t * num_experts;
      int32_t* const chosen = experts_.data() + t * top_k;
      choose(logits, static_cast<int32_t>(num_experts), top_k, chosen);
      weigh(kernels_, logits, {chosen, static_cast<size_t>(top_k)}, work, all,
            factors_.data() + t * top_k);
    }
  });
}

void MoeDriver::group_by_expert(int64_t num_tokens, int32_t top_k, int64_t num_experts) {
  ends_.assign(static_cast<size_t>(num_experts), 0);
  for (const int32_t expert : experts_) ++ends_[static_cast<size_t>(expert)];
  int32_t begin = 0;
  for (int32_t& end : ends_) begin += std::exchange(end, begin);
  places_.resize(experts_.size());
  tokens_.resize(experts_.size());
  row_experts_.resize(experts_.size());
  for (int64_t t = 0; t < num_tokens; ++t) {
    for (int64_t i = t * top_k; i < (t + 1) * top_k; ++i) {
      const int32_t expert = experts_[static_cast<size_t>(i)];
      const int32_t place = ends_[static_cast<size_t>(expert)]++;
      places_[static_cast<size_t>(i)] = place;
      tokens_[static_cast<size_t>(place)] = static_cast<int32_t>(t);
      row_experts_[static_cast<size_t>(place)] = expert;
    }
  }
}

void MoeDriver::multiply(const float* x, bool gather, std::span<const Operand> operands,
                         std::byte* scratch, size_t row_bytes) {
  std::vector<Product> products;
  products.reserve(ends_.size() * operands.size());  // groups point into it
  std::vector<ProductGroup> groups;
  groups.reserve(ends_.size());
  int64_t begin = 0;
  for (size_t expert = 0; expert < ends_.size(); ++expert) {
    const int64_t end = ends_[expert];
    if (begin == end) continue;
    const Product* const first = products.data() + products.size();
    for (const Operand& operand : operands) {
      products.push_back({.weight = &operand.stack->matrix(static_cast<int64_t>(expert)),
                          .out = operand.out + begin * operand.stack->shape()[1]});
    }
    const int64_t num_inputs = operands[0].stack->shape()[2];
    groups.push_back({.x = gather ? x : x + begin * num_inputs,
                      .rows = gather ? tokens_.data() + begin : nullptr,
                      .num_rows = end - begin,
                      .products = {first, operands.size()},
                      .scratch = scratch + static_cast<size_t>(begin) * row_bytes});
    begin = end;
  }
  matmul_.run_groups(groups);
}

void MoeDriver::activate(const MoeCall& call, float* gate, float* up, float* out, int64_t ffn) {
  const float* const gate_bias = vector_of(call.experts.gate_bias);
  const float* const up_bias = vector_of(call.experts.up_bias);
  const auto rows = static_cast<int64_t>(tokens_.size());
  pool_.parallel_for(rows, grain_of(ffn), [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t bias = row_experts_[static_cast<size_t>(row)] * ffn;
      float* const g = gate + row * ffn;
      float* const u = up + row * ffn;
      if (gate_bias != nullptr) {
        kernels_.add(g, gate_bias + bias, g, ffn);
        kernels_.add(u, up_bias + bias, u, ffn);
      }
      switch (call.params.activation) {
        case ExpertActivation::kSiluMul: kernels_.silu_mul(g, u, out + row * ffn, ffn); break;
        case ExpertActivation::kClampedSwiglu:
          kernels_.clamped_swiglu(g, u, out + row * ffn, ffn, call.params.alpha, call.params.limit);
          break;
      }
    }
  });
}

void MoeDriver::combine(const MoeCall& call, float* results, int64_t hidden) {
  const float* const bias = vector_of(call.experts.down_bias);
  const int64_t top_k = call.params.top_k;
  pool_.parallel_for(call.num_tokens, grain_of(hidden * top_k),
                     [&](int64_t begin, int64_t end, int32_t) {
                       for (int64_t t = begin; t < end; ++t) {
                         float* const out = call.out + t * hidden;
                         std::fill_n(out, hidden, 0.0F);
                         for (auto i = static_cast<size_t>(t * top_k);
                              i < static_cast<size_t>((t + 1) * top_k); ++i) {
                           float* const result = results + places_[i] * hidden;
                           if (bias != nullptr) {
                             kernels_.add(result, bias + experts_[i] * hidden, result, hidden);
                           }
                           kernels_.add_scaled(factors_[i], result, out, hidden);
                         }
                       }
                     });
}

void MoeDriver::run(const MoeCall& call) {
  const StackedWeight& gate = stacked(call.experts.gate);
  const StackedWeight& up = stacked(call.experts.up);
  const StackedWeight& down = stacked(call.experts.down);
  const int64_t num_experts = gate.shape()[0];
  const int64_t ffn = gate.shape()[1];
  const int64_t hidden = gate.shape()[2];
  route(call, num_experts);
  group_by_expert(call.num_tokens, call.params.top_k, num_experts);

  const auto num_rows = static_cast<int64_t>(tokens_.size());
  const MoeScratch layout(num_rows, hidden, ffn);
  std::byte* const first = call.scratch;
  std::byte* const second = first + layout.first_bytes;
  auto* const gate_out = reinterpret_cast<float*>(second);
  float* const up_out = gate_out + num_rows * ffn;
  const Operand gate_up[] = {{&gate, gate_out}, {&up, up_out}};
  if (gate.dtype() == up.dtype()) {
    multiply(call.x, true, gate_up, first, layout.x_row_bytes);
  } else {  // a product list has one format, as x is converted for it
    multiply(call.x, true, {gate_up, 1}, first, layout.x_row_bytes);
    multiply(call.x, true, {gate_up + 1, 1}, first, layout.x_row_bytes);
  }
  auto* const activations = reinterpret_cast<float*>(first);
  activate(call, gate_out, up_out, activations, ffn);
  auto* const results =
      reinterpret_cast<float*>(second + static_cast<size_t>(num_rows) * layout.ffn_row_bytes);
  const Operand down_out = {&down, results};
  multiply(activations, false, {&down_out, 1}, second, layout.ffn_row_bytes);
  combine(call, results, hidden);
}

}  // namespace pagoda::cpu
