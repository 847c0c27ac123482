// Tokenizer: text to token ids and back, for byte-level BPE vocabularies.
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

// A vocabulary as plain data: what a tokenizer.json (or, later, a GGUF file) says, so that text
// need not know files.
struct TokenizerData {
  struct AddedToken {
    int32_t id = 0;
    std::string content = {};
    bool special = false;
    bool lstrip = false, rstrip = false, single_word = false, normalized = false;
  };
  // By id, byte-level spelling decoded to raw bytes; "" for holes.
  std::vector<std::string> tokens = {};
  std::vector<std::pair<int32_t, int32_t>> merges = {};  // best first
  std::vector<AddedToken> added_tokens = {};
  std::string split_pattern = {};  // the pre-tokenizer's regular expression; "" for none
  bool ignore_merges = false;      // a whole piece in the vocabulary is taken as it is
  bool add_prefix_space = false;
  // Put before and after a text when special tokens are asked for (BOS).
  std::vector<int32_t> prefix_ids = {};
  std::vector<int32_t> suffix_ids = {};
  bool normalize_nfc = false;   // text is brought to normalisation form C first
  bool drop_unmatched = false;  // text between two matches of split_pattern is left out
};

// Reads the text of a tokenizer.json. kInvalidArgument for what is malformed, kUnsupported (naming
// the component) for a model, normalizer or pre-tokenizer this build does not have. `text` is
// untrusted.
Result<TokenizerData> parse_tokenizer_json(std::string_view text);

// Immutable after construction; thread-safe.
class Tokenizer {
 public:
  // Checks every id and merge. kInvalidArgument names what is inconsistent. A byte that has no
  // token of its own is left out of encoded text.
  static Result<std::shared_ptr<const Tokenizer>> create(TokenizerData data);
  ~Tokenizer();

  struct EncodeOptions {
    bool add_special_tokens = true;    // prefix_ids and suffix_ids
    bool parse_special_tokens = true;  // "<|eot_id|>" in the text becomes its token
  };
  // Token ids of a UTF-8 text, equal to Hugging Face tokenizers'. kInvalidArgument for invalid
  // UTF-8.
  Result<std::vector<int32_t>> encode(std::string_view text, const EncodeOptions& options) const;

  // Raw bytes of one token (possibly a part of a character). REQUIRES: 0 <= id < vocab_size().
  // Holes are "".
  std::string_view token_bytes(int32_t id) const;
  bool is_special(int32_t id) const;
  int32_t vocab_size() const;  // 1 + the largest id
  // -1 when there is none.
  int32_t token_id(std::string_view content) const;
  const std::vector<int32_t>& prefix_ids() const;

  // The text of a token list; invalid UTF-8 becomes U+FFFD. Ids outside the vocabulary are skipped.
  std::string decode(const std::vector<int32_t>& ids, bool skip_special_tokens) const;

 private:
  struct Impl;
  explicit Tokenizer(std::unique_ptr<const Impl> impl);
  std::unique_ptr<const Impl> impl_;
};

}  // namespace pagoda
