// TokenDecoder: what the steps do to one token is worked out ahead, the rest as the text grows.
#include "text/token_decoder.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "text/byte_alphabet.h"
#include "text/unicode.h"

namespace pagoda {
namespace {

using Kind = DecoderStep::Kind;

constexpr int32_t kMaxStripped = 64;
// What a hostile file can make of its tokens: steps on each, growth by a step, bytes of a token
// that is still changed, bytes of all.
constexpr size_t kMaxTokenSteps = 4, kMaxGrowth = 4;
constexpr size_t kMaxTokenBytes = size_t{64} << 10;
constexpr size_t kMaxTextBytes = size_t{512} << 20;

Error unsupported(std::string_view what) {
  return {ErrorCode::kUnsupported, fmt::format("tokenizer: decoder: {} is not supported", what)};
}

void replace_all(std::string& text, std::string_view pattern, std::string_view content) {
  if (text.size() > kMaxTokenBytes || text.find(pattern) == std::string::npos) return;
  std::string out;
  size_t from = 0;
  for (size_t found = text.find(pattern); found != std::string::npos;
       found = text.find(pattern, from)) {
    out.append(text, from, found - from).append(content);
    from = found + pattern.size();
  }
  out.append(text, from);
  text = std::move(out);
}

bool is_one_character(std::string_view text) {
  return is_valid_utf8(text) && count_code_points(text) == 1;
}

// The value of "<0x0A>", or -1.
int32_t byte_value(std::string_view spelling) {
  if (spelling.size() != 6 || !spelling.starts_with("<0x") || spelling[5] != '>') return -1;
  int32_t value = 0;
  for (const char c : spelling.substr(3, 2)) {
    const int32_t digit = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                                 : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

// How many times `character` stands at the end of `text`, up to `most`.
int32_t count_at_end(std::string_view text, std::string_view character, int32_t most) {
  int32_t count = 0;
  while (count < most && text.ends_with(character)) {
    text.remove_suffix(character.size());
    ++count;
  }
  return count;
}

void strip(std::string& text, const DecoderStep& step) {
  size_t begin = 0;
  for (int32_t i = 0;
       i < step.start && std::string_view(text).substr(begin).starts_with(step.content); ++i) {
    begin += step.content.size();
  }
  text.erase(0, begin);
  const int32_t at_end = count_at_end(text, step.content, step.stop);
  text.resize(text.size() - static_cast<size_t>(at_end) * step.content.size());
}

Result<void> check(const DecoderStep& step) {
  if (!is_valid_utf8(step.pattern) || !is_valid_utf8(step.content)) {
    return invalid_argument("tokenizer: decoder text is not UTF-8");
  }
  if (step.kind == Kind::kReplaceRegex) return unsupported("Replace with a Regex");
  const bool needs_character = step.kind == Kind::kStrip || step.kind == Kind::kMetaspace;
  if (needs_character && !is_one_character(step.content)) {
    return invalid_argument("tokenizer: decoder needs one character");
  }
  if (step.kind == Kind::kReplace &&
      (step.pattern.empty() || step.content.size() > kMaxGrowth * step.pattern.size())) {
    return unsupported("Replace of nothing, or by much more than it replaces,");
  }
  if (step.start < 0 || step.stop < 0 || step.start > kMaxStripped || step.stop > kMaxStripped) {
    return invalid_argument(fmt::format("tokenizer: decoder strips {} and {}, at most {}",
                                        step.start, step.stop, kMaxStripped));
  }
  return {};
}

}  // namespace

Result<TokenDecoder> TokenDecoder::create(const std::vector<std::string>* tokens,
                                          const TokenizerData& data) {
  TokenDecoder made;
  made.tokens_ = tokens;
  made.raw_bytes_ = data.decoders.empty();
  bool falls_back = false, fused = false;
  for (const DecoderStep& step : data.decoders) {
    RETURN_IF_ERROR(check(step));
    RETURN_IF_ERROR(made.add_step(step, falls_back, fused));
  }
  if (data.model == TokenizerData::Model::kByteMerges && !made.raw_bytes_) {
    return unsupported("a byte-level model without ByteLevel");
  }
  RETURN_IF_ERROR(made.spell_tokens(data, falls_back));
  return made;
}

Result<void> TokenDecoder::add_step(const DecoderStep& step, bool& falls_back, bool& fused) {
  if (raw_bytes_) return unsupported("a step after ByteLevel");
  switch (step.kind) {
    case Kind::kByteLevel:
      if (falls_back || fused) return unsupported("ByteLevel after ByteFallback or Fuse");
      raw_bytes_ = true;
      return {};
    case Kind::kByteFallback:
      if (fused) return unsupported("ByteFallback after Fuse");
      falls_back = true;
      return {};
    case Kind::kFuse: fused = true; return {};
    case Kind::kJoinWithSpaces: joins_with_spaces_ = true; return {};
    case Kind::kReplace:
      if (!falls_back && !fused) break;
      if (!is_one_character(step.pattern) || !strip_.empty()) {
        return unsupported("Replace of more than a character after ByteFallback or Fuse");
      }
      text_replaces_.push_back(step);
      return {};
    case Kind::kStrip:
      if (!fused) break;
      if (!strip_.empty()) return unsupported("two steps of Strip after Fuse");
      strip_ = step.content;
      strip_start_ = step.start;
      strip_stop_ = step.stop;
      return {};
    default: break;
  }
  if (falls_back || fused) return unsupported("Strip or Metaspace after ByteFallback or Fuse");
  if (token_steps_.size() == kMaxTokenSteps) return unsupported("so many steps");
  drops_first_ = drops_first_ || step.drop_first;
  token_steps_.push_back(step);
  return {};
}

Result<void> TokenDecoder::spell_tokens(const TokenizerData& data, bool falls_back) {
  const bool spelled = raw_bytes_ && !data.decoders.empty();
  std::string text;
  if (data.model == TokenizerData::Model::kByteMerges) {
    for (const TokenizerData::AddedToken& token : data.added_tokens) {
      text = token.content;
      if (spelled) from_byte_alphabet(token.content, text);
      if ((*tokens_)[static_cast<size_t>(token.id)] != text) own_texts_[token.id] = text;
    }
    return {};
  }
  texts_ = *tokens_;
  for (const TokenizerData::AddedToken& token : data.added_tokens) {
    texts_[static_cast<size_t>(token.id)] = token.content;
  }
  if (drops_first_) spellings_ = texts_;
  if (falls_back) is_byte_.resize(texts_.size());
  size_t num_bytes = 0;
  for (size_t id = 0; id < texts_.size(); ++id) {
    text = per_token(texts_[id], false);
    const int32_t byte = falls_back ? byte_value(text) : -1;
    if (byte >= 0) {
      is_byte_[id] = true;
      texts_[id].assign(1, static_cast<char>(byte));
    } else if (spelled) {
      from_byte_alphabet(text, texts_[id]);
    } else {
      texts_[id] = text;
    }
    num_bytes += texts_[id].size();
    if (num_bytes > kMaxTextBytes) {
      return invalid_argument(
          fmt::format("tokenizer: texts of all tokens over {} bytes", kMaxTextBytes));
    }
  }
  return {};
}

std::string TokenDecoder::first_text(int32_t id) const {
  return per_token(spellings_[static_cast<size_t>(id)], true);
}

std::string TokenDecoder::per_token(std::string_view spelling, bool first) const {
  std::string text(spelling);
  for (const DecoderStep& step : token_steps_) {
    if (step.kind == Kind::kReplace) {
      replace_all(text, step.pattern, step.content);
    } else if (step.kind == Kind::kMetaspace) {
      replace_all(text, step.content, first && step.drop_first ? "" : " ");
    } else {
      strip(text, step);
    }
  }
  return text;
}

std::string_view TokenDecoder::bytes(int32_t id) const {
  if (!own_texts_.empty()) {
    const auto own = own_texts_.find(id);
    if (own != own_texts_.end()) return own->second;
  }
  return (texts_.empty() ? *tokens_ : texts_)[static_cast<size_t>(id)];
}

TokenDecoder::State TokenDecoder::begin(bool whole, bool at_start) const {
  State state;
  state.whole = whole;
  state.first = at_start;
  state.to_strip = at_start ? strip_start_ : 0;
  return state;
}

void TokenDecoder::add(State& state, int32_t id, std::string& out) const {
  const bool first = std::exchange(state.first, false);
  if (raw_bytes_) {
    state.bytes += bytes(id);
    state.bytes.erase(0, append_utf8_lossy(state.bytes, out));
    return;
  }
  if (joins_with_spaces_ && !first) put(state, " ", out);
  if (!is_byte_.empty() && is_byte_[static_cast<size_t>(id)]) {
    add_byte(state, bytes(id)[0], out);
    return;
  }
  end_run(state, out);
  if (first && drops_first_) {
    put(state, first_text(id), out);
  } else {
    put(state, bytes(id), out);
  }
}

// A run of byte tokens that is no UTF-8 becomes one U+FFFD for each byte. A stream has shown the
// whole characters at its start before that is known.
void TokenDecoder::add_byte(State& state, char byte, std::string& out) const {
  state.bytes.push_back(byte);
  if (state.whole) return;
  if (!state.run_is_broken) {
    if (is_valid_utf8(state.bytes)) {
      put(state, std::exchange(state.bytes, {}), out);
      return;
    }
    std::string replaced;
    if (append_utf8_lossy(state.bytes, replaced) == 0) return;
    state.run_is_broken = true;
  }
  for (size_t i = 0; i < state.bytes.size(); ++i) put(state, kReplacementCharacter, out);
  state.bytes.clear();
}

void TokenDecoder::end_run(State& state, std::string& out) const {
  state.run_is_broken = false;
  if (state.bytes.empty()) return;
  const std::string run = std::exchange(state.bytes, {});
  if (is_valid_utf8(run)) {
    put(state, run, out);
  } else {
    for (size_t i = 0; i < run.size(); ++i) put(state, kReplacementCharacter, out);
  }
}

void TokenDecoder::put(State& state, std::string_view text, std::string& out) const {
  std::string changed;
  if (!text_replaces_.empty()) {
    changed = text;
    for (const DecoderStep& step : text_replaces_) {
      replace_all(changed, step.pattern, step.content);
    }
    text = changed;
  }
  if (strip_.empty()) {
    out += text;
    return;
  }
  while (state.to_strip > 0 && text.starts_with(strip_)) {
    text.remove_prefix(strip_.size());
    --state.to_strip;
  }
  if (text.empty()) return;
  state.to_strip = 0;
  if (strip_stop_ == 0) {
    out += text;
    return;
  }
  std::string all = std::exchange(state.held, {}).append(text);
  const auto held = static_cast<size_t>(count_at_end(all, strip_, strip_stop_)) * strip_.size();
  out.append(all, 0, all.size() - held);
  state.held = all.substr(all.size() - held);
}

void TokenDecoder::finish(State& state, std::string& out) const {
  if (raw_bytes_) {
    // What is left is the start of one character, so it is one maximal subpart.
    if (!std::exchange(state.bytes, {}).empty()) out += kReplacementCharacter;
    return;
  }
  end_run(state, out);
}

}  // namespace pagoda
