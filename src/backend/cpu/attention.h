// Paged attention: cache writes, the split among workers, and the online softmax over chunks.
#pragma once

#include <vector>

#include "backend/backend.h"
#include "backend/cpu/kernels.h"
#include "base/thread_pool.h"

namespace pagoda::cpu {

// Borrowed operands of one attention call; rows as in Ops::attention.
struct AttentionCall {
  const float* q;      // [T, H, D]
  const float* k;      // [T, K, D]
  const float* v;      // [T, K, D]
  float* out;          // [T, H, D]
  const float* sinks;  // [H], or null
  const AttentionParams& params;
  const AttentionBatch& batch;
  KvCache& cache;
};

// Owns the workers' buffers. Engine thread only; `kernels` and `pool` outlive it.
class AttentionDriver {
 public:
  AttentionDriver(const CpuKernels& kernels, ThreadPool& pool);
  void run(const AttentionCall& call);

 private:
  // Up to kMaxQueries query vectors of one sequence and one key/value head: vector i is row i / G,
  // head i % G of the group of G = H / K query heads.
  struct Tile {
    const AttentionSequence* sequence;
    int32_t kv_head;
    int32_t first_query;
    int32_t num_queries;
  };
  struct Workspace;

  void write_cache(const AttentionCall& call);
  void score_chunk(const AttentionCall& call, const Tile& tile, int32_t chunk, int32_t num_keys,
                   Workspace& w);
  void run_tile(const AttentionCall& call, const Tile& tile, std::vector<float>& floats);

  const AttentionKernel& kernel_for(DType dtype) const;

  const CpuKernels& kernels_;
  ThreadPool& pool_;
  std::vector<std::vector<float>> floats_;  // one a worker
  std::vector<Tile> tiles_;
};

}  // namespace pagoda::cpu
