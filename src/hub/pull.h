// Pulling a model: from its name on a hub to a path on this machine.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "hub/downloader.h"
#include "hub/hub_config.h"
#include "hub/model_ref.h"

namespace pagoda {

struct PullRequest {
  ModelRef model;
  std::vector<std::string> include = {};  // globs; see SelectionRules
  std::vector<std::string> exclude = {};
};

struct PulledModel {
  std::string path;    // what to load: the snapshot's folder, or its (first) .gguf file
  std::string folder;  // the snapshot
  std::string commit;
  int64_t num_bytes = 0;  // of the files chosen
  int num_files = 0;
};

// The model if the cache has all of it, by whatever tool; without network. kNotFound says what is
// missing.
Result<PulledModel> find_cached_model(const HubConfig& config, const PullRequest& request);

// Asks the hub what the revision is now and downloads what the cache lacks. Offline
// (HF_HUB_OFFLINE) the same as find_cached_model(). Blocks; one call a thread. Errors as those of
// download_files(), and of select_files() when the repository has no model to choose.
Result<PulledModel> pull_model(const HubConfig& config, const PullRequest& request,
                               const DownloadLimits& limits, const PullObserver& observer);

}  // namespace pagoda
