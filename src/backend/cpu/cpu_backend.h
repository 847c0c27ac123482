// The CPU as a Backend.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "backend/backend.h"
#include "base/result.h"

namespace pagoda::cpu {

struct CpuBackendConfig {
  int32_t num_threads = 1;  // 1 .. 1024; the engine thread is one of them
  std::string isa =
      {};  // "scalar", "avx2", "avx512", "amx", "neon", "neon-dotprod"; empty: the fastest
};

// Starts the workers. kInvalidArgument for a thread count out of range or an instruction set that
// this CPU lacks. Weights hold f32, bf16 or q8_0; see packed_weight.h for the layout.
Result<std::unique_ptr<Backend>> make_cpu_backend(const CpuBackendConfig& config);

}  // namespace pagoda::cpu
