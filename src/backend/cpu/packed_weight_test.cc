// Packing: values survive the layout, refusals name their reason, sizes are as announced.
#include "backend/cpu/packed_weight.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "backend/cpu/test_backend.h"

namespace pagoda::cpu {
namespace {

using testing::HasSubstr;

TEST(PackedWeight, EmbedReturnsTheStoredRowsExactly) {
  const std::vector<float> table = random_floats(70 * 96, 1);
  const std::vector<int32_t> ids = {0, 69, 31, 32, 32, 5};
  for (const DType source : {DType::kF32, DType::kBF16, DType::kF16, DType::kQ8_0}) {
    const std::vector<float> stored = decoded(encoded(table, source), source, 70 * 96);
    for (const DType dtype : {DType::kF32, DType::kBF16, DType::kQ8_0}) {
      // What the target format makes of the source's values; q8_0 blocks are taken as they are.
      const std::vector<float> want =
          dtype == source ? stored : decoded(encoded(stored, dtype), dtype, 70 * 96);
      for (const std::string& isa : isas()) {
        const auto backend = make_backend(isa);
        const WeightPtr weight = pack(*backend, table, {70, 96}, dtype, source);
        const std::vector<float> got = copy(*backend, backend->ops().embed(*weight, ids));
        for (size_t i = 0; i < ids.size(); ++i) {
          for (size_t k = 0; k < 96; ++k) {
            ASSERT_EQ(got[i * 96 + k], want[static_cast<size_t>(ids[i]) * 96 + k])
                << isa << " " << format_traits(source).name << " as " << format_traits(dtype).name;
          }
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

TEST(PackedWeight, PackedBytesAreWhatPackHolds) {
  const auto backend = make_backend("");
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kQ8_0}) {
    const WeightPtr matrix = pack(*backend, random_floats(33 * 64, 1), {33, 64}, dtype);
    EXPECT_EQ(matrix->num_bytes(), backend->packed_bytes({33, 64}, dtype));
    const WeightPtr vector = pack(*backend, random_floats(33, 1), {33}, dtype);
    EXPECT_EQ(vector->num_bytes(), backend->packed_bytes({33}, dtype));
    EXPECT_EQ(vector->dtype(), DType::kF32);
  }
}

}  // namespace
}  // namespace pagoda::cpu
