// Shape.
#include "tensor/tensor.h"

#include <gtest/gtest.h>

namespace pagoda {
namespace {

TEST(Shape, CountsItsElementsAndPrintsItsDimensions) {
  const Shape shape = {2, 3, 4};
  EXPECT_EQ(shape.rank(), 3);
  EXPECT_EQ(shape.num_elements(), 24);
  EXPECT_EQ(to_string(shape), "[2, 3, 4]");
  EXPECT_EQ(to_string(Shape{}), "[]");
  EXPECT_EQ(Shape{}.num_elements(), 1);
  EXPECT_EQ((Shape{5, 0}).num_elements(), 0);
}

TEST(Shape, RanksDifferEvenWhenDimensionsAgree) {
  EXPECT_FALSE((Shape{2, 3}) == (Shape{2, 3, 0}));
  EXPECT_TRUE((Shape{2, 3}) == (Shape{2, 3}));
}

}  // namespace
}  // namespace pagoda
