// Where a model comes from: the demo beside the program, a path, or a hub.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "hub/hub_config.h"
#include "hub/pull.h"

namespace pagoda {

// What to load and how to call it.
struct ModelSource {
  std::string path;  // a folder, or a file of weights
  std::string name;  // first name in the API
  bool is_demo = false;
};

// The settings of the hub from the environment; base/env.cc lists the variables.
Result<HubConfig> hub_config_from_environment();

// Shows a pull on standard error: a bar on a terminal, else a line every few seconds by `line`,
// which gets single lines without a line break. The result must not outlive the call it is made
// for.
PullObserver show_pull(const std::function<void(const std::string&)>& line);

// `given` is a path when something is there, else ORG/NAME[@REVISION][:QUANTIZATION] of a hub,
// which is taken from the cache, and downloaded when it is not there as a whole. Empty: the demo
// model. kNotFound for a path where nothing is; otherwise the errors of pull_model().
Result<ModelSource> resolve_model(const std::string& given,
                                  const std::function<void(const std::string&)>& progress);
// The same, with lines of progress on standard error.
Result<ModelSource> resolve_model(const std::string& given);
// The same for its tokenizer alone: of a hub only the files of that name are taken, if it has any.
Result<ModelSource> resolve_tokenizer(const std::string& given);

}  // namespace pagoda
