// CharacterSet: general categories from utf8proc's tables, brought up to Unicode 16.
#include "text/character_set.h"

#include <utf8proc.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "text/unicode.h"

namespace pagoda {
namespace {

constexpr char32_t kLastCodePoint = 0x10FFFF;
// Nothing but private use is assigned from here on to the last code point.
constexpr char32_t kPrivateUse = 0xF0000;

constexpr auto kLu = UTF8PROC_CATEGORY_LU, kLl = UTF8PROC_CATEGORY_LL, kLm = UTF8PROC_CATEGORY_LM,
               kLo = UTF8PROC_CATEGORY_LO, kMn = UTF8PROC_CATEGORY_MN, kMc = UTF8PROC_CATEGORY_MC,
               kNd = UTF8PROC_CATEGORY_ND, kPd = UTF8PROC_CATEGORY_PD, kPo = UTF8PROC_CATEGORY_PO,
               kSm = UTF8PROC_CATEGORY_SM, kSo = UTF8PROC_CATEGORY_SO;

struct Run {
  char32_t first = 0, last = 0;
  utf8proc_category_t category = UTF8PROC_CATEGORY_CN;
};

// What Unicode 15.1 and 16 added or changed; Debian 12's utf8proc has Unicode 15.
constexpr Run kNewer[] = {
    {0x0897, 0x0897, kMn},   {0x1B4E, 0x1B4F, kPo},   {0x1B7F, 0x1B7F, kPo},
    {0x1C89, 0x1C89, kLu},   {0x1C8A, 0x1C8A, kLl},   {0x2427, 0x2429, kSo},
    {0x2FFC, 0x2FFF, kSo},   {0x31E4, 0x31E5, kSo},   {0x31EF, 0x31EF, kSo},
    {0xA7CB, 0xA7CC, kLu},   {0xA7CD, 0xA7CD, kLl},   {0xA7DA, 0xA7DA, kLu},
    {0xA7DB, 0xA7DB, kLl},   {0xA7DC, 0xA7DC, kLu},   {0x105C0, 0x105F3, kLo},
    {0x10D40, 0x10D49, kNd}, {0x10D4A, 0x10D4D, kLo}, {0x10D4E, 0x10D4E, kLm},
    {0x10D4F, 0x10D4F, kLo}, {0x10D50, 0x10D65, kLu}, {0x10D69, 0x10D6D, kMn},
    {0x10D6E, 0x10D6E, kPd}, {0x10D6F, 0x10D6F, kLm}, {0x10D70, 0x10D85, kLl},
    {0x10D8E, 0x10D8F, kSm}, {0x10EC2, 0x10EC4, kLo}, {0x10EFC, 0x10EFC, kMn},
    {0x11380, 0x11389, kLo}, {0x1138B, 0x1138B, kLo}, {0x1138E, 0x1138E, kLo},
    {0x11390, 0x113B5, kLo}, {0x113B7, 0x113B7, kLo}, {0x113B8, 0x113BA, kMc},
    {0x113BB, 0x113C0, kMn}, {0x113C2, 0x113C2, kMc}, {0x113C5, 0x113C5, kMc},
    {0x113C7, 0x113CA, kMc}, {0x113CC, 0x113CD, kMc}, {0x113CE, 0x113CE, kMn},
    {0x113CF, 0x113CF, kMc}, {0x113D0, 0x113D0, kMn}, {0x113D1, 0x113D1, kLo},
    {0x113D2, 0x113D2, kMn}, {0x113D3, 0x113D3, kLo}, {0x113D4, 0x113D5, kPo},
    {0x113D7, 0x113D8, kPo}, {0x113E1, 0x113E2, kMn}, {0x116D0, 0x116E3, kNd},
    {0x1171E, 0x1171E, kMc}, {0x11BC0, 0x11BE0, kLo}, {0x11BE1, 0x11BE1, kPo},
    {0x11BF0, 0x11BF9, kNd}, {0x11F5A, 0x11F5A, kMn}, {0x13460, 0x143FA, kLo},
    {0x16100, 0x1611D, kLo}, {0x1611E, 0x16129, kMn}, {0x1612A, 0x1612C, kMc},
    {0x1612D, 0x1612F, kMn}, {0x16130, 0x16139, kNd}, {0x16D40, 0x16D42, kLm},
    {0x16D43, 0x16D6A, kLo}, {0x16D6B, 0x16D6C, kLm}, {0x16D6D, 0x16D6F, kPo},
    {0x16D70, 0x16D79, kNd}, {0x18CFF, 0x18CFF, kLo}, {0x1CC00, 0x1CCEF, kSo},
    {0x1CCF0, 0x1CCF9, kNd}, {0x1CD00, 0x1CEB3, kSo}, {0x1E5D0, 0x1E5ED, kLo},
    {0x1E5EE, 0x1E5EF, kMn}, {0x1E5F0, 0x1E5F0, kLo}, {0x1E5F1, 0x1E5FA, kNd},
    {0x1E5FF, 0x1E5FF, kPo}, {0x1F8B2, 0x1F8BB, kSo}, {0x1F8C0, 0x1F8C1, kSo},
    {0x1FA89, 0x1FA89, kSo}, {0x1FA8F, 0x1FA8F, kSo}, {0x1FABE, 0x1FABE, kSo},
    {0x1FAC6, 0x1FAC6, kSo}, {0x1FADC, 0x1FADC, kSo}, {0x1FADF, 0x1FADF, kSo},
    {0x1FAE9, 0x1FAE9, kSo}, {0x1FBCB, 0x1FBEF, kSo}, {0x2EBF0, 0x2EE5D, kLo},
};

// All code points in runs of one category.
std::vector<Run> make_runs() {
  std::vector<Run> runs;
  const Run* newer = std::begin(kNewer);
  for (char32_t c = 0; c < kPrivateUse; ++c) {
    while (newer != std::end(kNewer) && newer->last < c) ++newer;
    const bool is_newer = newer != std::end(kNewer) && newer->first <= c;
    const utf8proc_category_t category =
        is_newer ? newer->category : utf8proc_category(static_cast<utf8proc_int32_t>(c));
    if (runs.empty() || runs.back().category != category) {
      runs.push_back({c, c, category});
    } else {
      runs.back().last = c;
    }
  }
  for (char32_t plane = kPrivateUse; plane <= kLastCodePoint; plane += 0x10000) {
    runs.push_back({plane, plane + 0xFFFD, UTF8PROC_CATEGORY_CO});
    runs.push_back({plane + 0xFFFE, plane + 0xFFFF, UTF8PROC_CATEGORY_CN});
  }
  return runs;
}

// In the order of utf8proc_category_t.
constexpr std::string_view kNames[] = {"Cn", "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd",
                                       "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm",
                                       "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co"};

}  // namespace

CharacterSet::CharacterSet(std::vector<Range> ranges) : ranges_(std::move(ranges)) {
  tidy();
}

void CharacterSet::add(char32_t first, char32_t last) {
  ranges_.push_back({first, last});
  tidy();
}

void CharacterSet::add(const CharacterSet& other) {
  ranges_.insert(ranges_.end(), other.ranges_.begin(), other.ranges_.end());
  tidy();
}

void CharacterSet::tidy() {
  std::sort(ranges_.begin(), ranges_.end(),
            [](const Range& a, const Range& b) { return a.first < b.first; });
  size_t kept = 0;
  for (const Range& range : ranges_) {
    if (kept > 0 && range.first <= ranges_[kept - 1].last + 1) {
      ranges_[kept - 1].last = std::max(ranges_[kept - 1].last, range.last);
    } else {
      ranges_[kept++] = range;
    }
  }
  ranges_.resize(kept);
}

CharacterSet CharacterSet::complement() const {
  CharacterSet out;
  char32_t from = 0;
  for (const Range& range : ranges_) {
    if (from < range.first) out.ranges_.push_back({from, range.first - 1});
    from = range.last + 1;
  }
  if (from <= kLastCodePoint) out.ranges_.push_back({from, kLastCodePoint});
  return out;
}

bool CharacterSet::contains(char32_t c) const {
  const auto after =
      std::upper_bound(ranges_.begin(), ranges_.end(), c,
                       [](char32_t x, const Range& range) { return x < range.first; });
  return after != ranges_.begin() && c <= std::prev(after)->last;
}

std::optional<CharacterSet> category_set(std::string_view name) {
  static const std::vector<Run> runs = make_runs();
  std::vector<CharacterSet::Range> ranges;
  bool known = false;
  for (size_t category = 0; category < std::size(kNames); ++category) {
    const bool meant = name.size() == 2 ? kNames[category] == name
                                        : name.size() == 1 && kNames[category][0] == name[0];
    if (!meant) continue;
    known = true;
    for (const Run& run : runs) {
      if (static_cast<size_t>(run.category) == category) ranges.push_back({run.first, run.last});
    }
  }
  if (!known) return std::nullopt;
  return CharacterSet(std::move(ranges));
}

const CharacterSet& white_space_set() {
  static const CharacterSet set = [] {
    CharacterSet made;
    for (char32_t c = 0; c <= 0x3000; ++c) {
      if (is_white_space(c)) made.add(c, c);
    }
    return made;
  }();
  return set;
}

const CharacterSet& word_set(bool in_class) {
  static const CharacterSet inside = [] {
    // Letters in circles and squares are Alphabetic.
    CharacterSet made(
        {{0x24B6, 0x24E9}, {0x1F130, 0x1F149}, {0x1F150, 0x1F169}, {0x1F170, 0x1F189}});
    for (const char* name : {"L", "M", "Nd", "Nl", "Pc"}) made.add(*category_set(name));
    return made;
  }();
  static const CharacterSet alone = [] {
    CharacterSet made({{0xB2, 0xB3}, {0xB9, 0xB9}, {0xBC, 0xBE}});
    made.add(inside);
    return made;
  }();
  return in_class ? inside : alone;
}

}  // namespace pagoda
