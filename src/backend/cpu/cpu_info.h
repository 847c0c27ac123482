// Which kernel tables this CPU can run, and how one is chosen.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "backend/cpu/kernels.h"
#include "base/result.h"

namespace pagoda::cpu {

// Tables this CPU can run, slowest first: scalar is always among them.
std::span<const CpuKernels* const> supported_kernels();

// The table named `isa` ("scalar", "avx2", "avx512", "amx", "neon", "neon-dotprod"), or the
// fastest when it is empty.
// kInvalidArgument for an unknown name or one the CPU cannot run, naming what it can.
Result<const CpuKernels*> choose_kernels(std::string_view isa);

// Features that matter here, for people: "avx2 fma avx512f ...", "neon dotprod".
std::string cpu_features();

}  // namespace pagoda::cpu
