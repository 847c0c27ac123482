// `pagoda pull`: downloads a model into the cache.
#include <fmt/core.h>

#include <cstdio>
#include <string>

#include "app/commands.h"
#include "app/model_source.h"
#include "base/system_memory.h"

namespace pagoda {

Result<void> pull(const PullOptions& options) {
  PullRequest request{.model = {}, .include = options.include, .exclude = options.exclude};
  ASSIGN_OR_RETURN(request.model, parse_model_ref(options.model));
  ASSIGN_OR_RETURN(const HubConfig config, hub_config_from_environment());
  const auto line = [](const std::string& text) { std::fprintf(stderr, "%s\n", text.c_str()); };
  auto pulled = pull_model(config, request, {}, show_pull(line));
  if (!pulled.ok()) {
    if (pulled.error().code != ErrorCode::kUnavailable ||
        !find_cached_model(config, request).ok()) {
      return std::move(pulled).error();
    }
    return Error{pulled.error().code,
                 pulled.error().message + "; what an earlier pull brought can be used"};
  }
  std::fprintf(stderr, "%s: %d files, %s, commit %s\n", request.model.repo.c_str(),
               pulled->num_files, format_bytes(pulled->num_bytes).c_str(),
               pulled->commit.substr(0, 12).c_str());
  std::printf("%s\n", pulled->path.c_str());
  return {};
}

}  // namespace pagoda
