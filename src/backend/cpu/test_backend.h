// Helpers of the CPU backend's tests: random operands, packed weights, results as vectors.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/cpu_info.h"

namespace pagoda::cpu {

inline std::vector<float> random_floats(int64_t count, uint32_t seed, float scale = 1.0F) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0.0F, scale);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = normal(generator);
  return values;
}

inline std::vector<std::byte> encoded(const std::vector<float>& values, DType dtype) {
  const auto count = static_cast<int64_t>(values.size());
  std::vector<std::byte> bytes(static_cast<size_t>(dtype_bytes(dtype, count)));
  format_traits(dtype).encode(values.data(), bytes.data(), count);
  return bytes;
}

inline std::vector<float> decoded(const std::vector<std::byte>& bytes, DType dtype, int64_t count) {
  std::vector<float> values(static_cast<size_t>(count));
  format_traits(dtype).decode(bytes.data(), values.data(), count);
  return values;
}

inline std::unique_ptr<Backend> make_backend(const std::string& isa, int32_t num_threads = 1) {
  auto backend = make_cpu_backend({.num_threads = num_threads, .isa = isa});
  EXPECT_TRUE(backend.ok());
  EXPECT_TRUE((*backend)->reserve_arena(64 << 20).ok());
  (*backend)->ops().begin_step();
  return std::move(backend).value();
}

inline std::vector<std::string> isas() {
  std::vector<std::string> names;
  for (const CpuKernels* table : supported_kernels()) names.emplace_back(table->isa);
  return names;
}

inline WeightPtr pack(Backend& backend, const std::vector<float>& values, const Shape& shape,
                      DType dtype, DType source = DType::kF32) {
  const std::vector<std::byte> bytes = encoded(values, source);
  auto weight = backend.pack({.data = bytes.data(), .dtype = source, .shape = shape}, dtype);
  EXPECT_TRUE(weight.ok());
  return weight.ok() ? weight.value() : nullptr;
}

// A Tensor over memory of the test.
inline Tensor view(std::vector<float>& values, const Shape& shape) {
  return {.data = values.data(), .shape = shape};
}

inline std::vector<float> copy(Backend& backend, const Tensor& x) {
  const std::span<const float> values = backend.ops().read(x);
  return {values.begin(), values.end()};
}

}  // namespace pagoda::cpu
