// Stacks: what they hold, what they refuse, and in which order they read.
#include "backend/cpu/stacked_weight.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <optional>

#include "backend/cpu/test_backend.h"

namespace pagoda::cpu {
namespace {

TEST(StackedWeight, HoldsEachMatrixAsPackingItAloneDoes) {
  const auto backend = make_backend("");
  const std::vector<float> values = random_floats(3 * 40 * 64, 1);
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kQ8_0}) {
    std::vector<int64_t> reads;
    std::optional<ViewRows> rows;
    const auto stack =
        backend->pack_stack({3, 40, 64}, dtype, [&](int64_t i) -> Result<const RowSource*> {
          reads.push_back(i);
          const float* from = values.data() + i * 40 * 64;
          rows.emplace(TensorView{reinterpret_cast<const std::byte*>(from), DType::kF32, {40, 64}});
          return &*rows;
        });
    ASSERT_TRUE(stack.ok());
    EXPECT_THAT(reads, testing::ElementsAre(0, 1, 2));
    EXPECT_EQ((*stack)->shape(), (Shape{3, 40, 64}));
    EXPECT_EQ((*stack)->num_bytes(), backend->packed_bytes({3, 40, 64}, dtype));
    for (int64_t i = 0; i < 3; ++i) {
      const auto at = values.begin() + i * 40 * 64;
      const WeightPtr alone = pack(*backend, {at, at + 40 * 64}, {40, 64}, dtype);
      const auto& got = static_cast<const StackedWeight&>(**stack).matrix(i);
      const auto& want = static_cast<const PackedWeight&>(*alone);
      for (int64_t row = 0; row < 40; ++row) {
        float got_row[64];
        float want_row[64];
        got.decode_row(row, got_row);
        want.decode_row(row, want_row);
        ASSERT_TRUE(std::equal(got_row, got_row + 64, want_row)) << i << " " << row;
      }
    }
  }
}

TEST(StackedWeight, PassesTheReadersErrorOn) {
  const auto backend = make_backend("");
  const auto stack =
      backend->pack_stack({2, 4, 8}, DType::kF32, [](int64_t) -> Result<const RowSource*> {
        return Error{ErrorCode::kNotFound, "gone"};
      });
  ASSERT_FALSE(stack.ok());
  EXPECT_EQ(stack.error().code, ErrorCode::kNotFound);
}

TEST(StackedWeight, RefusesShapesThatAreNoStackBeforeReading) {
  const auto backend = make_backend("");
  constexpr int64_t kHuge = std::numeric_limits<int64_t>::max() / 2;
  const std::pair<Shape, DType> refused[] = {{{4, 8}, DType::kF32},
                                             {{0, 4, 8}, DType::kF32},
                                             {{2, 4, 33}, DType::kQ8_0},
                                             {{kHuge, 4, 8}, DType::kF32},
                                             {{2, kHuge, 8}, DType::kF32}};
  for (const auto& [shape, dtype] : refused) {
    const auto stack = backend->pack_stack(shape, dtype, [](int64_t) -> Result<const RowSource*> {
      ADD_FAILURE() << "read";
      return Error{ErrorCode::kInternal, ""};
    });
    ASSERT_FALSE(stack.ok()) << to_string(shape);
    EXPECT_EQ(stack.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(stack.error().message, testing::HasSubstr(to_string(shape)));
  }
}

}  // namespace
}  // namespace pagoda::cpu
