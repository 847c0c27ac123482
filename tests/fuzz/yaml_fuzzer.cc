// Fuzzes the reader of configuration files.
#include <string_view>

#include "base/check.h"
#include "base/yaml.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t num_bytes) {
  const auto entries = pagoda::parse_flat_yaml({reinterpret_cast<const char*>(data), num_bytes});
  if (!entries.ok()) {
    CHECK(!entries.error().message.empty());
    return 0;
  }
  for (const auto& entry : *entries) CHECK(entry.line >= 1);
  return 0;
}
