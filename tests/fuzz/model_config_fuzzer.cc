// Fuzzes config.json: what it lets through has tables and shapes of sane sizes.
#include <string_view>

#include "base/check.h"
#include "model/model_config.h"
#include "model/registry.h"
#include "model/rope.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t num_bytes) {
  const auto config = pagoda::parse_model_config({reinterpret_cast<const char*>(data), num_bytes});
  if (!config.ok()) {
    CHECK(!config.error().message.empty());
    return 0;
  }
  CHECK(config->num_heads % config->num_kv_heads == 0);
  pagoda::make_rope_table(config->rope, config->head_size);
  if (config->sliding_rope) pagoda::make_rope_table(*config->sliding_rope, config->head_size);
  CHECK(config->layers.size() == static_cast<size_t>(config->num_layers));
  const auto architecture = pagoda::find_architecture(config->architecture);
  if (!architecture.ok() || config->num_layers > 100) return 0;
  for (const auto& spec : (*architecture)->weight_specs(*config)) {
    int64_t num_elements = 1;
    for (int32_t i = 0; i < spec.shape.rank(); ++i) {
      CHECK(spec.shape[i] > 0);
      CHECK(!__builtin_mul_overflow(num_elements, int64_t{spec.shape[i]}, &num_elements));
    }
    CHECK(num_elements < int64_t{1} << 56);  // times the width of an element it fits an int64_t
  }
  return 0;
}
