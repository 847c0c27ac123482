// JsonScanner: strings, escapes, skipping, faults.
#include "text/json_scanner.h"

#include <gtest/gtest.h>

namespace pagoda {
namespace {

Result<std::string> read_string(std::string_view json) {
  JsonScanner in(json, 0);
  std::string out;
  if (!in.read_string(out)) return in.error();
  return out;
}

TEST(JsonScanner, ReadsStringsWithEveryEscape) {
  EXPECT_EQ(*read_string(R"("a\"\\\/\b\f\n\r\t\u0041\ud83d\ude00한")"), "a\"\\/\b\f\n\r\tA😀한");
  for (const std::string_view bad : {R"("open)", R"("\x")", R"("\u12")", R"("\ud800")",
                                     R"("\ud800\u0041")", R"("\udc00")", "\"\n\"", "", "5"}) {
    EXPECT_FALSE(read_string(bad).ok()) << bad;
  }
}

TEST(JsonScanner, WalksMembersAndElements) {
  JsonScanner in(R"( {"a" : 1 , "b":[2, 3 ],"c":{"d":"]}"},"e":null} )", 0);
  std::string key, seen;
  ASSERT_TRUE(in.enter('{'));
  while (in.next_member(key)) {
    seen += key;
    if (key == "b") {
      ASSERT_TRUE(in.enter('['));
      int64_t value = 0;
      while (in.next_element() && in.read_integer(value)) seen += std::to_string(value);
    } else {
      seen += std::string("<") + std::string(in.skip_value()) + ">";
    }
  }
  EXPECT_EQ(seen, R"(a<1>b23c<{"d":"]}"}>e<null>)");
  EXPECT_FALSE(in.failed());
  EXPECT_TRUE(in.at_end());
}

TEST(JsonScanner, FaultsEndTheWalkAndNameThePlace) {
  for (const std::string_view bad : {R"({"a":1 "b":2})", R"({"a" 1})", R"({"a":1,})", R"({,})",
                                     R"({"a":[1,2})", R"({"a":)", R"({"a":1)", "[", "{"}) {
    JsonScanner in(bad, 0);
    std::string key;
    if (in.enter('{')) {
      while (in.next_member(key)) in.skip_value();
    }
    EXPECT_TRUE(in.failed()) << bad;
    EXPECT_NE(in.error().message.find("at byte"), std::string::npos);
  }
}

}  // namespace
}  // namespace pagoda
