// CpuBackend and its Ops: shapes, the arena, and parallel loops over kernels.
#include "backend/cpu/cpu_backend.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "backend/cpu/attention.h"
#include "backend/cpu/cpu_info.h"
#include "backend/cpu/matmul.h"
#include "backend/cpu/moe.h"
#include "backend/cpu/packed_weight.h"
#include "backend/cpu/stacked_weight.h"
#include "backend/op_shapes.h"
#include "base/check.h"
#include "base/thread_pool.h"
#include "tensor/buffer.h"

namespace pagoda::cpu {
namespace {

const PackedWeight& packed(const Weight& weight) {
  DCHECK(dynamic_cast<const PackedWeight*>(&weight) != nullptr);
  return static_cast<const PackedWeight&>(weight);
}

// The memory of one step: results from the front, working memory behind them.
class Arena {
 public:
  Result<void> reserve(size_t num_bytes) {
    ASSIGN_OR_RETURN(buffer_, Buffer::allocate(num_bytes));
    used_ = 0;
    return {};
  }
  void clear() { used_ = 0; }
  Tensor make(const Shape& shape) {
    const size_t bytes = tensor_arena_bytes(shape.num_elements());
    auto* data = reinterpret_cast<float*>(scratch(bytes));
    used_ += bytes;
    return {.data = data, .shape = shape};
  }
  // Free memory until the next make().
  std::byte* scratch(size_t num_bytes) {
    CHECK(num_bytes <= buffer_.num_bytes() - used_);
    return buffer_.data() + used_;
  }

 private:
  Buffer buffer_;
  size_t used_ = 0;
};

// Cosines and sines of a step's positions for one RopeTable. Layers ask for the same ones again.
class RopeCache {
 public:
  struct Entry {
    std::vector<int32_t> positions;
    RopeTable table;
    std::vector<float> cos;  // [T, N], times the attention factor
    std::vector<float> sin;
  };

  void clear() { entries_.clear(); }

  const Entry& get(std::span<const int32_t> positions, const RopeTable& table, ThreadPool& pool) {
    for (const Entry& entry : entries_) {
      if (std::equal(positions.begin(), positions.end(), entry.positions.begin(),
                     entry.positions.end()) &&
          entry.table.inv_freq == table.inv_freq &&
          entry.table.attention_factor == table.attention_factor) {
        return entry;
      }
    }
    entries_.push_back(
        {.positions = {positions.begin(), positions.end()}, .table = table, .cos = {}, .sin = {}});
    fill(entries_.back(), pool);
    return entries_.back();
  }

 private:
  // The angle is a float product, as in the reference implementation: at position 100,000 its
  // rounding moves the angle by up to 0.004, so a more exact one would be another model.
  static void fill(Entry& entry, ThreadPool& pool) {
    const size_t half = entry.table.inv_freq.size();
    if (half == 0) return;
    entry.cos.resize(entry.positions.size() * half);
    entry.sin.resize(entry.positions.size() * half);
    const auto rows = static_cast<int64_t>(entry.positions.size());
    pool.parallel_for(rows, 16, [&](int64_t begin, int64_t end, int32_t) {
      for (auto row = static_cast<size_t>(begin); row < static_cast<size_t>(end); ++row) {
        const auto position = static_cast<float>(entry.positions[row]);
        for (size_t i = 0; i < half; ++i) {
          const float angle = position * entry.table.inv_freq[i];
          entry.cos[row * half + i] = std::cos(angle) * entry.table.attention_factor;
          entry.sin[row * half + i] = std::sin(angle) * entry.table.attention_factor;
        }
      }
    });
  }

  std::vector<Entry> entries_;
};

class CpuBackend final : public Backend, public Ops {
 public:
  CpuBackend(const CpuKernels& kernels, int32_t num_threads)
      : kernels_(kernels),
        pool_(num_threads),
        matmul_(kernels, pool_),
        attention_(kernels, pool_),
        moe_(kernels, pool_, matmul_) {}

  std::string name() const override { return std::string("cpu ") + kernels_.isa; }
  Result<WeightPtr> pack_rows(const RowSource& source, DType dtype) override {
    ASSIGN_OR_RETURN(WeightPtr weight, PackedWeight::pack(source, dtype, packer()));
    return weight;
  }
  Result<WeightPtr> pack_stack(
      const Shape& shape, DType dtype,
      const std::function<Result<const RowSource*>(int64_t index)>& read) override {
    ASSIGN_OR_RETURN(WeightPtr weight, StackedWeight::pack(shape, dtype, read, packer()));
    return weight;
  }
  int64_t packed_bytes(const Shape& shape, DType dtype) const override {
    return shape.rank() == 3 ? StackedWeight::packed_bytes(shape, dtype)
                             : PackedWeight::packed_bytes(shape, dtype);
  }
  Ops& ops() override { return *this; }
  ThreadPool* thread_pool() override { return &pool_; }
  Result<void> reserve_arena(size_t num_bytes) override {
    pack_scratch_.clear();
    return arena_.reserve(num_bytes);
  }

  void begin_step() override {
    arena_.clear();
    rope_.clear();
  }
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
  std::span<const float> read(const Tensor& x) override {
    return {x.data, static_cast<size_t>(x.shape.num_elements())};
  }

 private:
  Tensor gate_mul(void (*kernel)(const float*, const float*, float*, int64_t), const Tensor& gate,
                  const Tensor& up);
  // Runs body(row) for all rows; pieces hold at least 16,384 floats, some microseconds of work.
  template <typename Body>
  void for_rows(int64_t rows, int64_t row_floats, const Body& body) {
    const int64_t grain = std::max<int64_t>(1, 16384 / std::max<int64_t>(1, row_floats));
    pool_.parallel_for(rows, grain, [&](int64_t begin, int64_t end, int32_t) {
      for (int64_t row = begin; row < end; ++row) body(row);
    });
  }

  Packer packer() {
    pack_scratch_.resize(static_cast<size_t>(pool_.num_threads()));
    return {.kernels = kernels_, .pool = pool_, .scratch = pack_scratch_};
  }

  const CpuKernels& kernels_;
  ThreadPool pool_;
  std::vector<Buffer> pack_scratch_;  // while weights are loaded
  MatmulDriver matmul_;
  AttentionDriver attention_;
  MoeDriver moe_;
  Arena arena_;
  RopeCache rope_;
};

Tensor CpuBackend::embed(const Weight& table, std::span<const int32_t> token_ids) {
  const Tensor out = arena_.make(embed_shape(table, static_cast<int64_t>(token_ids.size())));
  const PackedWeight& weight = packed(table);
  const int64_t columns = out.shape[1];
  for_rows(out.shape[0], columns, [&](int64_t row) {
    const int32_t id = token_ids[static_cast<size_t>(row)];
    CHECK(id >= 0 && id < weight.shape()[0]);
    weight.decode_row(id, out.data + row * columns);
  });
  return out;
}

Tensor CpuBackend::rms_norm(const Tensor& x, const Weight& weight, float eps) {
  check_rms_norm(x, weight);
  const Tensor out = arena_.make(x.shape);
  const int64_t n = weight.shape()[0];
  const float* scale = packed(weight).vector();
  for_rows(x.shape.num_elements() / n, n, [&](int64_t row) {
    kernels_.rms_norm(x.data + row * n, scale, out.data + row * n, n, eps);
  });
  return out;
}

Tensor CpuBackend::matmul(const Tensor& x, const Weight& weight) {
  const Weight* const weights[] = {&weight};
  return matmul_many(x, weights).front();
}

std::vector<Tensor> CpuBackend::matmul_many(const Tensor& x,
                                            std::span<const Weight* const> weights) {
  std::vector<Tensor> results;
  results.reserve(weights.size());
  for (const Weight* weight : weights) results.push_back(arena_.make(matmul_shape(x, *weight)));
  const int64_t rows = num_rows(x.shape);
  std::byte* scratch = arena_.scratch(matmul_scratch_bytes(rows, num_columns(x.shape)));
  // Weights of one format share the conversion of x and one parallel loop.
  std::vector<bool> done(weights.size());
  for (size_t first = 0; first < weights.size(); ++first) {
    if (done[first]) continue;
    std::vector<Product> products;
    for (size_t i = first; i < weights.size(); ++i) {
      if (weights[i]->dtype() != weights[first]->dtype()) continue;
      products.push_back({.weight = &packed(*weights[i]), .out = results[i].data});
      done[i] = true;
    }
    matmul_.run(x.data, rows, products, scratch);
  }
  return results;
}

Tensor CpuBackend::rope(const Tensor& x, std::span<const int32_t> positions, const RopeTable& table,
                        int32_t head_size) {
  check_rope(x, static_cast<int64_t>(positions.size()), table, head_size);
  const Tensor out = arena_.make(x.shape);
  const RopeCache::Entry& angles = rope_.get(positions, table, pool_);
  const int64_t columns = num_columns(x.shape);
  const auto half = static_cast<int64_t>(table.inv_freq.size());
  const auto rest_bytes = static_cast<size_t>(head_size - 2 * half) * sizeof(float);
  for_rows(num_rows(x.shape), columns, [&](int64_t row) {
    const float* cos = angles.cos.data() + row * half;
    const float* sin = angles.sin.data() + row * half;
    for (int64_t i = row * columns; i < (row + 1) * columns; i += head_size) {
      kernels_.rope(x.data + i, cos, sin, out.data + i, half);
      if (rest_bytes > 0) std::memcpy(out.data + i + 2 * half, x.data + i + 2 * half, rest_bytes);
    }
  });
  return out;
}

Tensor CpuBackend::attention(const Tensor& q, const Tensor& k, const Tensor& v,
                             const AttentionParams& params, const AttentionBatch& batch,
                             KvCache& cache) {
  const Tensor out = arena_.make(attention_shape(q, k, v, params, batch, cache.geometry()));
  attention_.run({.q = q.data,
                  .k = k.data,
                  .v = v.data,
                  .out = out.data,
                  .sinks = params.sinks != nullptr ? packed(*params.sinks).vector() : nullptr,
                  .params = params,
                  .batch = batch,
                  .cache = cache});
  return out;
}

Tensor CpuBackend::add(const Tensor& a, const Tensor& b) {
  CHECK(a.shape == b.shape);
  const Tensor out = arena_.make(a.shape);
  const int64_t n = num_columns(a.shape);
  for_rows(num_rows(a.shape), n, [&](int64_t row) {
    kernels_.add(a.data + row * n, b.data + row * n, out.data + row * n, n);
  });
  return out;
}

Tensor CpuBackend::add_bias(const Tensor& x, const Weight& bias) {
  check_add_bias(x, bias);
  const Tensor out = arena_.make(x.shape);
  const int64_t n = num_columns(x.shape);
  const float* values = packed(bias).vector();
  for_rows(num_rows(x.shape), n,
           [&](int64_t row) { kernels_.add(x.data + row * n, values, out.data + row * n, n); });
  return out;
}

Tensor CpuBackend::gate_mul(void (*kernel)(const float*, const float*, float*, int64_t),
                            const Tensor& gate, const Tensor& up) {
  CHECK(gate.shape == up.shape);
  const Tensor out = arena_.make(gate.shape);
  const int64_t n = num_columns(gate.shape);
  for_rows(num_rows(gate.shape), n, [&](int64_t row) {
    kernel(gate.data + row * n, up.data + row * n, out.data + row * n, n);
  });
  return out;
}

Tensor CpuBackend::silu_mul(const Tensor& gate, const Tensor& up) {
  return gate_mul(kernels_.silu_mul, gate, up);
}

Tensor CpuBackend::gelu_mul(const Tensor& gate, const Tensor& up) {
  return gate_mul(kernels_.gelu_mul, gate, up);
}

Tensor CpuBackend::scale(const Tensor& x, float factor) {
  const int64_t n = num_columns(x.shape);
  for_rows(num_rows(x.shape), n,
           [&](int64_t row) { kernels_.scale(x.data + row * n, factor, x.data + row * n, n); });
  return x;
}

Tensor CpuBackend::soft_cap(const Tensor& x, float cap) {
  CHECK(cap > 0.0F);
  const int64_t n = num_columns(x.shape);
  for_rows(num_rows(x.shape), n,
           [&](int64_t row) { kernels_.soft_cap(x.data + row * n, cap, x.data + row * n, n); });
  return x;
}

Tensor CpuBackend::moe(const Tensor& x, const Tensor& router_logits, const ExpertWeights& experts,
                       const MoeParams& params) {
  const Tensor out = arena_.make(moe_shape(x, router_logits, experts, params));
  const Shape& gate = experts.gate->shape();
  const MoeScratch layout(out.shape[0] * params.top_k, gate[2], gate[1]);
  moe_.run({.x = x.data,
            .router_logits = router_logits.data,
            .out = out.data,
            .num_tokens = out.shape[0],
            .experts = experts,
            .params = params,
            .scratch = arena_.scratch(layout.num_bytes)});
  return out;
}

Tensor CpuBackend::gather_rows(const Tensor& x, std::span<const int32_t> rows) {
  const Tensor out = arena_.make(gather_shape(x, static_cast<int64_t>(rows.size())));
  const int64_t columns = x.shape[1];
  for (size_t i = 0; i < rows.size(); ++i) {
    CHECK(rows[i] >= 0 && rows[i] < x.shape[0]);
    std::memcpy(out.data + static_cast<int64_t>(i) * columns, x.data + rows[i] * columns,
                static_cast<size_t>(columns) * sizeof(float));
  }
  return out;
}

Tensor CpuBackend::keep_only(const Tensor& x) {
  arena_.clear();
  const Tensor out = arena_.make(x.shape);
  // The new place is at or before the old one and may overlap it.
  std::memmove(out.data, x.data, static_cast<size_t>(x.shape.num_elements()) * sizeof(float));
  return out;
}

}  // namespace

Result<std::unique_ptr<Backend>> make_cpu_backend(const CpuBackendConfig& config) {
  constexpr int32_t kMaxThreads = 1024;
  if (config.num_threads < 1 || config.num_threads > kMaxThreads) {
    return invalid_argument(
        fmt::format("{} compute threads: must be 1 to {}", config.num_threads, kMaxThreads));
  }
  ASSIGN_OR_RETURN(const CpuKernels* kernels, choose_kernels(config.isa));
  return std::unique_ptr<Backend>(std::make_unique<CpuBackend>(*kernels, config.num_threads));
}

}  // namespace pagoda::cpu
