// NullOps counts what a real backend needs and checks what it checks.
#include "backend/null_ops.h"

#include <gtest/gtest.h>

#include "backend/cpu/test_backend.h"

namespace pagoda {
namespace {

using cpu::make_cpu_backend;
using cpu::pack;
using cpu::random_floats;

// What NullOps counts is enough, and not a byte is spare: the reserve is exactly that.
TEST(NullOps, CountsTheArenaThatTheSameCallsNeed) {
  const auto run = [](Ops& ops, const Weight& table, const Weight& w) {
    ops.begin_step();
    const std::vector<int32_t> ids(9, 1);
    Tensor h = ops.embed(table, ids);
    for (int layer = 0; layer < 3; ++layer) {
      const Tensor gate = ops.scale(ops.matmul(h, w), 0.5F);
      h = ops.keep_only(ops.soft_cap(ops.add(h, ops.gelu_mul(gate, h)), 3.0F));
    }
    return h;
  };
  NullOps null_ops;
  run(null_ops, *null_weight({40, 64}, DType::kF32), *null_weight({64, 64}, DType::kF32));
  auto backend = make_cpu_backend({.num_threads = 2, .isa = ""});
  ASSERT_TRUE(backend.ok());
  ASSERT_TRUE((*backend)->reserve_arena(null_ops.num_arena_bytes()).ok());
  const WeightPtr table = pack(**backend, random_floats(40 * 64, 1), {40, 64}, DType::kF32);
  const WeightPtr w = pack(**backend, random_floats(64 * 64, 1), {64, 64}, DType::kF32);
  EXPECT_EQ(run((*backend)->ops(), *table, *w).shape, (Shape{9, 64}));
}

TEST(NullOps, GivesShapesWithoutData) {
  NullOps ops;
  ops.begin_step();
  const std::vector<int32_t> ids = {1, 2, 3};
  const Tensor x = ops.embed(*null_weight({40, 64}, DType::kF32), ids);
  EXPECT_EQ(x.data, nullptr);
  EXPECT_EQ(x.shape, (Shape{3, 64}));
  const WeightPtr a = null_weight({10, 64}, DType::kBF16);
  const WeightPtr b = null_weight({20, 64}, DType::kBF16);
  const Weight* const weights[] = {a.get(), b.get()};
  EXPECT_EQ(ops.matmul_many(x, weights)[1].shape, (Shape{3, 20}));
  EXPECT_EQ(ops.read(ops.gather_rows(x, std::vector<int32_t>{2})).size(), 64U);
}

TEST(NullOpsDeathTest, AProductWhoseShapesDoNotFitIsOurBug) {
  NullOps ops;
  ops.begin_step();
  const Tensor x = ops.embed(*null_weight({40, 64}, DType::kF32), std::vector<int32_t>{1});
  EXPECT_DEATH(ops.matmul(x, *null_weight({10, 63}, DType::kBF16)), "CHECK failed");
}

}  // namespace
}  // namespace pagoda
