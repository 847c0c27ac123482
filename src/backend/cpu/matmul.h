// Products with packed weights: conversion of x, blocking, and the split among workers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "backend/cpu/kernels.h"
#include "backend/cpu/packed_weight.h"
#include "base/thread_pool.h"

namespace pagoda::cpu {

// One product x [T, In] times weight [Out, In] transposed, into out [T, Out].
struct Product {
  const PackedWeight* weight;
  float* out;
};

// Rows of x that meet the same weights, which must have the same In and dtype.
struct ProductGroup {
  const float* x;       // [., In]
  const int32_t* rows;  // [num_rows], which rows of x; null: 0, 1, 2, ...
  int64_t num_rows;
  std::span<const Product> products;  // into num_rows rows each
  // Holds the converted rows: matmul_scratch_bytes(num_rows, In) bytes, aligned to 64.
  std::byte* scratch;
};

// Owns the workers' small buffers for sums. Engine thread only; `kernels` and `pool` outlive it.
class MatmulDriver {
 public:
  MatmulDriver(const CpuKernels& kernels, ThreadPool& pool);

  // All products of x, whose weights must have the same In and dtype. `scratch` holds the converted
  // x: matmul_scratch_bytes(num_tokens, In) bytes, aligned to 64.
  void run(const float* x, int64_t num_tokens, std::span<const Product> products,
           std::byte* scratch);
  // Groups with operands of their own, in one parallel loop: many small products keep all workers
  // busy. Every output is what run() would give for its group alone.
  void run_groups(std::span<const ProductGroup> groups);

 private:
  const CpuKernels& kernels_;
  ThreadPool& pool_;
  std::vector<std::vector<float>> sums_;  // one a worker
};

// The kernel for a weight format.
const MatmulKernel& matmul_kernel(const CpuKernels& kernels, DType dtype);

}  // namespace pagoda::cpu
