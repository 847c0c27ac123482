// Decoding and encoding of rows.
#include "tensor/quantize.h"

#include <vector>

#include "base/check.h"

namespace pagoda {

Result<TensorView> quantize(const TensorView& source, DType dtype, ThreadPool* pool,
                            Buffer& blocks) {
  CHECK(source.shape.rank() == 2);
  const FormatTraits& from = format_traits(source.dtype);
  const FormatTraits& to = format_traits(dtype);
  CHECK(from.decode != nullptr && to.encode != nullptr);
  const int64_t columns = source.shape[1];
  const int64_t from_bytes = dtype_bytes(source.dtype, columns);
  const int64_t to_bytes = dtype_bytes(dtype, columns);
  const auto num_bytes = static_cast<size_t>(source.shape[0] * to_bytes);
  if (blocks.num_bytes() < num_bytes) {
    blocks = Buffer();  // first give back, then take
    ASSIGN_OR_RETURN(blocks, Buffer::allocate(num_bytes));
  }
  const auto convert = [&](int64_t begin, int64_t end, int32_t) {
    std::vector<float> floats(static_cast<size_t>(columns));
    for (int64_t row = begin; row < end; ++row) {
      from.decode(source.data + row * from_bytes, floats.data(), columns);
      to.encode(floats.data(), blocks.data() + row * to_bytes, columns);
    }
  };
  if (pool == nullptr) {
    convert(0, source.shape[0], 0);
  } else {
    pool->parallel_for(source.shape[0], 8, convert);
  }
  return TensorView{blocks.data(), dtype, source.shape};
}

}  // namespace pagoda
