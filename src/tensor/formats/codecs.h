// Scalar decode and encode of each block format, for the table in tensor/dtype.cc.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pagoda {

// FormatTraits says what these take. Decoding gives the bits that gguf.quants.dequantize of PyPI
// gives. The encoders of simple blocks give the bytes of gguf.quants.quantize; those of Q4_K and
// Q6_K search for the scales with the least squared error and are our own. A NaN or an infinity
// among the inputs makes quants that are valid but mean nothing.
void decode_q8_0(const std::byte* blocks, float* out, int64_t num_elements);
void decode_q4_0(const std::byte* blocks, float* out, int64_t num_elements);
void decode_q4_1(const std::byte* blocks, float* out, int64_t num_elements);
void decode_q5_0(const std::byte* blocks, float* out, int64_t num_elements);
void decode_q5_1(const std::byte* blocks, float* out, int64_t num_elements);
void decode_q2_k(const std::byte* blocks, float* out, int64_t num_elements);
void decode_q3_k(const std::byte* blocks, float* out, int64_t num_elements);
void decode_q4_k(const std::byte* blocks, float* out, int64_t num_elements);
void decode_q5_k(const std::byte* blocks, float* out, int64_t num_elements);
void decode_q6_k(const std::byte* blocks, float* out, int64_t num_elements);
void decode_mxfp4(const std::byte* blocks, float* out, int64_t num_elements);
void decode_f8_e4m3(const std::byte* blocks, float* out, int64_t num_elements);

void encode_q8_0(const float* in, std::byte* blocks, int64_t num_elements);
void encode_q4_0(const float* in, std::byte* blocks, int64_t num_elements);
void encode_q4_1(const float* in, std::byte* blocks, int64_t num_elements);
void encode_q5_0(const float* in, std::byte* blocks, int64_t num_elements);
void encode_q5_1(const float* in, std::byte* blocks, int64_t num_elements);
void encode_q4_k(const float* in, std::byte* blocks, int64_t num_elements);
void encode_q6_k(const float* in, std::byte* blocks, int64_t num_elements);
void encode_mxfp4(const float* in, std::byte* blocks, int64_t num_elements);

}  // namespace pagoda
