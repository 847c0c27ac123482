// Conversion of matrices: what encoding row after row gives, on any number of workers.
#include "tensor/quantize.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <vector>

namespace pagoda {
namespace {

TEST(Quantize, GivesTheBlocksOfEachRowOnAnyNumberOfWorkers) {
  constexpr int64_t kRows = 21;
  constexpr int64_t kColumns = 256;
  std::mt19937 generator(1);
  std::normal_distribution<float> normal;
  std::vector<float> values(kRows * kColumns);
  for (float& value : values) value = normal(generator);
  const TensorView source = {.data = reinterpret_cast<const std::byte*>(values.data()),
                             .dtype = DType::kF32,
                             .shape = {kRows, kColumns}};
  ThreadPool pool(3);
  Buffer blocks;
  for (const DType dtype : {DType::kQ4_0, DType::kQ4_K, DType::kQ8_0}) {
    std::vector<std::byte> want(static_cast<size_t>(dtype_bytes(dtype, kRows * kColumns)));
    format_traits(dtype).encode(values.data(), want.data(), kRows * kColumns);
    for (ThreadPool* workers : {&pool, static_cast<ThreadPool*>(nullptr)}) {
      const auto view = quantize(source, dtype, workers, blocks);
      ASSERT_TRUE(view.ok());
      EXPECT_EQ(view->dtype, dtype);
      EXPECT_EQ(view->shape, source.shape);
      EXPECT_EQ(0, std::memcmp(view->data, want.data(), want.size())) << format_traits(dtype).name;
    }
  }
}

}  // namespace
}  // namespace pagoda
