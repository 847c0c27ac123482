// CPU features: on x86-64 the compiler's runtime asks cpuid and the system's saved register state,
// on 64-bit ARM Linux tells.
#include "backend/cpu/cpu_info.h"

#include <fmt/core.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include <vector>

namespace pagoda::cpu {
namespace {

#if defined(__x86_64__)
// Every CPU with AVX2 has F16C, which is older; Clang 14 does not know how to ask for it.
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vnni");
}

// AMX-INT8 and AMX-BF16: leaf 7 of cpuid (Intel SDM, volume 2A). Linux lets a process use tile
// registers once it has asked (Documentation/arch/x86/xstate.rst); all its threads may then, and
// each that does costs 8 KiB when it is switched.
bool has_amx() {
  uint32_t eax = 0;
  uint32_t ebx = 0;
  uint32_t ecx = 0;
  uint32_t edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
  constexpr uint32_t kBf16 = 1U << 22;
  constexpr uint32_t kTile = 1U << 24;
  constexpr uint32_t kInt8 = 1U << 25;
  constexpr uint32_t kAll = kBf16 | kTile | kInt8;
  constexpr int64_t kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr int64_t kTileData = 18;               // XFEATURE_XTILEDATA
  return has_avx512() && (edx & kAll) == kAll &&
         ::syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}
#elif defined(__aarch64__)
bool has_dotprod() {
  return (::getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
}
#endif

std::vector<const CpuKernels*> find_supported() {
  std::vector<const CpuKernels*> tables = {&kScalarKernels};
#if defined(__x86_64__)
  if (has_avx2()) tables.push_back(&kAvx2Kernels);
  if (has_avx512()) tables.push_back(&kAvx512Kernels);
  if (has_amx()) tables.push_back(&kAmxKernels);
#elif defined(__aarch64__)
  tables.push_back(&kNeonKernels);
  if (has_dotprod()) tables.push_back(&kNeonDotprodKernels);
#endif
  return tables;
}

}  // namespace

std::span<const CpuKernels* const> supported_kernels() {
  static const std::vector<const CpuKernels*> tables = find_supported();
  return tables;
}

Result<const CpuKernels*> choose_kernels(std::string_view isa) {
  const std::span<const CpuKernels* const> tables = supported_kernels();
  if (isa.empty()) return tables.back();
  std::string names;
  for (const CpuKernels* table : tables) {
    if (isa == table->isa) return table;
    names += (names.empty() ? "" : ", ") + std::string(table->isa);
  }
  return invalid_argument(
      fmt::format("CPU instruction set \"{}\" is not available; this CPU runs {} (features: {})",
                  isa.substr(0, 40), names, cpu_features()));
}

std::string cpu_features() {
  std::string text;
  [[maybe_unused]] const auto note = [&](bool present, const char* name) {
    if (present) text += (text.empty() ? "" : " ") + std::string(name);
  };
#if defined(__x86_64__)
  note(__builtin_cpu_supports("avx2"), "avx2");
  note(__builtin_cpu_supports("fma"), "fma");
  note(__builtin_cpu_supports("avx512f"), "avx512f");
  note(__builtin_cpu_supports("avx512bw"), "avx512bw");
  note(__builtin_cpu_supports("avx512vl"), "avx512vl");
  note(__builtin_cpu_supports("avx512dq"), "avx512dq");
  note(__builtin_cpu_supports("avx512bf16"), "avx512bf16");
  note(__builtin_cpu_supports("avx512vnni"), "avx512vnni");
  note(supported_kernels().back() == &kAmxKernels, "amx");
#elif defined(__aarch64__)
  note(true, "neon");
  note(has_dotprod(), "dotprod");
#endif
  return text.empty() ? "none of interest" : text;
}

}  // namespace pagoda::cpu
