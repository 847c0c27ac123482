// Fuzzes the JSON parser: what it accepts can be written and read again without loss.
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t num_bytes) {
  const std::string_view text(reinterpret_cast<const char*>(data), num_bytes);
  const auto value = pagoda::parse_json(text);
  if (value.ok()) {
    const std::string written = pagoda::dump_json(*value);
    const auto again = pagoda::parse_json(written);
    CHECK(again.ok());
    CHECK(pagoda::dump_json(*again) == written);
  } else {
    CHECK(!value.error().message.empty());
  }
  const auto strict = pagoda::parse_json(text, {.max_depth = 4, .refuse_duplicate_keys = true});
  CHECK(value.ok() || !strict.ok());

  std::string quoted = "\"";
  pagoda::append_json_escaped(quoted, text);
  quoted += '"';
  CHECK(pagoda::parse_json(quoted).ok());
  return 0;
}
