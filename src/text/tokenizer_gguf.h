// Reads the vocabulary that a GGUF file carries in its metadata.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "text/tokenizer.h"

namespace pagoda {

// The `tokenizer.ggml.*` keys of a GGUF file as plain values, so that text need not know files. The
// names are the keys' own. All of it is untrusted.
struct GgufVocabulary {
  std::string model = {};                 // "gpt2" (byte-level BPE) or "llama" (SentencePiece BPE)
  std::string pre = {};                   // "llama-bpe", "qwen2"...; gpt2 only
  std::vector<std::string> tokens = {};   // by id
  std::vector<float> scores = {};         // by id; llama only, may be empty otherwise
  std::vector<int32_t> token_types = {};  // by id, or empty: all normal. Values: GgufTokenType
  std::vector<std::string> merges = {};   // "left right", best first; gpt2 only
  int32_t bos_id = -1, eos_id = -1, unk_id = -1;  // -1: none
  // nullopt where the file does not say; the model's usual value then applies.
  std::optional<bool> add_bos = {}, add_eos = {}, add_space_prefix = {};
};

// `tokenizer.ggml.token_type` (ggml-org/ggml, docs/gguf.md).
enum class GgufTokenType : int32_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6,
};

// The vocabulary as Tokenizer::create() takes it. kUnsupported names a model or `pre` this build
// does not have; kInvalidArgument what is inconsistent (sizes of the lists, ids, merges).
Result<TokenizerData> tokenizer_from_gguf(const GgufVocabulary& vocabulary);

}  // namespace pagoda
