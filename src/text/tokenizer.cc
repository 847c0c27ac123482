// Tokenizer: added tokens, then normalisation, then the split steps, then merges.
#include "text/tokenizer.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/byte_alphabet.h"
#include "text/normalizer.h"
#include "text/pretokenize.h"
#include "text/token_decoder.h"
#include "text/unicode.h"

namespace pagoda {
namespace {

constexpr int32_t kMaxVocabSize = 1 << 22;
constexpr size_t kMaxAddedTokenBytes = 512;  // bounds the work for each byte of a text
// What normalising all added tokens may make, step by step.
constexpr size_t kMaxNormalizedTokenBytes = size_t{256} << 20;

using AddedToken = TokenizerData::AddedToken;

// Puts the added tokens into the holes of the id table; refuses one that contradicts it.
Result<void> fill_holes(TokenizerData& data) {
  const bool spelled = data.model == TokenizerData::Model::kByteMerges;
  std::string bytes;
  for (const AddedToken& token : data.added_tokens) {
    if (token.id < 0 || token.id >= kMaxVocabSize) {
      return invalid_argument(
          fmt::format("tokenizer: added token id {} outside 0..{}", token.id, kMaxVocabSize - 1));
    }
    if (token.content.size() > kMaxAddedTokenBytes || !is_valid_utf8(token.content)) {
      return invalid_argument(
          fmt::format("tokenizer: added token {} is no UTF-8 text of at most {} bytes", token.id,
                      kMaxAddedTokenBytes));
    }
    const auto at = static_cast<size_t>(token.id);
    if (at >= data.tokens.size()) data.tokens.resize(at + 1);
    std::string& own = data.tokens[at];
    if (own.empty()) {
      own = token.content;
    } else if (own != token.content) {
      // The model may hold it too, in its byte-level spelling.
      if (spelled) from_byte_alphabet(token.content, bytes);
      if (!spelled || own != bytes) {
        return invalid_argument(
            fmt::format("tokenizer: added token {} is another token of the model", token.id));
      }
    }
  }
  return {};
}

Result<void> check_ids(const TokenizerData& data) {
  if (data.tokens.empty() || data.tokens.size() > static_cast<size_t>(kMaxVocabSize)) {
    return invalid_argument(
        fmt::format("tokenizer: {} tokens, must be 1..{}", data.tokens.size(), kMaxVocabSize));
  }
  for (const auto* ids : {&data.prefix_ids, &data.suffix_ids}) {
    for (const int32_t id : *ids) {
      if (id < 0 || static_cast<size_t>(id) >= data.tokens.size()) {
        return invalid_argument(
            fmt::format("tokenizer: special id {} outside 0..{}", id, data.tokens.size() - 1));
      }
    }
  }
  return {};
}

}  // namespace

struct Tokenizer::Impl {
  TokenizerData data;
  Bpe bpe;  // points into data.tokens
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  TokenDecoder decoder;                       // points to data.tokens
  AddedTokenMatcher raw_added_tokens;         // matched in the text as given
  AddedTokenMatcher normalized_added_tokens;  // matched after normalisation
  std::vector<bool> special;                  // by id

  // Makes the matchers of added tokens, and the decoder, which needs their normalised contents.
  Result<void> place_added_tokens();
  Result<void> encode_section(std::string_view text, bool at_start, bool parse_special_tokens,
                              PatternScratch& scratch, std::vector<int32_t>& ids) const;
};

Result<void> Tokenizer::Impl::place_added_tokens() {
  PatternScratch scratch;
  size_t budget = kMaxNormalizedTokenBytes;
  std::vector<AddedToken> raw, normalized, given = data.added_tokens;
  special.resize(data.tokens.size());
  for (AddedToken& token : data.added_tokens) {
    if (token.special) special[static_cast<size_t>(token.id)] = true;
    AddedToken matched = token;
    if (token.normalized && data.normalize_added_tokens && !normalizer.empty()) {
      ASSIGN_OR_RETURN(matched.content, normalizer.apply(token.content, scratch, budget));
      if (matched.content.size() > kMaxAddedTokenBytes) {
        return invalid_argument(
            fmt::format("tokenizer: added token {} normalises to more than {} bytes", token.id,
                        kMaxAddedTokenBytes));
      }
      token.content = matched.content;  // for the decoder: it is also what the token decodes to
    }
    (token.normalized ? normalized : raw).push_back(std::move(matched));
  }
  raw_added_tokens = AddedTokenMatcher(std::move(raw));
  normalized_added_tokens = AddedTokenMatcher(std::move(normalized));
  ASSIGN_OR_RETURN(decoder, TokenDecoder::create(&data.tokens, data));
  data.added_tokens = std::move(given);
  return {};
}

// One stretch of ordinary text between the added tokens that are matched in the text as given.
Result<void> Tokenizer::Impl::encode_section(std::string_view text, bool at_start,
                                             bool parse_special_tokens, PatternScratch& scratch,
                                             std::vector<int32_t>& ids) const {
  std::string normalized;
  if (!normalizer.empty()) {
    ASSIGN_OR_RETURN(normalized, normalizer.apply(text, scratch));
    text = normalized;
  }
  std::vector<AddedTokenMatcher::Section> sections;
  normalized_added_tokens.split(text, parse_special_tokens, sections);
  const PreTokenizer::Emit encode_piece = [&](std::string_view piece) { bpe.encode(piece, ids); };
  for (const auto& section : sections) {
    if (section.id >= 0) {
      ids.push_back(section.id);
      continue;
    }
    RETURN_IF_ERROR(pre_tokenizer.split(
        section.text, at_start && section.text.data() == text.data(), scratch, encode_piece));
  }
  return {};
}

Tokenizer::Tokenizer(std::unique_ptr<const Impl> impl) : impl_(std::move(impl)) {
}
Tokenizer::~Tokenizer() = default;

Result<std::shared_ptr<const Tokenizer>> Tokenizer::create(TokenizerData data) {
  auto impl = std::make_unique<Impl>();
  impl->data = std::move(data);
  TokenizerData& own = impl->data;
  // Before the added tokens are placed: the text of one must never become it by merges.
  ASSIGN_OR_RETURN(impl->bpe, Bpe::create(own));
  RETURN_IF_ERROR(fill_holes(own));
  RETURN_IF_ERROR(check_ids(own));
  own.merges = {};  // Bpe has its own index of them
  own.scores = {};
  ASSIGN_OR_RETURN(impl->normalizer, Normalizer::create(own.normalizers));
  ASSIGN_OR_RETURN(impl->pre_tokenizer, PreTokenizer::create(own.splits));
  RETURN_IF_ERROR(impl->place_added_tokens());
  return std::shared_ptr<const Tokenizer>(new Tokenizer(std::move(impl)));
}

Result<std::vector<int32_t>> Tokenizer::encode(std::string_view text,
                                               const EncodeOptions& options) const {
  if (!is_valid_utf8(text)) return invalid_argument("text is not valid UTF-8");
  const Impl& impl = *impl_;
  std::vector<int32_t> ids;
  ids.reserve(text.size() / 3 + 8);
  if (options.add_special_tokens) ids = impl.data.prefix_ids;

  PatternScratch scratch;
  std::vector<AddedTokenMatcher::Section> sections;
  impl.raw_added_tokens.split(text, options.parse_special_tokens, sections);
  for (const auto& section : sections) {
    if (section.id >= 0) {
      ids.push_back(section.id);
      continue;
    }
    RETURN_IF_ERROR(impl.encode_section(section.text, section.text.data() == text.data(),
                                        options.parse_special_tokens, scratch, ids));
  }
  if (options.add_special_tokens) {
    ids.insert(ids.end(), impl.data.suffix_ids.begin(), impl.data.suffix_ids.end());
  }
  return ids;
}

std::string_view Tokenizer::token_bytes(int32_t id) const {
  CHECK(id >= 0 && id < vocab_size());
  return impl_->decoder.bytes(id);
}

bool Tokenizer::is_special(int32_t id) const {
  return id >= 0 && id < vocab_size() && impl_->special[static_cast<size_t>(id)];
}

int32_t Tokenizer::vocab_size() const {
  return static_cast<int32_t>(impl_->data.tokens.size());
}

int32_t Tokenizer::token_id(std::string_view content) const {
  for (const AddedToken& token : impl_->data.added_tokens) {
    if (token.content == content) return token.id;
  }
  return impl_->bpe.index().find(content);
}

const std::vector<int32_t>& Tokenizer::prefix_ids() const {
  return impl_->data.prefix_ids;
}

std::string Tokenizer::decode(const std::vector<int32_t>& ids, bool skip_special_tokens) const {
  TokenDecoder::State state = impl_->decoder.begin(true, true);
  std::string text;
  for (const int32_t id : ids) {
    if (id < 0 || id >= vocab_size() || (skip_special_tokens && is_special(id))) continue;
    impl_->decoder.add(state, id, text);
  }
  impl_->decoder.finish(state, text);
  return text;
}

const TokenDecoder& Tokenizer::decoder() const {
  return impl_->decoder;
}

}  // namespace pagoda
