// TokenDecoder: tokens to text, all at once or one after the other.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "text/tokenizer.h"

namespace pagoda {

// The decoders of a tokenizer, run over its tokens once. Immutable after construction; thread-safe.
class TokenDecoder {
 public:
  TokenDecoder() = default;
  // `tokens` by id: spellings, or raw bytes when `data` is a model of bytes; it must outlive the
  // decoder. Contents of added tokens win. kUnsupported for an order of steps this cannot run.
  static Result<TokenDecoder> create(const std::vector<std::string>* tokens,
                                     const TokenizerData& data);

  // What a token adds to a text that has begun. REQUIRES: 0 <= id < number of tokens.
  std::string_view bytes(int32_t id) const;

  // One text as it comes into being.
  struct State {
    bool first = true;           // no token yet
    bool whole = false;          // wait with bytes until it is known whether their run is UTF-8
    bool run_is_broken = false;  // the bytes that come in a row are no UTF-8
    std::string bytes = {};      // of a character (whole: of a run) that has not ended
    int32_t to_strip = 0;        // characters that may still be stripped from the start
    std::string held = {};       // would be stripped if the text ended here
  };
  // `whole`: the text will be looked at only after finish(). `at_start`: no text stands before it.
  State begin(bool whole, bool at_start) const;
  // Appends what `id` completes to `out`: whole characters only. REQUIRES: a valid id.
  void add(State& state, int32_t id, std::string& out) const;
  // The end of the text; an unfinished character becomes U+FFFD.
  void finish(State& state, std::string& out) const;

 private:
  Result<void> add_step(const DecoderStep& step, bool& falls_back, bool& fused);
  Result<void> spell_tokens(const TokenizerData& data, bool falls_back);
  std::string per_token(std::string_view spelling, bool first) const;
  std::string first_text(int32_t id) const;
  void end_run(State& state, std::string& out) const;
  void add_byte(State& state, char byte, std::string& out) const;
  void put(State& state, std::string_view text, std::string& out) const;

  const std::vector<std::string>* tokens_ = nullptr;
  bool raw_bytes_ = true;                               // bytes one after the other, as they are
  std::vector<std::string> texts_;                      // by id; empty: tokens_ are the texts
  std::vector<std::string> spellings_;                  // by id, where the first token differs
  std::unordered_map<int32_t, std::string> own_texts_;  // of added tokens that spell otherwise
  std::vector<bool> is_byte_;                           // by id, with byte fallback
  std::vector<DecoderStep> token_steps_;                // on each token
  std::vector<DecoderStep> text_replaces_;              // on the text; one character each
  bool drops_first_ = false, joins_with_spaces_ = false;
  std::string strip_;  // the character that is stripped from the text's ends
  int32_t strip_start_ = 0, strip_stop_ = 0;
};

}  // namespace pagoda
