// Request: what a client asked of the engine, in tokens.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/clock.h"
#include "core/sampling_params.h"
#include "core/types.h"

namespace pagoda {

// Who goes first when not all can: an interactive request waits for no background one, and takes
// the place of one that has not been displaced before.
enum class Priority : uint8_t { kInteractive, kBackground };

// Only requests with the same salt share cached blocks, so that nobody can learn from a reply's
// time what others have asked (CVE-2025-46570).
using CacheSalt = std::array<uint8_t, 32>;

// Immutable after submission. Value type.
struct Request {
  std::vector<TokenId> prompt_token_ids;  // at least one
  SamplingParams sampling;
  int32_t n = 1;        // choices: independent continuations of the prompt, >= 1
  TimePoint arrival{};  // when the server had read it; submit() fills it when unset
  Priority priority = Priority::kInteractive;
  TenantId tenant = 0;
  CacheSalt cache_salt{};
};

}  // namespace pagoda
