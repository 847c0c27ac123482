// Reads the environment.
#include "base/env.h"

#include <array>
#include <cstdlib>

namespace pagoda {

std::span<const EnvVar> env_table() {
  static constexpr std::array<EnvVar, 3> kTable = {{
      {"PAGODA_CPU_ISA", "kernels to use: scalar, avx2 or avx512 (default: the best this CPU has)"},
      {"PAGODA_LOG", "lowest level logged: debug, info, warning or error (default: info)"},
      {"PAGODA_CHECK", "1: verify the engine's block accounting after every step (slow)"},
  }};
  return kTable;
}

std::optional<std::string> env_value(std::string_view name) {
  const char* value = std::getenv(std::string(name).c_str());  // NOLINT(concurrency-mt-unsafe)
  if (value == nullptr || *value == '\0') return std::nullopt;
  return std::string(value);
}

}  // namespace pagoda
