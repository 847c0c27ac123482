// Generation: one prompt through an engine on the calling thread, for the terminal commands.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "app/build_engine.h"
#include "base/json.h"
#include "base/result.h"

namespace pagoda {

// What a terminal user may set. Unset: the model's generation_config.json, else the default.
struct GenerationOptions {
  std::optional<int32_t> max_tokens;  // unset: until the context is full
  std::optional<float> temperature;
  std::optional<float> top_p;
  std::optional<int32_t> top_k;
  std::optional<uint64_t> seed;  // unset: drawn from the system
};

struct GenerationSummary {
  std::string text;
  FinishReason finish_reason = FinishReason::kStop;
  int32_t num_prompt_tokens = 0;
  int32_t num_output_tokens = 0;
  double time_to_first_token_s = 0.0;
  double total_s = 0.0;
};

// The prompt for a list of messages by the model's chat template; kUnsupported when it has none.
Result<std::string> render_messages(const ServedModel& served, const Json& messages);

// Runs one prompt to its end. `on_text` gets each piece of text as it comes; when it returns false
// the generation is aborted and the summary says kAbort. `prompt` holds special tokens by their
// spelling when `from_template`, and gets the model's BOS otherwise. Blocks.
Result<GenerationSummary> generate(BuiltEngine& built, const std::string& prompt,
                                   bool from_template, const GenerationOptions& options,
                                   const std::function<bool(const std::string&)>& on_text);

}  // namespace pagoda
