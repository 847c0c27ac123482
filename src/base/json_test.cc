// What the JSON wrapper promises beyond the library: limits, clean errors, exact numbers.
#include "base/json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace pagoda {
namespace {

TEST(Json, KeepsOrderAndPrintsNumbersAsPythonDoes) {
  const auto parsed = parse_json(R"({"b":0.7,"a":[1,100.0,1e-5,"\u00e9"]})");
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(dump_json(*parsed), "{\"b\":0.7,\"a\":[1,100.0,1e-05,\"\xC3\xA9\"]}");
}

TEST(Json, DepthBeyondTheLimitIsAnError) {
  EXPECT_TRUE(parse_json(std::string(64, '[') + std::string(64, ']')).ok());
  const auto deep = parse_json(std::string(65, '[') + std::string(65, ']'));
  ASSERT_FALSE(deep.ok());
  EXPECT_NE(deep.error().message.find("64"), std::string::npos);
  EXPECT_FALSE(parse_json(std::string(1'000'000, '[')).ok());
}

TEST(Json, MalformedTextsAreErrorsWithAPosition) {
  for (const char* text : {"", "{", "[1,]", "{\"a\":1,}", "nul", "1 2", "\"\xFF\"", "\"\\ud800\"",
                           "1e400", "NaN", "{\"a\" 1}"}) {
    const auto parsed = parse_json(text);
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_NE(parsed.error().message.find("invalid JSON"), std::string::npos) << text;
  }
}

TEST(Json, DuplicateKeysLastWinsUnlessRefused) {
  const auto lenient = parse_json(R"({"a":1,"b":2,"a":3})");
  ASSERT_TRUE(lenient.ok());
  EXPECT_EQ((*lenient)["a"], 3);
  EXPECT_EQ(lenient->size(), 2U);
  EXPECT_FALSE(parse_json(R"({"a":1,"a":3})", {.refuse_duplicate_keys = true}).ok());
}

TEST(Json, TextOverTheByteLimitIsRefused) {
  const auto parsed = parse_json("[1,2,3]", {.max_bytes = 6});
  ASSERT_FALSE(parsed.ok());
  EXPECT_EQ(parsed.error().code, ErrorCode::kTooLarge);
}

TEST(Json, MoreValuesThanTheLimitAreRefused) {
  for (const char* text : {"[1,2,3]", "[[],{},null]", R"({"a":"x","b":true,"c":1.5})"}) {
    EXPECT_TRUE(parse_json(text, {.max_values = 4}).ok()) << text;
    const auto refused = parse_json(text, {.max_values = 3});
    ASSERT_FALSE(refused.ok()) << text;
    EXPECT_NE(refused.error().message.find("more than 3 values"), std::string::npos);
  }
}

TEST(Json, EscapedTextParsesBackAndReplacesInvalidUtf8) {
  std::string all;
  for (int c = 0; c < 128; ++c) all += static_cast<char>(c);
  all += "\xED\x95\x9C \xF0\x9F\x98\x80";
  std::string out = "\"";
  append_json_escaped(out, all);
  out += '"';
  const auto parsed = parse_json(out);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->get<std::string>(), all);

  std::string replaced;
  append_json_escaped(replaced, "a\xC3(\xED\xA0\x80");
  EXPECT_EQ(replaced, "a\xEF\xBF\xBD(\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
}

}  // namespace
}  // namespace pagoda
