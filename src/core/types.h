// The identifiers that engine and runner share.
#pragma once

#include <cstdint>

namespace pagoda {

using TokenId = int32_t;      // index into the vocabulary, in [0, V)
using BlockId = int32_t;      // index of a KV cache block, in [0, N)
using RequestId = uint64_t;   // unique in one process, never 0
using SequenceId = uint64_t;  // unique in one process, never 0
using TenantId = int32_t;     // whose fair share a request takes; 0 when nobody is told apart

}  // namespace pagoda
