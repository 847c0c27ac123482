// Model: a network that turns a ForwardBatch into logits, written in Ops.
#pragma once

#include <cstdint>

#include "backend/backend.h"
#include "backend/kv_cache.h"
#include "model/forward_batch.h"
#include "model/model_config.h"

namespace pagoda {

// Owns its weights. Immutable after construction; forward() is called by the engine thread only.
// The backend that packed the weights must outlive it.
class Model {
 public:
  virtual ~Model() = default;
  virtual const ModelConfig& config() const = 0;
  // Device memory that the weights hold, in bytes.
  virtual int64_t weight_bytes() const = 0;
  // Writes K and V of all T rows into the cache and returns the logits of the R asked rows, [R, V];
  // with R = 0 an empty Tensor. Never reads what a tensor holds: every shape comes from the batch
  // and the config.
  virtual Tensor forward(Ops& ops, const ForwardBatch& batch, KvCache& cache) const = 0;
};

}  // namespace pagoda
