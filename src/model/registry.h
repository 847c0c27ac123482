// Registry: the list of architectures that this build can run.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "model/model.h"
#include "model/weights.h"

namespace pagoda {

// One known architecture. Static data.
struct Architecture {
  const char* name;  // as config.json's "architectures" has it
  // The parameters a checkpoint must hold.
  std::vector<WeightSpec> (*weight_specs)(const ModelConfig& config);
  // REQUIRES: `weights` holds all of weight_specs(config).
  std::unique_ptr<Model> (*make)(const ModelConfig& config, const LoadedWeights& weights);
};

// kUnsupported for an unknown name, listing those known.
Result<const Architecture*> find_architecture(const std::string& name);

// Device memory the weights will take, in bytes, without reading them: for the memory plan. Errors
// as find_architecture.
Result<int64_t> planned_weight_bytes(const ModelConfig& config, const WeightFormat& format,
                                     const Backend& backend, const Checkpoint& checkpoint);

// A model whose weights have shapes but no contents, to be run on NullOps. Errors as
// find_architecture.
Result<std::unique_ptr<Model>> make_null_model(const ModelConfig& config);

// Loads the checkpoint into a Model. Errors as find_architecture and load_weights.
Result<std::unique_ptr<Model>> load_model(const Checkpoint& checkpoint, const ModelConfig& config,
                                          const WeightFormat& format, Backend& backend,
                                          const LoadCallbacks& callbacks = {});

}  // namespace pagoda
