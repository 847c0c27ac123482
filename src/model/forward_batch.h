// ForwardBatch: one step flattened to rows, as a model sees it.
#pragma once

#include <cstdint>
#include <span>

#include "backend/backend.h"

namespace pagoda {

// T rows, one for each token of the step, sequence after sequence. All spans are borrowed for the
// duration of Model::forward(). Only their lengths may decide what forward() does, never what they
// hold: a recording backend runs it once for many steps.
struct ForwardBatch {
  std::span<const int32_t> token_ids;   // [T], in [0, V)
  std::span<const int32_t> positions;   // [T], of each token in its sequence
  AttentionBatch attention;             // which rows form which sequence
  std::span<const int32_t> logit_rows;  // [R], increasing rows whose logits are wanted
};

}  // namespace pagoda
