// Tests of the small parts of HTTP messages.
#include "server/http/message.h"

#include <gtest/gtest.h>

namespace pagoda {
namespace {

TEST(HttpMessage, RequestIdsAreEchoedOnlyWhenTheyAreHarmless) {
  EXPECT_TRUE(is_valid_request_id("a-B_9.x"));
  EXPECT_FALSE(is_valid_request_id(""));
  EXPECT_FALSE(is_valid_request_id("a b"));
  EXPECT_FALSE(is_valid_request_id("a\r\nX: 1"));
  EXPECT_FALSE(is_valid_request_id("\"quoted\""));
  EXPECT_TRUE(is_valid_request_id(std::string(128, 'a')));
  EXPECT_FALSE(is_valid_request_id(std::string(129, 'a')));
}

TEST(HttpMessage, DrawnRequestIdsAreValidAndDiffer) {
  EXPECT_EQ(draw_request_id().size(), 32U);
  EXPECT_TRUE(is_valid_request_id(draw_request_id()));
  EXPECT_NE(draw_request_id(), draw_request_id());
}

TEST(HttpMessage, PercentDecodingRefusesWhatIsMalformedOrNul) {
  std::string out;
  EXPECT_TRUE(percent_decode("org%2fname%20x", out));
  EXPECT_EQ(out, "org/name x");
  for (const char* bad : {"%", "%2", "%zz", "a%00b", "%-1"}) EXPECT_FALSE(percent_decode(bad, out));
}

TEST(HttpMessage, HeadersAreFoundByLowerCaseNameAndTheFirstCounts) {
  HttpRequest request;
  request.headers = {{"host", "a"}, {"host", "b"}};
  EXPECT_EQ(request.header("host"), "a");
  EXPECT_EQ(request.header("origin"), "");
}

TEST(HttpMessage, ComparisonIgnoresTheCaseOfLettersOnly) {
  EXPECT_TRUE(equals_ignoring_case("100-Continue", "100-continue"));
  EXPECT_FALSE(equals_ignoring_case("chunked", "chunke"));
  EXPECT_FALSE(equals_ignoring_case("@", "`"));
}

TEST(HttpMessage, EveryStatusInUseHasAReason) {
  for (const int status :
       {200, 204, 304, 400, 401, 404, 405, 408, 413, 414, 417, 421, 429, 431, 500, 503}) {
    EXPECT_NE(reason_phrase(status), "Unknown") << status;
  }
}

}  // namespace
}  // namespace pagoda
