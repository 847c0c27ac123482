// A simulated model: what `--simulate` puts in the place of weights.
#pragma once

#include <memory>

#include "app/cache_plan.h"
#include "app/config.h"
#include "base/result.h"
#include "model/model_config.h"
#include "runner/simulated_runner.h"
#include "text/tokenizer.h"

namespace pagoda {

struct SimulatedModel {
  std::unique_ptr<SimulatedRunner> runner;
  CachePlan plan;  // of tokens and blocks; nothing has bytes
};

// Words, context and number of cache blocks are the model's and the settings'. Blocks are numbers
// only: as many as are asked for, or as kv-cache-memory would hold of the real model's, or else
// enough for max-num-seqs sequences of the longest context, 4,194,304 at most. kInvalidArgument for
// settings that a simulated model cannot have, or has no room for, and for an `output` where
// `can_end` says that the model has no end token. REQUIRES: options.simulation.
Result<SimulatedModel> make_simulated_model(const EngineOptions& options, const ModelConfig& config,
                                            const Tokenizer& tokenizer, bool can_end);

}  // namespace pagoda
