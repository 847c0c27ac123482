// quantize: a matrix in another format, its rows shared among workers.
#pragma once

#include "base/result.h"
#include "base/thread_pool.h"
#include "tensor/buffer.h"
#include "tensor/tensor.h"

namespace pagoda {

// `source` [Rows, Columns] encoded as `dtype` in `blocks`, which grows as needed; the view is valid
// until the next use of it. The same bytes for any number of workers; `pool` may be null.
// kOverloaded when memory is refused. REQUIRES: source can be decoded, `dtype` has an encoder, and
// columns are whole blocks of both.
Result<TensorView> quantize(const TensorView& source, DType dtype, ThreadPool* pool,
                            Buffer& blocks);

}  // namespace pagoda
