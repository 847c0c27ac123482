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

// Owns the workers' small buffers for sums. Engine thread only; `kernels` and `pool` outlive it.
class MatmulDriver {
 public:
  MatmulDriver(const CpuKernels& kernels, ThreadPool& pool);

  // All products of x, whose weights must have the same In and dtype. `scratch` holds the converted
  // x: matmul_scratch_bytes(num_tokens, In) bytes, aligned to 64.
  void run(const float* x, int64_t num_tokens, std::span<const Product> products,
           std::byte* scratch);

 private:
  const CpuKernels& kernels_;
  ThreadPool& pool_;
  std::vector<std::vector<float>> sums_;  // one a worker
};

// The kernel for a weight format.
const MatmulKernel& matmul_kernel(const CpuKernels& kernels, DType dtype);

}  // namespace pagoda::cpu
