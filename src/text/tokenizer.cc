// Tokenizer: added tokens, then the split pattern, then byte-pair merges.
#include "text/tokenizer.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/pretokenize.h"
#include "text/unicode.h"

namespace pagoda {
namespace {

constexpr int32_t kMaxVocabSize = 1 << 22;
constexpr size_t kMaxAddedTokenBytes = 512;  // bounds the work for each byte of a text

using AddedToken = TokenizerData::AddedToken;

// Puts the added tokens into the id table; refuses one that contradicts it.
Result<void> place_added_tokens(TokenizerData& data) {
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
    if (!data.tokens[at].empty() && data.tokens[at] != token.content) {
      return invalid_argument(
          fmt::format("tokenizer: added token {} is another token of the model", token.id));
    }
    data.tokens[at] = token.content;
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
  std::shared_ptr<const PreTokenizer> pre_tokenizer;
  AddedTokenMatcher raw_added_tokens;         // matched in the text as given
  AddedTokenMatcher normalized_added_tokens;  // matched after normalisation
  std::vector<bool> special;                  // by id

  Result<void> encode_section(std::string_view text, std::vector<int32_t>& ids) const;
};

// One stretch of ordinary text between added tokens.
Result<void> Tokenizer::Impl::encode_section(std::string_view text,
                                             std::vector<int32_t>& ids) const {
  std::string prefixed;
  if (data.add_prefix_space && !text.starts_with(' ')) {
    prefixed.reserve(text.size() + 1);
    prefixed.append(" ").append(text);
    text = prefixed;
  }
  return pre_tokenizer->split(text, [&](std::string_view piece) { bpe.encode(piece, ids); });
}

Tokenizer::Tokenizer(std::unique_ptr<const Impl> impl) : impl_(std::move(impl)) {
}
Tokenizer::~Tokenizer() = default;

Result<std::shared_ptr<const Tokenizer>> Tokenizer::create(TokenizerData data) {
  auto impl = std::make_unique<Impl>();
  impl->data = std::move(data);
  TokenizerData& own = impl->data;
  // Before the added tokens are placed: the text of one must never become it by merges.
  ASSIGN_OR_RETURN(impl->bpe, Bpe::create(own.tokens, own.merges, own.ignore_merges));
  RETURN_IF_ERROR(place_added_tokens(own));
  RETURN_IF_ERROR(check_ids(own));
  own.merges = {};  // Bpe has its own index of them
  ASSIGN_OR_RETURN(impl->pre_tokenizer,
                   PreTokenizer::create(own.split_pattern, own.drop_unmatched));
  std::vector<AddedToken> raw, normalized;
  impl->special.resize(own.tokens.size());
  for (const AddedToken& token : own.added_tokens) {
    if (token.special) impl->special[static_cast<size_t>(token.id)] = true;
    AddedToken matched = token;
    if (token.normalized && own.normalize_nfc) matched.content = normalize_nfc(token.content);
    (token.normalized ? normalized : raw).push_back(std::move(matched));
  }
  impl->raw_added_tokens = AddedTokenMatcher(std::move(raw));
  impl->normalized_added_tokens = AddedTokenMatcher(std::move(normalized));
  return std::shared_ptr<const Tokenizer>(new Tokenizer(std::move(impl)));
}

Result<std::vector<int32_t>> Tokenizer::encode(std::string_view text,
                                               const EncodeOptions& options) const {
  if (!is_valid_utf8(text)) return invalid_argument("text is not valid UTF-8");
  const Impl& impl = *impl_;
  std::vector<int32_t> ids;
  ids.reserve(text.size() / 3 + 8);
  if (options.add_special_tokens) ids = impl.data.prefix_ids;

  std::vector<AddedTokenMatcher::Section> outer, inner;
  impl.raw_added_tokens.split(text, options.parse_special_tokens, outer);
  for (const auto& section : outer) {
    if (section.id >= 0) {
      ids.push_back(section.id);
      continue;
    }
    std::string normalized;
    std::string_view ordinary = section.text;
    if (impl.data.normalize_nfc) {
      normalized = normalize_nfc(ordinary);
      ordinary = normalized;
    }
    inner.clear();
    impl.normalized_added_tokens.split(ordinary, options.parse_special_tokens, inner);
    for (const auto& part : inner) {
      if (part.id >= 0) {
        ids.push_back(part.id);
      } else {
        RETURN_IF_ERROR(impl.encode_section(part.text, ids));
      }
    }
  }
  if (options.add_special_tokens) {
    ids.insert(ids.end(), impl.data.suffix_ids.begin(), impl.data.suffix_ids.end());
  }
  return ids;
}

std::string_view Tokenizer::token_bytes(int32_t id) const {
  CHECK(id >= 0 && id < vocab_size());
  return impl_->data.tokens[static_cast<size_t>(id)];
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
  std::string bytes;
  for (const int32_t id : ids) {
    if (id < 0 || id >= vocab_size() || (skip_special_tokens && is_special(id))) continue;
    bytes += token_bytes(id);
  }
  std::string text;
  text.reserve(bytes.size());
  if (append_utf8_lossy(bytes, text) < bytes.size()) text += kReplacementCharacter;
  return text;
}

}  // namespace pagoda
