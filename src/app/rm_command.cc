// `pagoda rm`: removes a model from the cache.
#include <cstdio>
#include <optional>
#include <string>

#include "app/commands.h"
#include "app/model_source.h"
#include "base/system_memory.h"
#include "hub/hub_cache.h"

namespace pagoda {

Result<void> remove_model(const std::string& text) {
  ASSIGN_OR_RETURN(const ModelRef model, parse_model_ref(text));
  if (!model.quantization.empty()) {
    return invalid_argument("rm removes a model or a revision of it: ORG/NAME[@REVISION]");
  }
  ASSIGN_OR_RETURN(const HubConfig config, hub_config_from_environment());
  const bool has_revision = text.find('@') != std::string::npos;
  ASSIGN_OR_RETURN(
      const int64_t num_bytes,
      HubCache(config.cache_dir)
          .remove(model.repo, has_revision ? std::optional(model.revision) : std::nullopt));
  std::printf("removed %s: %s freed\n", text.c_str(), format_bytes(num_bytes).c_str());
  return {};
}

}  // namespace pagoda
