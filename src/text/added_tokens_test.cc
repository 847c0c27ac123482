// AddedTokenMatcher: longest match, stripping, whole words.
#include "text/added_tokens.h"

#include <gtest/gtest.h>

#include <string>

namespace pagoda {
namespace {

using AddedToken = TokenizerData::AddedToken;

// Sections as "text" or "[id]text", joined by "|".
std::string sections(std::vector<AddedToken> tokens, const std::string& text, bool special = true) {
  const AddedTokenMatcher matcher(std::move(tokens));
  std::vector<AddedTokenMatcher::Section> found;
  matcher.split(text, special, found);
  std::string out;
  for (const auto& section : found) {
    if (!out.empty()) out += "|";
    if (section.id >= 0) out += "[" + std::to_string(section.id) + "]";
    out += section.text;
  }
  return out;
}

TEST(AddedTokenMatcher, TakesTheLeftmostThenTheLongest) {
  const std::vector<AddedToken> tokens = {
      {.id = 1, .content = "<a"}, {.id = 2, .content = "<a>"}, {.id = 3, .content = "a>>"}};
  EXPECT_EQ(sections(tokens, "x<a>>y<a<a>"), "x|[2]<a>|>y|[1]<a|[2]<a>");
  EXPECT_EQ(sections(tokens, ""), "");
  EXPECT_EQ(sections({}, "abc"), "abc");
}

TEST(AddedTokenMatcher, LeavesSpecialTokensAsTextWhenNotAsked) {
  const std::vector<AddedToken> tokens = {{.id = 1, .content = "<s>", .special = true},
                                          {.id = 2, .content = "<t>"}};
  EXPECT_EQ(sections(tokens, "a<s>b<t>", false), "a<s>b|[2]<t>");
}

TEST(AddedTokenMatcher, StripsTheSidesATokenAsksFor) {
  EXPECT_EQ(sections({{.id = 1, .content = "<l>", .lstrip = true}}, "a \u3000<l> b"),
            "a|[1] \u3000<l>| b");
  EXPECT_EQ(sections({{.id = 1, .content = "<r>", .rstrip = true}}, "a <r> \n b"),
            "a |[1]<r> \n |b");
}

TEST(AddedTokenMatcher, SingleWordsNeedWordBoundaries) {
  const std::vector<AddedToken> tokens = {{.id = 1, .content = "is", .single_word = true}};
  EXPECT_EQ(sections(tokens, "this is it, is!"), "this |[1]is| it, |[1]is|!");
  EXPECT_EQ(sections(tokens, "한is"), "한is");
}

}  // namespace
}  // namespace pagoda
