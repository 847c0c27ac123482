// SentencePiece models: the protobuf of a tokenizer.model, and what its BPE means.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/tokenizer.h"

namespace pagoda {

// The pieces of a SentencePiece BPE model and how text is prepared for them
// (google/sentencepiece, src/sentencepiece_model.proto).
struct SentencePieceVocabulary {
  enum class Type {
    kNormal,
    kUnknown,
    kControl,      // never found in a text by its spelling, but for special tokens
    kUserDefined,  // found in a text before anything joins
    kByte,
    kUnused,
  };
  struct Piece {
    std::string text = {};
    float score = 0;
    Type type = Type::kNormal;
  };
  std::vector<Piece> pieces = {};  // by id
  int32_t unk_id = -1;
  bool byte_fallback = false;
  bool add_dummy_prefix = true;  // a space before a text that is not empty
  bool remove_extra_whitespaces = false;
};

// kInvalidArgument for what is inconsistent.
Result<TokenizerData> tokenizer_from_sentencepiece(SentencePieceVocabulary vocabulary);

// Reads the bytes of a tokenizer.model. BOS goes before a text when the model has one, as Llama's
// tokenizers do. kUnsupported names a Unigram, word or character model, or a normalizer with a
// character map. `bytes` is untrusted.
Result<TokenizerData> parse_sentencepiece_model(std::string_view bytes);

}  // namespace pagoda
