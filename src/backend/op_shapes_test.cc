// Shape rules of Ops.
#include "backend/op_shapes.h"

#include <gtest/gtest.h>

#include "backend/null_ops.h"

namespace pagoda {
namespace {

TEST(OpShapes, RowsAreAllDimensionsButTheLast) {
  EXPECT_EQ(num_rows({2, 3, 4}), 6);
  EXPECT_EQ(num_columns({2, 3, 4}), 4);
  EXPECT_EQ(num_rows({5}), 1);
}

TEST(OpShapes, ProductsTakeEveryRowAndGiveTheWeightsOutputs) {
  const WeightPtr weight = null_weight({7, 4}, DType::kF32);
  EXPECT_EQ(matmul_shape({.data = nullptr, .shape = {2, 3, 4}}, *weight), (Shape{6, 7}));
}

TEST(OpShapes, ResultsStartOnCacheLines) {
  EXPECT_EQ(tensor_arena_bytes(0), 0U);
  EXPECT_EQ(tensor_arena_bytes(1), kArenaAlignment);
  EXPECT_EQ(tensor_arena_bytes(17), 2 * kArenaAlignment);
}

TEST(OpShapesDeathTest, AttentionRowsMustBeCoveredInOrder) {
  const AttentionParams params = {
      .layer = 0, .num_heads = 2, .num_kv_heads = 1, .head_size = 4, .scale = 1.0F};
  const KvCacheGeometry geometry = {.num_layers = 1,
                                    .num_blocks = 1,
                                    .block_size = 4,
                                    .num_kv_heads = 1,
                                    .head_size = 4,
                                    .dtype = DType::kF32};
  const Tensor q = {.data = nullptr, .shape = {3, 8}};
  const Tensor kv = {.data = nullptr, .shape = {3, 4}};
  std::vector<AttentionSequence> sequences(2);
  sequences[0].num_rows = 2;
  sequences[1].num_rows = 1;
  sequences[1].first_row = 2;
  EXPECT_EQ(attention_shape(q, kv, kv, params, {.sequences = sequences}, geometry), q.shape);
  sequences[1].first_row = 1;
  EXPECT_DEATH(attention_shape(q, kv, kv, params, {.sequences = sequences}, geometry),
               "CHECK failed");
}

}  // namespace
}  // namespace pagoda
