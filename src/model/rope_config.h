// Rotary parameters of config.json, in all the places and spellings they have had.
#pragma once

#include "base/json.h"
#include "base/result.h"
#include "model/model_config.h"

namespace pagoda {

// Sets config.rope, and config.sliding_rope where layers with a window have their own. `keys` are
// those of the language model. REQUIRES: config's sizes and architecture are set. Errors as
// parse_model_config().
Result<void> read_rope(const Json& keys, ModelConfig& config);

}  // namespace pagoda
