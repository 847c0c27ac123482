// Buffer: alignment, zeros, moves and refusals.
#include "tensor/buffer.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <utility>

namespace pagoda {
namespace {

TEST(Buffer, MemoryIsZeroAlignedAndWritableToItsLastByte) {
  for (const size_t num_bytes : {size_t{1}, size_t{4096}, size_t{4097}, size_t{5} << 20}) {
    auto buffer = Buffer::allocate(num_bytes);
    ASSERT_TRUE(buffer.ok());
    EXPECT_EQ(buffer->num_bytes(), num_bytes);
    const size_t alignment = num_bytes >= (size_t{4} << 20) ? size_t{2} << 20 : 64;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer->data()) % alignment, 0U);
    EXPECT_EQ(buffer->data()[num_bytes - 1], std::byte{0});
    buffer->data()[0] = std::byte{1};
    buffer->data()[num_bytes - 1] = std::byte{2};
  }
}

TEST(Buffer, MovingHandsTheMemoryOn) {
  auto first = Buffer::allocate(100);
  ASSERT_TRUE(first.ok());
  std::byte* data = first->data();
  Buffer second = std::move(first).value();
  EXPECT_EQ(second.data(), data);
  auto third = Buffer::allocate(200);
  ASSERT_TRUE(third.ok());
  second = std::move(third).value();
  EXPECT_EQ(second.num_bytes(), 200U);
  second.data()[199] = std::byte{1};
}

TEST(Buffer, NothingIsAnEmptyBufferAndTheImpossibleIsRefused) {
  const auto empty = Buffer::allocate(0);
  ASSERT_TRUE(empty.ok());
  EXPECT_EQ(empty->data(), nullptr);
  for (const size_t num_bytes : {std::numeric_limits<size_t>::max(),
                                 std::numeric_limits<size_t>::max() / 2, size_t{1} << 60}) {
    const auto refused = Buffer::allocate(num_bytes);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::kOverloaded);
  }
}

}  // namespace
}  // namespace pagoda
