// Tests of checked reading of JSON fields.
#include "server/openai/schema.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace pagoda::openai {
namespace {

Json parse(std::string_view text) {
  auto json = parse_json(text);
  EXPECT_TRUE(json.ok()) << text;
  return json.ok() ? *json : Json::object();
}

TEST(Fields, AbsentFieldsAndNullGiveTheFallback) {
  const Json body = parse(R"({"a": null})");
  Fields fields(body);
  for (const char* key : {"a", "b"}) {
    EXPECT_EQ(fields.integer(key, {.min = 0, .max = 5}, 3), 3);
    EXPECT_EQ(fields.number(key, {.min = 0, .max = 5}, 0.5), 0.5);
    EXPECT_TRUE(fields.boolean(key, true));
    EXPECT_EQ(fields.string(key, "x"), "x");
    EXPECT_TRUE(fields.strings(key, 4).empty());
    EXPECT_TRUE(fields.token_ids(key, 10, 4).empty());
  }
  EXPECT_TRUE(fields.ok());
}

TEST(Fields, IntegersMayBeWrittenAsDoublesButNotAsAnythingElse) {
  const IntegerRange range = {.min = -10, .max = 10};
  EXPECT_EQ(as_integer(parse("5"), range), 5);
  EXPECT_EQ(as_integer(parse("5.0"), range), 5);
  EXPECT_EQ(as_integer(parse("-10"), range), -10);
  for (const char* bad : {"5.5", "11", "-11", "1e300", "-1e300", "18446744073709551615", "\"5\"",
                          "true", "[]", "null"}) {
    EXPECT_FALSE(as_integer(parse(bad), range).has_value()) << bad;
  }
}

TEST(Fields, NumbersOutsideTheirRangeAreRefused) {
  const Json body = parse(R"({"low": 0, "high": 1.5, "text": "1", "fine": 1, "huge": 1e300})");
  for (const char* key : {"low", "high", "text", "huge"}) {
    Fields fields(body);
    fields.number(key, {.min = 0, .max = 1, .above_min_only = true}, 1);
    EXPECT_FALSE(fields.ok()) << key;
  }
  Fields fields(body);
  EXPECT_EQ(fields.number("fine", {.min = 0, .max = 1}, 0.5), 1);
  EXPECT_TRUE(fields.ok());
}

TEST(Fields, TheFirstErrorIsKeptWithItsDottedPath) {
  const Json body = parse(R"({"a": "x", "b": 7})");
  Fields fields(body, "outer.3");
  fields.boolean("a", false);
  fields.string("b");
  const auto status = fields.status();
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().param, "outer.3.a");
  EXPECT_EQ(status.error().message, "outer.3.a: must be a boolean, not a string");
}

TEST(Fields, ErrorsEchoLittleAndNeverText) {
  Json body = Json::object();
  body["secret"] = std::string(100000, 's');
  body["digits"] = 1.2345678901234567e-300;
  for (const char* key : {"secret", "digits"}) {
    Fields fields(body);
    fields.integer(key, {.min = 0, .max = 1}, 0);
    EXPECT_LT(fields.status().error().message.size(), 120U);
    EXPECT_EQ(fields.status().error().message.find("sss"), std::string::npos);
  }
}

TEST(Fields, ListsAreLimitedAndTheirEntriesNamed) {
  const Json body = parse(R"({"s": ["a", 5], "many": ["a", "b", "c"], "ids": [1, 9], "one": "x"})");
  Fields strings(body);
  strings.strings("s", 2);
  EXPECT_EQ(strings.status().error().param, "s.1");
  Fields many(body);
  many.strings("many", 2);
  EXPECT_FALSE(many.ok());
  Fields ids(body);
  ids.token_ids("ids", 9, 2);
  EXPECT_EQ(ids.status().error().param, "ids.1");
  Fields fine(body);
  EXPECT_EQ(fine.strings("one", 2), std::vector<std::string>{"x"});
  EXPECT_EQ(fine.token_ids("ids", 10, 2), (std::vector<TokenId>{1, 9}));
  EXPECT_TRUE(fine.ok());
}

TEST(ParseBody, TakesObjectsOnly) {
  EXPECT_TRUE(parse_body("{}").ok());
  for (const char* bad : {"", "[1, 2]", "\"hello\"", "null", "{} x", "{\"a\": NaN}",
                          "{\"a\": 1e999}", "{\"a\": \"\xff\xfe\"}", "{\"a\":"}) {
    const auto body = parse_body(bad);
    ASSERT_FALSE(body.ok()) << bad;
    EXPECT_EQ(body.error().code, ErrorCode::kInvalidArgument);
  }
  EXPECT_FALSE(parse_body(std::string(100000, '[')).ok());
}

}  // namespace
}  // namespace pagoda::openai
