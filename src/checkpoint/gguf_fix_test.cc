// Row orders and unit norms, there and back.
#include "checkpoint/gguf_fix.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

namespace pagoda {
namespace {

std::span<std::byte> bytes_of(std::string& text) {
  return std::as_writable_bytes(std::span<char>(text));
}

TEST(GgufFix, RowsOfInterleavedPairsBecomeHalves) {
  // Two heads of four rows of two bytes. The first head was a0 a1 | b0 b1 before the conversion.
  std::string rows = "a0b0a1b1c0d0c1d1";
  const Shape shape = {8, 2};
  undo_gguf_fix(GgufFix::kInterleavedQueryRows, 2, shape, bytes_of(rows));
  EXPECT_EQ(rows, "a0a1b0b1c0c1d0d1");
  apply_gguf_fix(GgufFix::kInterleavedQueryRows, 2, shape, bytes_of(rows));
  EXPECT_EQ(rows, "a0b0a1b1c0d0c1d1");
}

TEST(GgufFix, ARowIsFoundWhereUndoingTakesItFrom) {
  for (const GgufFix fix :
       {GgufFix::kNone, GgufFix::kInterleavedQueryRows, GgufFix::kInterleavedKeyRows}) {
    const std::string stored = "abcdefghijklmnopqr";
    std::string rows = stored;
    const Shape shape = {18, 1};
    undo_gguf_fix(fix, 3, shape, bytes_of(rows));
    for (int64_t row = 0; row < 18; ++row) {
      EXPECT_EQ(stored[static_cast<size_t>(gguf_row(fix, 3, shape, row))],
                rows[static_cast<size_t>(row)]);
    }
  }
}

TEST(GgufFix, ElementsOfABiasMoveLikeRows) {
  std::string bias = "AAAACCCCBBBBDDDD";
  undo_gguf_fix(GgufFix::kInterleavedKeyRows, 1, {4}, bytes_of(bias));
  EXPECT_EQ(bias, "AAAABBBBCCCCDDDD");
}

TEST(GgufFix, NormsLoseTheirOneAndGetItBackToTheBit) {
  std::vector<float> norm = {1.25F, 0.5F, 1.0F, 3.75F};
  const std::vector<float> stored = norm;
  const auto data = std::as_writable_bytes(std::span<float>(norm));
  undo_gguf_fix(GgufFix::kUnitAdded, 1, {4}, data);
  EXPECT_EQ(norm, (std::vector<float>{0.25F, -0.5F, 0.0F, 2.75F}));
  apply_gguf_fix(GgufFix::kUnitAdded, 1, {4}, data);
  EXPECT_EQ(norm, stored);
}

TEST(GgufFix, NothingChangesWithoutAFix) {
  std::string rows = "a0b0a1b1";
  undo_gguf_fix(GgufFix::kNone, 1, {4, 2}, bytes_of(rows));
  EXPECT_EQ(rows, "a0b0a1b1");
}

TEST(GgufFix, ShapesThatMakeNoHeadsAreRefused) {
  const auto check = [](GgufFix fix, int64_t heads, const Shape& shape, DType dtype) {
    return check_gguf_fix(fix, heads, shape, dtype).ok();
  };
  EXPECT_TRUE(check(GgufFix::kInterleavedQueryRows, 2, {8, 32}, DType::kQ4_0));
  EXPECT_FALSE(check(GgufFix::kInterleavedQueryRows, 3, {8, 32}, DType::kF32));
  EXPECT_FALSE(check(GgufFix::kInterleavedKeyRows, 2, {6, 32}, DType::kF32));
  EXPECT_FALSE(check(GgufFix::kInterleavedKeyRows, 0, {8, 32}, DType::kF32));
  EXPECT_FALSE(check(GgufFix::kInterleavedKeyRows, 1, {32}, DType::kQ8_0));
  EXPECT_FALSE(check(GgufFix::kUnitAdded, 1, {32}, DType::kF16));
}

}  // namespace
}  // namespace pagoda
