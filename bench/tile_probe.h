// What AMX tiles reach by themselves: the roof of products of many tokens.
#pragma once

#include <cstdint>

#include "base/thread_pool.h"

namespace pagoda {

enum class TileWork : uint8_t {
  kBf16Registers,  // TDPBF16PS again and again on what is in the registers
  kBf16Loads,      // two tiles of x by two of weights, each loaded from the first-level cache
  kInt8Stores,     // TDPBSSD of 32 k, its operands loaded and its sums stored, as a scale each 32 k
                   // makes necessary
};

// Operations a second of all of the pool's threads at once, in units of 10^9; 0 on a CPU without
// AMX, and before choose_kernels() has asked the system for the registers. Takes some 3 ms.
double tile_gigaflops(ThreadPool& pool, TileWork work);

}  // namespace pagoda
