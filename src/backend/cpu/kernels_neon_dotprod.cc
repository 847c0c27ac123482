// Kernels for 64-bit ARM with SDOT (Armv8.4, and most Armv8.2).
#include <arm_neon.h>

#include "backend/cpu/kernels.h"
#include "backend/cpu/quant_layout.h"

namespace pagoda::cpu {
namespace {

#include "backend/cpu/vectors_neon-inl.h"
// Uses the vectors.
#include "backend/cpu/elementwise-inl.h"
// Uses elementwise-inl.h.
#include "backend/cpu/attention-inl.h"
// Uses all of the above.
#include "backend/cpu/shared_loops-inl.h"
// Uses Products of shared_loops-inl.h.
#include "backend/cpu/matmul_neon-inl.h"

}  // namespace

extern const CpuKernels kNeonDotprodKernels = with_shared_loops(neon_products("neon-dotprod"));

}  // namespace pagoda::cpu
