// Rope: the frequencies of rotary position embeddings and of their long-context variants.
#pragma once

#include "backend/backend.h"
#include "model/model_config.h"

namespace pagoda {

// How many elements of a head turn: rotary_factor of them, rounded down.
int32_t rotary_size(const RopeConfig& config, int32_t head_size);

// The table for heads of `head_size` elements of which R turn, R / 2 frequencies:
//   default  inv_freq[i] = theta^(-2i / R)              Su et al., RoFormer (2021), section 3.2.2
//   linear   inv_freq[i] / factor: positions squeezed    Chen et al., Extending Context Window of
//                                                        LLMs via Positional Interpolation (2023)
//   llama3   by wavelength w = 2 pi / inv_freq[i] against the original context C: unchanged where
//            w < C / high_freq_factor, divided by factor where w > C / low_freq_factor, and between
//            the two a blend that is linear in C / w. Llama 3.1 model code, apply_scaling();
//            Transformers, modeling_rope_utils.py, _compute_llama3_parameters()
//   yarn     by turns within the original context C: unchanged where there are more than beta_fast,
//            divided by factor where fewer than beta_slow, and between the two a blend that is
//            linear in i; cosines and sines times attention_factor. Peng et al., YaRN (2023);
//            _compute_yarn_parameters() there
//   longrope inv_freq[i] / factors[i], by a list of factors for sequences up to C and another for
//            longer ones; times attention_factor. Ding et al., LongRoPE (2024);
//            _compute_longrope_parameters() there. Transformers chooses the list by the length that
//            the sequence has so far, and so computes keys anew when it passes C. Here, as in vLLM,
//            the longest sequence that will be run decides for all: keys in a cache stay right, and
//            no answer depends on how it was computed.
// Computed in double and rounded once. REQUIRES: R even and positive.
RopeTable make_rope_table(const RopeConfig& config, int32_t head_size);

}  // namespace pagoda
