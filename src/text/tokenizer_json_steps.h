// The steps of a tokenizer.json: its normalizer, pre_tokenizer and decoder sections.
#pragma once

#include "base/json.h"
#include "base/result.h"
#include "text/tokenizer.h"

namespace pagoda {

// Each appends what a section says to `data`; null is no step. Sequences may nest eight deep.
// kInvalidArgument for what is malformed, kUnsupported naming a component this build does not have.
// The values are untrusted.
Result<void> read_normalizer(const Json& normalizer, TokenizerData& data);
Result<void> read_pre_tokenizer(const Json& pre_tokenizer, TokenizerData& data);
Result<void> read_decoder(const Json& decoder, TokenizerData& data);

// Values of an object; what is absent or of another type counts as not given.
bool json_flag(const Json& object, const char* key, bool otherwise);
std::string json_text(const Json& object, const char* key);

}  // namespace pagoda
