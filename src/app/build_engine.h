// From a model folder to a running engine: the only place that knows every layer.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "app/config.h"
#include "backend/backend.h"
#include "base/metrics.h"
#include "base/result.h"
#include "base/trace.h"
#include "core/model_runner.h"
#include "engine/async_engine.h"
#include "engine/disk_block_store.h"
#include "server/server.h"

namespace pagoda {

// Receives one line of progress for people, without a line break. Called on the loading thread.
using ProgressLine = std::function<void(const std::string&)>;

// A loaded model with its engine. Members are destroyed in reverse order: the engine stops before
// the runner and the block store it calls, the runner (which holds weights and cache) before the
// backend that made them.
struct BuiltEngine {
  std::unique_ptr<Trace> trace;                 // null without --trace-file
  std::unique_ptr<DiskBlockStore> block_store;  // null without --prefix-cache-dir
  std::unique_ptr<Backend> backend;             // null for a simulated model
  std::unique_ptr<ModelRunner> runner;
  ServedModel served;
  std::unique_ptr<AsyncEngine> engine;
};

// Loads `options.model` and starts an engine for it. `metrics` may be null and must outlive the
// result. Errors name the file, the value and the limit: kNotFound for missing files,
// kInvalidArgument for what a file or a setting says, kUnsupported for an architecture or tokenizer
// this build lacks, kOverloaded for too little memory.
Result<std::unique_ptr<BuiltEngine>> build_engine(const EngineOptions& options,
                                                  MetricsRegistry* metrics,
                                                  const ProgressLine& progress);

// The folder of the built-in demo model beside this program. kNotFound names the places looked at.
Result<std::string> find_demo_model();

}  // namespace pagoda
