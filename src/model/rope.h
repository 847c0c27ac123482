// Rope: the frequencies of rotary position embeddings and of their long-context variants.
#pragma once

#include "backend/backend.h"
#include "model/model_config.h"

namespace pagoda {

// The table for heads of `head_size` elements, D / 2 frequencies:
//   default  inv_freq[i] = theta^(-2i / D)              Su et al., RoFormer (2021), section 3.2.2
//   linear   inv_freq[i] / factor: positions squeezed    Chen et al., Extending Context Window of
//                                                        LLMs via Positional Interpolation (2023)
//   llama3   by wavelength w = 2 pi / inv_freq[i] against the original context C: unchanged where
//            w < C / high_freq_factor, divided by factor where w > C / low_freq_factor, and between
//            the two a blend that is linear in C / w. Llama 3.1 model code, apply_scaling();
//            Transformers, modeling_rope_utils.py, _compute_llama3_parameters()
// Computed in double and rounded once. REQUIRES: head_size even and positive.
RopeTable make_rope_table(const RopeConfig& config, int32_t head_size);

}  // namespace pagoda
