// ModelRunner: all the engine knows of a device.
#pragma once

#include <cstddef>
#include <span>

#include "base/result.h"
#include "core/step.h"

namespace pagoda {

// Owned by the app, lent to the Engine, which it must outlive. execute() is called by the engine
// thread only.
class ModelRunner {
 public:
  virtual ~ModelRunner() = default;
  virtual KvCacheSpec kv_cache_spec() const = 0;
  virtual StepLimits step_limits() const = 0;
  // Runs one step: writes K and V of the scheduled tokens into their blocks and returns a token for
  // each sequence that asked for one (or defers it), and those of its drafts that were right. An
  // Error fails the step's requests; the runner stays usable.
  virtual Result<ModelRunnerOutput> execute(const SchedulerOutput& step) = 0;
  // K and V of one block, as KvCacheSpec::bytes_per_block bytes in an order of the runner's own: to
  // keep a block outside the cache and to put it back into any block. Between steps only.
  // REQUIRES: a block of the cache, a span of that size.
  virtual void read_block(BlockId block, std::span<std::byte> out) const = 0;
  virtual void write_block(BlockId block, std::span<const std::byte> data) = 0;
};

}  // namespace pagoda
