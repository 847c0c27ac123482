// QuantizedLinear: a matrix that a Hugging Face checkpoint holds in integers or FP8 with scales,
// read as one of our formats.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tensor/tensor.h"

namespace pagoda {

// What find_quantized_linears() must know of a tensor of the checkpoint. Borrowed.
struct RawTensor {
  std::string_view name;
  std::string_view dtype_name;  // "I32"
  Shape shape;
};

// How the codes of a matrix [Out, In] lie in a tensor. The value of a code is scale * (code -
// zero).
enum class CodeLayout : uint8_t {
  // I32 [In / n, Out], n codes a word along In, lowest bits first; zeros I32 [G, Out / n]; scales
  // [G, Out]. AutoGPTQ, qlinear_cuda.py; Frantar et al., GPTQ (2022).
  kGptq,
  // I32 [In, Out / 8], 8 codes a word along Out in the order 0 2 4 6 1 3 5 7; zeros I32 [G, Out /
  // 8]
  // likewise; scales [G, Out]. AutoAWQ, packing_utils.py; Lin et al., AWQ (2023).
  kAwq,
  // I32 [Out, In / n], n codes a word along In, lowest bits first; zeros I32 [Out / n, G], along
  // Out;
  // scales [Out, G]. compressed-tensors, pack_quantized.py.
  kPacked,
  // One code a byte, I8 or F8_E4M3, [Out, In]; scales [Out, G] or [Out / r, In / c], each for a
  // block, or one for all. compressed-tensors, naive_quantized.py; DeepSeek-V3, fp8 blocks.
  kBytes,
};

// One such matrix. Plain value; the indices are positions in the list of raw tensors.
struct QuantizedLinear {
  std::string name;  // of the matrix: "model.layers.0.mlp.up_proj.weight"
  CodeLayout layout = CodeLayout::kGptq;
  int64_t out = 0;
  int64_t in = 0;
  int32_t bits = 4;               // 4 or 8
  int64_t scale_rows = 1;         // rows that share a scale
  int64_t scale_columns = 1;      // columns that share a scale
  bool is_fp8 = false;            // codes are F8_E4M3
  bool is_symmetric = true;       // all zeros are in the middle of the codes
  int32_t zero_offset = 0;        // added to stored zeros
  bool has_column_order = false;  // g_idx says which group each column is of
  // What read_quantized_linear() gives: q4_0, q4_1 or q8_0 where those hold the values as they are
  // (up to the rounding of scales to f16), else q8_0 of the values; f32 where rows are no whole
  // number of blocks.
  DType dtype = DType::kF32;
  bool is_exact = false;  // dtype holds codes and scales; otherwise values are quantized again

  size_t codes = 0, scales = 0;
  std::optional<size_t> zeros, group_index;
};

// The matrices that `config_json`'s "quantization_config" tells of, found by the names of their
// tensors; empty without that key, and for the method "mxfp4", whose model reads it by itself.
// kUnsupported for another method, version, number of bits or transform than provided: GPTQ of 4
// and 8 bits (checkpoint formats "gptq" and "gptq_v2"), AWQ of 4 bits (version "gemm"),
// compressed-tensors (pack-quantized of 4 and 8 bits, int-quantized, float-quantized,
// naive-quantized) and "fp8". kInvalidArgument, naming the tensor, for shapes and dtypes that do
// not fit each other.
Result<std::vector<QuantizedLinear>> find_quantized_linears(std::string_view config_json,
                                                            std::span<const RawTensor> tensors);

// The contents of a matrix's tensors, as they lie in the file. Empty: there is none.
struct QuantizedData {
  std::span<const std::byte> codes = {}, scales = {}, zeros = {}, group_index = {};
  DType scale_dtype = DType::kF16;  // kF32, kBF16 or kF16
};

// Writes the matrix in its dtype, row by row, to `out`. kInvalidArgument for a group beyond the
// number of groups, or a zero that is not in the middle although the config says so. REQUIRES:
// spans of the sizes that find_quantized_linears() has checked, and `out` of dtype_bytes().
Result<void> read_quantized_linear(const QuantizedLinear& linear, const QuantizedData& data,
                                   std::span<std::byte> out);

}  // namespace pagoda
