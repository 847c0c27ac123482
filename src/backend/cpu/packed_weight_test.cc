// Packing: values survive the layout, refusals name their reason, sizes are as announced.
#include "backend/cpu/packed_weight.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "backend/cpu/test_backend.h"

namespace pagoda::cpu {
namespace {

using testing::HasSubstr;

TEST(PackedWeight, EmbedReturnsTheStoredRowsExactly) {
  const std::vector<float> table = random_floats(70 * 256, 1);
  const std::vector<int32_t> ids = {0, 69, 31, 32, 32, 5};
  std::vector<DType> sources = matrix_formats();
  sources.push_back(DType::kF16);
  for (const DType source : sources) {
    const std::vector<std::byte> bytes = stored(table, source);
    const std::vector<float> values = decoded(bytes, source, 70 * 256);
    for (const DType dtype : matrix_formats()) {
      if (source != dtype && format_traits(dtype).encode == nullptr) continue;
      // Searching encoders are slow under a sanitizer; their blocks take the same way as q4_0's.
      const bool slow = dtype == DType::kQ4_K || dtype == DType::kQ6_K;
      if (slow && source != dtype && source != DType::kBF16) continue;
      // What the target format makes of the source's values; its own blocks are taken as they are.
      const std::vector<float> want =
          dtype == source ? values : decoded(encoded(values, dtype), dtype, 70 * 256);
      const auto backend = make_backend("");
      const auto weight =
          backend->pack({.data = bytes.data(), .dtype = source, .shape = {70, 256}}, dtype);
      ASSERT_TRUE(weight.ok());
      const std::vector<float> got = copy(*backend, backend->ops().embed(**weight, ids));
      for (size_t i = 0; i < ids.size(); ++i) {
        for (size_t k = 0; k < 256; ++k) {
          ASSERT_EQ(got[i * 256 + k], want[static_cast<size_t>(ids[i]) * 256 + k])
              << format_traits(source).name << " as " << format_traits(dtype).name << " k=" << k;
        }
      }
    }
  }
}

TEST(PackedWeight, PackRefusesWhatAFormatCannotHoldAndNamesIt) {
  const auto backend = make_backend("");
  const std::vector<float> values(64 * 33);
  const TensorView view = {.data = reinterpret_cast<const std::byte*>(values.data()),
                           .dtype = DType::kF32,
                           .shape = {64, 33}};
  const auto q8 = backend->pack(view, DType::kQ8_0);
  ASSERT_FALSE(q8.ok());
  EXPECT_EQ(q8.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(q8.error().message, HasSubstr("q8_0"));
  EXPECT_THAT(q8.error().message, HasSubstr("[64, 33]"));
  EXPECT_FALSE(backend->pack(view, DType::kI32).ok());
  EXPECT_FALSE(
      backend->pack({.data = view.data, .dtype = DType::kF32, .shape = {0, 4}}, DType::kF32).ok());
  EXPECT_FALSE(
      backend->pack({.data = view.data, .dtype = DType::kI32, .shape = {4}}, DType::kF32).ok());
}

TEST(PackedWeight, PackRefusesToMakeBlocksOfFormatsThatAreOnlyRead) {
  const auto backend = make_backend("");
  const std::vector<float> values(256);
  const auto* data = reinterpret_cast<const std::byte*>(values.data());
  for (const DType dtype : {DType::kQ2_K, DType::kQ3_K, DType::kQ5_K}) {
    const auto refused =
        backend->pack({.data = data, .dtype = DType::kF32, .shape = {1, 256}}, dtype);
    ASSERT_FALSE(refused.ok());
    EXPECT_THAT(refused.error().message, HasSubstr(std::string(format_traits(dtype).name)));
  }
}

TEST(PackedWeight, PackedBytesAreWhatPackHolds) {
  const auto backend = make_backend("");
  for (const DType dtype : matrix_formats()) {
    const std::vector<std::byte> bytes = stored(random_floats(33 * 512, 1), dtype);
    const WeightPtr matrix = pack_stored(*backend, bytes, {33, 512}, dtype);
    EXPECT_EQ(matrix->num_bytes(), backend->packed_bytes({33, 512}, dtype));
    const WeightPtr vector = pack(*backend, random_floats(33, 1), {33}, dtype);
    EXPECT_EQ(vector->num_bytes(), backend->packed_bytes({33}, dtype));
    EXPECT_EQ(vector->dtype(), DType::kF32);
  }
}

TEST(PackedWeight, TakesAtMostSixPercentMoreThanTheFilesBlocks) {
  for (const DType dtype : block_formats()) {
    const int64_t packed = PackedWeight::packed_bytes({64, 2048}, dtype);
    EXPECT_LE(packed, dtype_bytes(dtype, 64 * 2048) * 106 / 100) << format_traits(dtype).name;
  }
}

TEST(PackedWeight, HoldsNoBlockFormatWhoseRowsAreNotWholeBlocks) {
  for (const DType dtype : block_formats()) {
    const int64_t block = format_traits(dtype).block_elements;
    EXPECT_EQ(PackedWeight::packed_bytes({4, block + block / 2}, dtype), 0);
    EXPECT_GT(PackedWeight::packed_bytes({4, block * 3}, dtype), 0);
  }
}

}  // namespace
}  // namespace pagoda::cpu
