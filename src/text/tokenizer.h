// Tokenizer: text to token ids and back, for byte-pair vocabularies of bytes or characters.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace pagoda {

// One step of what is done to a text before it is cut into pieces. Kinds and their effects are
// those of Hugging Face tokenizers' normalizers of the same names.
struct NormalizerStep {
  enum class Kind {
    kNfc,
    kNfd,
    kNfkc,
    kNfkd,
    kPrepend,       // `content` before a text that is not empty
    kReplace,       // the text `pattern` by `content`
    kReplaceRegex,  // what the expression `pattern` matches by `content`
    kLowercase,
    kStrip,  // white space at the sides
    kStripAccents,
  };
  Kind kind = Kind::kNfc;
  std::string pattern = {}, content = {};
  bool left = false, right = false;  // kStrip

  bool operator==(const NormalizerStep&) const = default;
};

// What becomes of a match when a text is cut at it.
enum class SplitBehavior { kIsolated, kRemoved, kMergedWithPrevious, kMergedWithNext, kContiguous };

// One step of cutting a text into the pieces that merges may not cross. Each step cuts every piece
// of the step before.
struct SplitStep {
  enum class Kind {
    kRegex,         // at what the expression `pattern` matches
    kText,          // at the text `pattern`
    kNumeric,       // at each character of the categories N*
    kPunctuation,   // at each character of the categories P*, and ASCII punctuation
    kWhiteSpace,    // at each white space character
    kPrefix,        // puts `pattern` before a piece that does not start with it
    kMetaspace,     // spaces become `pattern`, which goes before the piece by `prepend`
    kByteAlphabet,  // bytes become characters of GPT-2's alphabet
  };
  enum class Prepend { kNever, kFirst, kAlways };
  Kind kind = Kind::kRegex;
  std::string pattern = {};
  SplitBehavior behavior = SplitBehavior::kIsolated;
  bool invert = false;                // matches and the text between them change roles
  Prepend prepend = Prepend::kNever;  // kMetaspace: kFirst is the start of the whole text only
  bool split = true;                  // kMetaspace: cut before each `pattern`

  bool operator==(const SplitStep&) const = default;
};

// One step of how tokens become text again: Hugging Face tokenizers' decoders of the same names.
struct DecoderStep {
  enum class Kind {
    kByteLevel,
    kReplace,
    kReplaceRegex,
    kByteFallback,
    kFuse,
    kStrip,
    kMetaspace,
    kJoinWithSpaces,  // what a file without a decoder means
  };
  Kind kind = Kind::kByteLevel;
  std::string pattern = {}, content = {};  // kStrip, kMetaspace: the character in `content`
  int32_t start = 0, stop = 0;             // kStrip: how many at most
  bool drop_first = false;                 // kMetaspace: left out of the first token
};

// A vocabulary as plain data: what a tokenizer.json, a SentencePiece model or a GGUF file says, so
// that text need not know files.
struct TokenizerData {
  // What the first symbols of a piece are, and which neighbours join.
  enum class Model {
    kByteMerges,       // bytes, by `merges`; tokens are raw bytes
    kCharacterMerges,  // characters, by `merges`; tokens are their spelling
    kCharacterScores,  // characters; two that make a token join, the best score first
  };
  struct AddedToken {
    int32_t id = 0;
    std::string content = {};
    bool special = false;
    bool lstrip = false, rstrip = false, single_word = false, normalized = false;
  };
  Model model = Model::kByteMerges;
  std::vector<std::string> tokens = {};                  // by id; "" for holes
  std::vector<std::pair<int32_t, int32_t>> merges = {};  // best first
  // By id, or none unless kCharacterScores. NaN: no text becomes this token by joining (a control
  // token; a byte; in a model of bytes, a token that is spelled outside the alphabet of bytes).
  std::vector<float> scores = {};
  std::vector<AddedToken> added_tokens = {};
  bool ignore_merges = false;  // a whole piece in the vocabulary is taken as it is
  int32_t unk_id = -1;         // for what no token spells; -1: it is left out
  bool fuse_unk = false;       // one unk_id for a run of such characters
  bool byte_fallback = false;  // such a character becomes its bytes, tokens "<0x00>" to "<0xFF>"
  std::vector<NormalizerStep> normalizers = {};
  std::vector<SplitStep> splits = {};
  std::vector<DecoderStep> decoders = {};  // none: the tokens' bytes one after the other
  // Contents of `normalized` added tokens are normalised too before they are looked for.
  bool normalize_added_tokens = true;
  // Put before and after a text when special tokens are asked for (BOS).
  std::vector<int32_t> prefix_ids = {};
  std::vector<int32_t> suffix_ids = {};
};

class TokenDecoder;

// Reads the text of a tokenizer.json. kInvalidArgument for what is malformed, kUnsupported (naming
// the component) for a model, normalizer or pre-tokenizer this build does not have. `text` is
// untrusted.
Result<TokenizerData> parse_tokenizer_json(std::string_view text);

// Immutable after construction; thread-safe.
class Tokenizer {
 public:
  // Checks every id, merge and pattern. kInvalidArgument names what is inconsistent, kUnsupported a
  // combination of steps that this build does not have.
  static Result<std::shared_ptr<const Tokenizer>> create(TokenizerData data);
  ~Tokenizer();

  struct EncodeOptions {
    bool add_special_tokens = true;    // prefix_ids and suffix_ids
    bool parse_special_tokens = true;  // "<|eot_id|>" in the text becomes its token
  };
  // Token ids of a UTF-8 text, equal to Hugging Face tokenizers'. kInvalidArgument for invalid
  // UTF-8.
  Result<std::vector<int32_t>> encode(std::string_view text, const EncodeOptions& options) const;

  // What one token adds to a text that has begun: bytes, possibly a part of a character. REQUIRES:
  // 0 <= id < vocab_size(). Holes are "".
  std::string_view token_bytes(int32_t id) const;
  bool is_special(int32_t id) const;
  int32_t vocab_size() const;  // 1 + the largest id
  // -1 when there is none.
  int32_t token_id(std::string_view content) const;
  const std::vector<int32_t>& prefix_ids() const;

  // The text of a token list, equal to Hugging Face tokenizers'; invalid UTF-8 becomes U+FFFD. Ids
  // outside the vocabulary are skipped.
  std::string decode(const std::vector<int32_t>& ids, bool skip_special_tokens) const;
  const TokenDecoder& decoder() const;

 private:
  struct Impl;
  explicit Tokenizer(std::unique_ptr<const Impl> impl);
  std::unique_ptr<const Impl> impl_;
};

}  // namespace pagoda
