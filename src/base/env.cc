// Reads the environment.
#include "base/env.h"

#include <array>
#include <cstdlib>

namespace pagoda {

std::span<const EnvVar> env_table() {
  static constexpr std::array<EnvVar, 14> kTable = {{
      {"PAGODA_CPU_ISA",
       "kernels to use: scalar, avx2, avx512, amx, neon or neon-dotprod (default: the best this "
       "CPU has)"},
      {"PAGODA_LOG", "lowest level logged: debug, info, warning or error (default: info)"},
      {"PAGODA_CHECK", "1: verify the engine's block accounting after every step (slow)"},
      {"HF_TOKEN", "token for models that need one (default: the file HF_HOME/token)", true},
      {"HF_TOKEN_PATH", "file that holds the token (default: HF_HOME/token)"},
      {"HF_ENDPOINT", "address of the hub (default: https://huggingface.co)"},
      {"HF_HOME", "Hugging Face's folder (default: XDG_CACHE_HOME/huggingface)"},
      {"XDG_CACHE_HOME", "folder of caches (default: ~/.cache)"},
      {"HF_HUB_CACHE", "folder of downloaded models (default: HF_HOME/hub)"},
      {"HF_HUB_OFFLINE", "1: never ask the hub; use what the cache has"},
      {"HTTPS_PROXY", "proxy to https addresses; also HTTP_PROXY, ALL_PROXY, small letters", true},
      {"HTTP_PROXY", "proxy to http addresses", true},
      {"NO_PROXY", "hosts that are reached without the proxy, separated by commas"},
      {"SSL_CERT_FILE",
       "certificate authorities that the hub is checked by (default: the system's)"},
  }};
  return kTable;
}

std::optional<std::string> env_value(std::string_view name) {
  const char* value = std::getenv(std::string(name).c_str());  // NOLINT(concurrency-mt-unsafe)
  if (value == nullptr || *value == '\0') return std::nullopt;
  return std::string(value);
}

}  // namespace pagoda
