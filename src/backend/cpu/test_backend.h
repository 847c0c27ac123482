// Helpers of the CPU backend's tests: random operands, packed weights, results as vectors.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/cpu_info.h"
#include "backend/cpu/packed_weight.h"

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

// Every format that matrices can be kept in, and those among them that come in blocks.
inline std::vector<DType> matrix_formats() {
  std::vector<DType> formats;
  for (int i = 0; i <= static_cast<int>(DType::kF8E4M3); ++i) {
    const auto dtype = static_cast<DType>(i);
    if (PackedWeight::packed_bytes({1, 256}, dtype) > 0) formats.push_back(dtype);
  }
  return formats;
}
inline std::vector<DType> block_formats() {
  std::vector<DType> formats = matrix_formats();
  std::erase_if(formats, [](DType dtype) { return format_traits(dtype).block_elements == 1; });
  return formats;
}

// What a file may hold for so many elements of a block format: any bits at all, but ordinary
// scales.
inline std::vector<std::byte> random_blocks(DType dtype, int64_t count, uint32_t seed) {
  std::vector<std::byte> bytes(static_cast<size_t>(dtype_bytes(dtype, count)));
  std::mt19937 generator(seed);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(generator());
  const auto size = static_cast<size_t>(format_traits(dtype).block_bytes);
  std::vector<size_t> scales = {0};
  if (dtype == DType::kQ4_1 || dtype == DType::kQ5_1) scales = {0, 2};
  if (dtype == DType::kQ4_K || dtype == DType::kQ5_K) scales = {0, 2};
  if (dtype == DType::kQ2_K) scales = {80, 82};
  if (dtype == DType::kQ3_K || dtype == DType::kQ6_K) scales = {size - 2};
  for (size_t block = 0; block < bytes.size(); block += size) {
    if (dtype == DType::kMXFP4) {
      bytes[block] = static_cast<std::byte>(112 + generator() % 12);
      continue;
    }
    for (const size_t at : scales) {
      // Magnitudes from 2^-9 to 2^-6, both signs.
      const auto bits =
          static_cast<uint16_t>((generator() & 0x83ffU) | (6 + generator() % 3) << 10);
      std::memcpy(bytes.data() + block + at, &bits, sizeof(bits));
    }
  }
  return bytes;
}

// `values` in a format, or random blocks of one that has no encoder.
inline std::vector<std::byte> stored(const std::vector<float>& values, DType dtype,
                                     uint32_t seed = 1) {
  return format_traits(dtype).encode != nullptr
             ? encoded(values, dtype)
             : random_blocks(dtype, static_cast<int64_t>(values.size()), seed);
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

inline WeightPtr pack_stored(Backend& backend, const std::vector<std::byte>& bytes,
                             const Shape& shape, DType dtype) {
  auto weight = backend.pack({.data = bytes.data(), .dtype = dtype, .shape = shape}, dtype);
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
