// Request: what a client asked of the engine, in tokens.
#pragma once

#include <cstdint>
#include <vector>

#include "base/clock.h"
#include "core/sampling_params.h"
#include "core/types.h"

namespace pagoda {

// Immutable after submission. Value type.
struct Request {
  std::vector<TokenId> prompt_token_ids;  // at least one
  SamplingParams sampling;
  int32_t n = 1;        // choices: independent continuations of the prompt, >= 1
  TimePoint arrival{};  // when the server had read it; submit() fills it when unset
};

}  // namespace pagoda
