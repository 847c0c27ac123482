// SentencePiece models: a bounds-checked reader of the protobuf wire format, and the conversion.
#include "text/sentencepiece_model.h"

#include <fmt/core.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "text/unicode.h"

namespace pagoda {
namespace {

using Type = SentencePieceVocabulary::Type;

constexpr size_t kMaxPieces = size_t{1} << 21;
constexpr std::string_view kSpace = "\xE2\x96\x81";  // U+2581 stands for a space

Error malformed(std::string_view what) {
  return invalid_argument(fmt::format("tokenizer.model: {}", what));
}

// Walks the fields of one message (protobuf.dev, "Encoding"). After a fault next() is false and
// failed() true.
class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : bytes_(bytes) {}

  // Steps to the next field. Its value is in number() for wire types 0, 1 and 5, in bytes() for 2.
  bool next() {
    if (failed_ || at_ == bytes_.size()) return false;
    uint64_t tag = 0;
    if (!varint(tag)) return false;
    field_ = tag >> 3;
    wire_type_ = static_cast<uint32_t>(tag & 7U);
    value_ = {};
    number_ = 0;
    switch (wire_type_) {
      case 0: return varint(number_);
      case 1: return fixed(8);
      case 2: {
        uint64_t length = 0;
        if (!varint(length)) return false;
        if (length > bytes_.size() - at_) return fail();
        value_ = bytes_.substr(at_, static_cast<size_t>(length));
        at_ += static_cast<size_t>(length);
        return true;
      }
      case 5: return fixed(4);
      default: return fail();
    }
  }

  bool failed() const { return failed_; }
  bool is(uint64_t field, uint32_t wire_type) const {
    return field_ == field && wire_type_ == wire_type;
  }
  std::string_view bytes() const { return value_; }
  bool flag() const { return number_ != 0; }
  uint64_t number() const { return number_; }
  // A varint as the int32 it stands for; negative ones have ten bytes.
  int32_t int32() const { return static_cast<int32_t>(static_cast<uint32_t>(number_)); }
  float number_as_float() const {
    const auto bits = static_cast<uint32_t>(number_);
    float value = 0;
    std::memcpy(&value, &bits, sizeof(value));
    return value;
  }

 private:
  bool fail() {
    failed_ = true;
    return false;
  }
  bool varint(uint64_t& out) {
    out = 0;
    for (uint32_t shift = 0; shift < 64; shift += 7) {
      if (at_ == bytes_.size()) return fail();
      const auto byte = static_cast<uint8_t>(bytes_[at_++]);
      out |= uint64_t{byte & 0x7FU} << shift;
      if ((byte & 0x80U) == 0) return true;
    }
    return fail();
  }
  bool fixed(size_t size) {
    if (bytes_.size() - at_ < size) return fail();
    for (size_t i = 0; i < size; ++i) {
      number_ |= uint64_t{static_cast<uint8_t>(bytes_[at_ + i])} << (8 * i);
    }
    at_ += size;
    return true;
  }

  std::string_view bytes_;
  size_t at_ = 0;
  bool failed_ = false;
  uint64_t field_ = 0;
  uint32_t wire_type_ = 0;
  uint64_t number_ = 0;
  std::string_view value_;
};

Result<void> read_piece(std::string_view bytes, SentencePieceVocabulary& vocabulary) {
  if (vocabulary.pieces.size() == kMaxPieces) {
    return malformed(fmt::format("more than {} pieces", kMaxPieces));
  }
  SentencePieceVocabulary::Piece piece;
  WireReader in(bytes);
  while (in.next()) {
    if (in.is(1, 2)) {
      piece.text = in.bytes();
    } else if (in.is(2, 5)) {
      piece.score = in.number_as_float();
    } else if (in.is(3, 0)) {
      switch (in.number()) {
        case 1: piece.type = Type::kNormal; break;
        case 2: piece.type = Type::kUnknown; break;
        case 3: piece.type = Type::kControl; break;
        case 4: piece.type = Type::kUserDefined; break;
        case 5: piece.type = Type::kUnused; break;
        case 6: piece.type = Type::kByte; break;
        default:
          return malformed(fmt::format("piece {} is of type {}, not 1 to 6",
                                       vocabulary.pieces.size(), in.number()));
      }
    }
  }
  if (in.failed()) return malformed(fmt::format("piece {} is cut", vocabulary.pieces.size()));
  vocabulary.pieces.push_back(std::move(piece));
  return {};
}

// TrainerSpec: the kind of model and the ids of its special pieces.
Result<void> read_trainer(std::string_view bytes, SentencePieceVocabulary& vocabulary,
                          int32_t& bos_id) {
  uint64_t model_type = 1;
  bool suffix = false;
  WireReader in(bytes);
  while (in.next()) {
    if (in.is(3, 0)) model_type = in.number();
    if (in.is(24, 0)) suffix = in.flag();
    if (in.is(35, 0)) vocabulary.byte_fallback = in.flag();
    if (in.is(41, 0)) bos_id = in.int32();
  }
  if (in.failed()) return malformed("trainer_spec is cut");
  if (model_type != 2) {
    const char* name = model_type == 1 ? "Unigram" : model_type == 3 ? "word" : "character";
    return Error{ErrorCode::kUnsupported,
                 fmt::format("tokenizer.model: a {} model is not supported", name)};
  }
  if (suffix) {
    return Error{ErrorCode::kUnsupported,
                 "tokenizer.model: treat_whitespace_as_suffix is not supported"};
  }
  return {};
}

Result<void> read_preparation(std::string_view bytes, SentencePieceVocabulary& vocabulary) {
  bool escapes = true;
  WireReader in(bytes);
  while (in.next()) {
    if (in.is(2, 2) && !in.bytes().empty()) {
      return Error{ErrorCode::kUnsupported,
                   "tokenizer.model: a normalizer with a character map is not supported"};
    }
    if (in.is(3, 0)) vocabulary.add_dummy_prefix = in.flag();
    if (in.is(4, 0)) vocabulary.remove_extra_whitespaces = in.flag();
    if (in.is(5, 0)) escapes = in.flag();
  }
  if (in.failed()) return malformed("normalizer_spec is cut");
  if (!escapes) {
    return Error{ErrorCode::kUnsupported,
                 "tokenizer.model: unescaped white space is not supported"};
  }
  return {};
}

void add_steps(const SentencePieceVocabulary& vocabulary, TokenizerData& data) {
  using Kind = NormalizerStep::Kind;
  const std::string space(kSpace);
  if (vocabulary.remove_extra_whitespaces) {
    data.normalizers.push_back({.kind = Kind::kReplaceRegex, .pattern = R"(\A +| +\z)"});
    data.normalizers.push_back({.kind = Kind::kReplaceRegex, .pattern = " {2,}", .content = " "});
  }
  if (vocabulary.add_dummy_prefix) {
    data.normalizers.push_back({.kind = Kind::kPrepend, .content = space});
  }
  data.normalizers.push_back({.kind = Kind::kReplace, .pattern = " ", .content = space});
  data.normalize_added_tokens = false;

  using Step = DecoderStep::Kind;
  data.decoders.push_back({.kind = Step::kReplace, .pattern = space, .content = " "});
  data.decoders.push_back({.kind = Step::kByteFallback});
  data.decoders.push_back({.kind = Step::kFuse});
  if (vocabulary.add_dummy_prefix) {
    data.decoders.push_back({.kind = Step::kStrip, .content = " ", .start = 1});
  }
}

}  // namespace

Result<TokenizerData> tokenizer_from_sentencepiece(SentencePieceVocabulary vocabulary) {
  TokenizerData data;
  data.model = TokenizerData::Model::kCharacterScores;
  data.byte_fallback = vocabulary.byte_fallback;
  data.fuse_unk = true;
  data.unk_id = vocabulary.unk_id;
  data.tokens.reserve(vocabulary.pieces.size());
  data.scores.reserve(vocabulary.pieces.size());
  for (size_t at = 0; at < vocabulary.pieces.size(); ++at) {
    auto& [text, score, type] = vocabulary.pieces[at];
    const auto id = static_cast<int32_t>(at);
    if (!is_valid_utf8(text)) {
      return invalid_argument(fmt::format("tokenizer: piece {} is not UTF-8", at));
    }
    if (type == Type::kUnknown && data.unk_id < 0) data.unk_id = id;
    if (type == Type::kControl || type == Type::kUserDefined || type == Type::kUnknown) {
      const bool special = type != Type::kUserDefined;
      if (!text.empty()) {
        data.added_tokens.push_back(
            {.id = id, .content = text, .special = special, .normalized = !special});
      }
    }
    const bool joins = type == Type::kNormal || type == Type::kUnused;
    data.scores.push_back(joins ? score : std::numeric_limits<float>::quiet_NaN());
    data.tokens.push_back(std::move(text));
  }
  add_steps(vocabulary, data);
  return data;
}

Result<TokenizerData> parse_sentencepiece_model(std::string_view bytes) {
  SentencePieceVocabulary vocabulary;
  // What the format's defaults are when the message is absent.
  vocabulary.remove_extra_whitespaces = true;
  int32_t bos_id = 1;
  bool has_trainer = false;
  WireReader in(bytes);
  while (in.next()) {
    if (in.is(1, 2)) {
      RETURN_IF_ERROR(read_piece(in.bytes(), vocabulary));
    } else if (in.is(2, 2)) {
      RETURN_IF_ERROR(read_trainer(in.bytes(), vocabulary, bos_id));
      has_trainer = true;
    } else if (in.is(3, 2)) {
      RETURN_IF_ERROR(read_preparation(in.bytes(), vocabulary));
    }
  }
  if (in.failed()) return malformed("not a protobuf message");
  if (vocabulary.pieces.empty()) return malformed("no pieces");
  if (!has_trainer) {
    return Error{ErrorCode::kUnsupported, "tokenizer.model: a Unigram model is not supported"};
  }
  const bool has_bos = bos_id >= 0 && static_cast<size_t>(bos_id) < vocabulary.pieces.size() &&
                       vocabulary.pieces[static_cast<size_t>(bos_id)].type == Type::kControl;
  ASSIGN_OR_RETURN(TokenizerData data, tokenizer_from_sentencepiece(std::move(vocabulary)));
  if (has_bos) data.prefix_ids.push_back(bos_id);
  return data;
}

}  // namespace pagoda
