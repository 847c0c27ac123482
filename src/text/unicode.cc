// UTF-8 and character classes, on utf8proc's tables.
#include "text/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "text/unicode_versions.h"

namespace pagoda {
namespace {

constexpr uint64_t kHighBits = 0x8080808080808080ULL;

uint8_t byte_at(std::string_view text, size_t i) {
  return static_cast<uint8_t>(text[i]);
}

// Length of a well-formed character at the start of `text`, or minus the length of the maximal
// subpart there (at least 1), with `unfinished` set when more bytes could complete it.
struct Scan {
  int32_t length = 0;  // bytes that belong together
  bool valid = false;
  bool unfinished = false;
};

Scan scan_character(std::string_view text) {
  const uint8_t lead = byte_at(text, 0);
  if (lead < 0x80) return {1, true, false};
  int32_t length = 0;
  uint8_t low = 0x80, high = 0xBF;  // range of the second byte, Unicode table 3-7
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  } else {
    return {1, false, false};
  }
  for (int32_t i = 1; i < length; ++i) {
    const auto at = static_cast<size_t>(i);
    if (at >= text.size()) return {i, false, true};
    const uint8_t byte = byte_at(text, at);
    if (byte < low || byte > high) return {i, false, false};
    low = 0x80;
    high = 0xBF;
  }
  return {length, true, false};
}

size_t skip_ascii(std::string_view text, size_t offset) {
  while (offset + sizeof(uint64_t) <= text.size()) {
    uint64_t word = 0;
    std::memcpy(&word, text.data() + offset, sizeof(word));
    if ((word & kHighBits) != 0) break;
    offset += sizeof(word);
  }
  while (offset < text.size() && byte_at(text, offset) < 0x80) ++offset;
  return offset;
}

utf8proc_category_t category_of(char32_t code_point) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(code_point));
}

// Canonical ordering (the Unicode Standard, section 3.11): each run of marks by combining class.
// utf8proc's own takes the square of a run's length, which a client chooses.
void order_marks(std::vector<utf8proc_int32_t>& points) {
  const auto combining_class = [](utf8proc_int32_t point) {
    return utf8proc_get_property(point)->combining_class;
  };
  const auto is_mark = [&](utf8proc_int32_t point) { return combining_class(point) != 0; };
  for (auto begin = points.begin(); begin != points.end();) {
    begin = std::find_if(begin, points.end(), is_mark);
    const auto end = std::find_if_not(begin, points.end(), is_mark);
    std::ranges::stable_sort(begin, end, {}, combining_class);
    begin = end;
  }
}

}  // namespace

bool is_valid_utf8(std::string_view text) {
  size_t offset = 0;
  while ((offset = skip_ascii(text, offset)) < text.size()) {
    const Scan scan = scan_character(text.substr(offset, 4));
    if (!scan.valid) return false;
    offset += static_cast<size_t>(scan.length);
  }
  return true;
}

char32_t next_code_point(std::string_view text, size_t& offset) {
  DCHECK(offset < text.size());
  const uint8_t lead = byte_at(text, offset++);
  if (lead < 0x80) return lead;
  const int32_t following = lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
  char32_t code_point = lead & (0x3FU >> following);
  for (int32_t i = 0; i < following && offset < text.size(); ++i) {
    code_point = (code_point << 6) | (byte_at(text, offset++) & 0x3FU);
  }
  return code_point;
}

void append_utf8(std::string& out, char32_t code_point) {
  const auto put = [&out](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xC0U | (code_point >> 6));
    put(0x80U | (code_point & 0x3FU));
  } else if (code_point < 0x10000) {
    put(0xE0U | (code_point >> 12));
    put(0x80U | ((code_point >> 6) & 0x3FU));
    put(0x80U | (code_point & 0x3FU));
  } else {
    put(0xF0U | (code_point >> 18));
    put(0x80U | ((code_point >> 12) & 0x3FU));
    put(0x80U | ((code_point >> 6) & 0x3FU));
    put(0x80U | (code_point & 0x3FU));
  }
}

int64_t count_code_points(std::string_view text) {
  int64_t count = 0;
  for (const char c : text) count += (static_cast<uint8_t>(c) & 0xC0U) != 0x80U;
  return count;
}

size_t append_utf8_lossy(std::string_view bytes, std::string& out) {
  size_t offset = 0;
  while (offset < bytes.size()) {
    const size_t ascii_end = skip_ascii(bytes, offset);
    out.append(bytes.substr(offset, ascii_end - offset));
    offset = ascii_end;
    if (offset >= bytes.size()) break;
    const Scan scan = scan_character(bytes.substr(offset, 4));
    if (scan.unfinished) return offset;
    const auto length = static_cast<size_t>(scan.length);
    out.append(scan.valid ? bytes.substr(offset, length) : kReplacementCharacter);
    offset += length;
  }
  return offset;
}

namespace {

// Appends the normalisation form of a stretch of text that no later Unicode is needed for.
void append_normalized(std::string_view text, NormalForm form, std::string& out) {
  const bool composed = form == NormalForm::kNfc || form == NormalForm::kNfkc;
  const bool compatible = form == NormalForm::kNfkc || form == NormalForm::kNfkd;
  const int options = UTF8PROC_STABLE | (composed ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE) |
                      (compatible ? UTF8PROC_COMPAT : 0);
  std::vector<utf8proc_int32_t> points;
  points.reserve(text.size());
  for (size_t offset = 0; offset < text.size();) {
    const auto point = static_cast<utf8proc_int32_t>(next_code_point(text, offset));
    std::array<utf8proc_int32_t, 32> parts = {};  // the longest decomposition has 18
    int boundary = 0;
    const utf8proc_ssize_t count =
        utf8proc_decompose_char(point, parts.data(), static_cast<utf8proc_ssize_t>(parts.size()),
                                static_cast<utf8proc_option_t>(options), &boundary);
    CHECK(count >= 0 && count <= static_cast<utf8proc_ssize_t>(parts.size()));
    points.insert(points.end(), parts.begin(), parts.begin() + count);
  }
  order_marks(points);
  auto length = static_cast<utf8proc_ssize_t>(points.size());
  if (composed) {
    length =
        utf8proc_normalize_utf32(points.data(), length, static_cast<utf8proc_option_t>(options));
    CHECK(length >= 0);
  }
  for (utf8proc_ssize_t i = 0; i < length; ++i) {
    append_utf8(out, static_cast<char32_t>(points[static_cast<size_t>(i)]));
  }
}

// True for characters that the form keeps, and that neither move nor join what is before them.
bool is_inert(char32_t c, NormalForm form) {
  constexpr uint16_t kNone = 0xFFFF, kSecond = 0x8000;
  if (c < 0x80) return true;
  if (c >= 0x1100 && c <= 0x11FF) return false;  // parts of syllables join by a rule
  if (c >= 0xAC00 && c <= 0xD7A3) return form == NormalForm::kNfc || form == NormalForm::kNfkc;
  const utf8proc_property_t& property = *utf8proc_get_property(static_cast<utf8proc_int32_t>(c));
  return property.combining_class == 0 && property.decomp_seqindex == kNone &&
         (property.comb_index == kNone || property.comb_index < kSecond);
}

}  // namespace

// Only what may change goes through the tables of decompositions: from the character before it to
// the next one that is inert.
std::string normalize_unicode(std::string_view text, NormalForm form) {
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  size_t done = 0;    // up to here the text is in `out`
  size_t before = 0;  // the last character, to which the next may join
  for (size_t offset = 0; offset < text.size();) {
    const size_t start = offset;
    char32_t c = next_code_point(text, offset);
    if (is_inert(c, form) || !is_known_to_normalizers(c)) {
      // What is unknown joins nothing: it does not count as a character before.
      before = is_inert(c, form) ? start : offset;
      continue;
    }
    size_t end = offset;
    while (offset < text.size()) {
      c = next_code_point(text, offset);
      if (is_inert(c, form) || !is_known_to_normalizers(c)) break;
      end = offset;
    }
    before = std::max(before, done);
    out.append(text.substr(done, before - done));
    append_normalized(text.substr(before, end - before), form, out);
    done = before = offset = end;
  }
  out.append(text.substr(done));
  return out;
}

std::string without_marks(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t offset = 0; offset < text.size();) {
    const size_t start = offset;
    const char32_t c = next_code_point(text, offset);
    const utf8proc_category_t category = category_of(c);
    const bool mark = category >= UTF8PROC_CATEGORY_MN && category <= UTF8PROC_CATEGORY_ME;
    if (mark ? is_known_mark(c) : c == 0x1CF2 || c == 0x1CF3) continue;
    out.append(text.substr(start, offset - start));
  }
  return out;
}

std::string_view strip_white_space(std::string_view text, bool left, bool right) {
  size_t begin = 0, end = 0;
  bool inside = false;
  for (size_t offset = 0; offset < text.size();) {
    const size_t start = offset;
    if (is_white_space(next_code_point(text, offset))) continue;
    if (!inside) begin = start;
    inside = true;
    end = offset;
  }
  if (!inside) return left || right ? std::string_view() : text;
  if (!right) end = text.size();
  return text.substr(left ? begin : 0, end - (left ? begin : 0));
}

bool is_white_space(char32_t c) {
  if (c < 0x80) return c == ' ' || (c >= 0x09 && c <= 0x0D);
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
         c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_python_space(char32_t c) {
  return is_white_space(c) || (c >= 0x1C && c <= 0x1F);
}

bool is_word_character(char32_t code_point) {
  switch (category_of(code_point)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC: return true;
    default: return false;
  }
}

bool is_upper(char32_t code_point) {
  return utf8proc_isupper(static_cast<utf8proc_int32_t>(code_point)) != 0;
}

bool is_lower(char32_t code_point) {
  return utf8proc_islower(static_cast<utf8proc_int32_t>(code_point)) != 0;
}

bool is_letter(char32_t code_point) {
  const utf8proc_category_t category = category_of(code_point);
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

bool is_decimal_digit(char32_t code_point) {
  return category_of(code_point) == UTF8PROC_CATEGORY_ND;
}

bool is_numeric(char32_t code_point) {
  const utf8proc_category_t category = category_of(code_point);
  return (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO) ||
         is_newer_number(code_point);
}

bool is_punctuation(char32_t code_point) {
  if (code_point < 0x80) {
    return code_point > ' ' && code_point < 0x7F && !is_letter(code_point) &&
           !is_decimal_digit(code_point);
  }
  const utf8proc_category_t category = category_of(code_point);
  if (category < UTF8PROC_CATEGORY_PC || category > UTF8PROC_CATEGORY_PO) {
    return code_point == 0x166D || code_point == 0x111C9;  // signs of another kind since Unicode 8
  }
  return is_known_punctuation(code_point);
}

bool is_printable(char32_t code_point) {
  if (code_point == ' ') return true;
  switch (category_of(code_point)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS: return false;
    default: return true;
  }
}

std::string to_lower(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t offset = 0; offset < text.size();) {
    const char32_t c = next_code_point(text, offset);
    const char32_t newer = newer_small_letter(c);
    append_utf8(
        out, newer != 0 ? newer : static_cast<char32_t>(utf8proc_tolower(static_cast<int32_t>(c))));
    if (c == 0x130) append_utf8(out, 0x307);  // the one letter whose full mapping is longer
  }
  return out;
}

}  // namespace pagoda
