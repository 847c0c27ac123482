// Text form of Shape.
#include "tensor/tensor.h"

namespace pagoda {

std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (int32_t axis = 0; axis < shape.rank(); ++axis) {
    if (axis > 0) text += ", ";
    text += std::to_string(shape[axis]);
  }
  return text + "]";
}

}  // namespace pagoda
