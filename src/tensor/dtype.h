// DType and the table of storage formats: names, block geometry, scalar encode and decode.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/result.h"

namespace pagoda {

enum class DType : uint8_t {
  kF32,
  kBF16,
  kF16,
  kQ8_0,
  kI32,
  kI8,
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ2_K,
  kQ3_K,
  kQ4_K,
  kQ5_K,
  kQ6_K,
  kMXFP4,
  kF8E4M3,
};

// One storage format. Elements come in blocks of `block_elements` taking `block_bytes`; plain types
// have blocks of one. decode and encode are the scalar reference every kernel is tested against;
// they take whole blocks at any address. decode is null for kI32 and kI8, whose elements are whole
// numbers (a KV cache keeps their scales apart, backend/kv_cache.h); encode is null for those and
// for formats that are only read: q2_k, q3_k, q5_k and f8_e4m3. tensor/formats/blocks.h has the
// layouts.
struct FormatTraits {
  DType dtype;
  std::string_view name;         // "f32", "bf16", "f16", "q8_0", "i32", "int8", "q4_k", "mxfp4"
  std::string_view safetensors;  // "F32", "BF16", "F16", "" when there is none
  int32_t gguf_type;             // the number of this type in GGUF files, -1 when there is none
  int32_t block_elements;
  int32_t block_bytes;
  void (*decode)(const std::byte* blocks, float* out, int64_t num_elements);
  void (*encode)(const float* in, std::byte* blocks, int64_t num_elements);
};

const FormatTraits& format_traits(DType dtype);
std::span<const FormatTraits> all_formats();

// Accepts names and vLLM's spellings ("float32", "bfloat16", "float16"); else kInvalidArgument
// listing what is known.
Result<DType> parse_dtype(std::string_view name);

// Bytes of `num_elements` elements. REQUIRES: a whole number of blocks.
int64_t dtype_bytes(DType dtype, int64_t num_elements);

// bf16: the upper half of an IEEE float, rounded to nearest even; NaN stays NaN.
uint16_t float_to_bf16(float value);
float bf16_to_float(uint16_t bits);
// IEEE binary16.
uint16_t float_to_f16(float value);
float f16_to_float(uint16_t bits);

}  // namespace pagoda
