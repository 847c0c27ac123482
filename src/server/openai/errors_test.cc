// Tests of the error table.
#include "server/openai/errors.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace pagoda::openai {
namespace {

TEST(Errors, EveryCodeHasItsStatus) {
  const std::pair<ErrorCode, int> expected[] = {
      {ErrorCode::kInvalidArgument, 400}, {ErrorCode::kUnauthenticated, 401},
      {ErrorCode::kNotFound, 404},        {ErrorCode::kTooLarge, 413},
      {ErrorCode::kUnsupported, 400},     {ErrorCode::kOverloaded, 429},
      {ErrorCode::kUnavailable, 503},     {ErrorCode::kCancelled, 499},
      {ErrorCode::kInternal, 500},
  };
  for (const auto& [code, status] : expected) EXPECT_EQ(http_status(code), status);
}

TEST(Errors, TheBodyHasTheFourFieldsOfTheApi) {
  const Json error = error_json(invalid_argument("top_p: too high", "top_p"))["error"];
  EXPECT_EQ(error["message"], "top_p: too high");
  EXPECT_EQ(error["type"], "BadRequestError");
  EXPECT_EQ(error["param"], "top_p");
  EXPECT_EQ(error["code"], 400);
  EXPECT_TRUE(error_json(invalid_argument("x"))["error"]["param"].is_null());
}

TEST(Errors, AnOverflowShowsBothNumbers) {
  const Json error = error_json(invalid_argument("x"), ContextOverflow{5000, 4096})["error"];
  EXPECT_EQ(error["n_prompt_tokens"], 5000);
  EXPECT_EQ(error["n_ctx"], 4096);
}

TEST(Errors, AClientThatMayComeBackIsToldWhen) {
  for (const ErrorCode code : {ErrorCode::kOverloaded, ErrorCode::kUnavailable}) {
    const HttpResponse response = error_response({code, "later"});
    ASSERT_EQ(response.headers.size(), 1U);
    EXPECT_EQ(response.headers[0].first, "Retry-After");
  }
  EXPECT_TRUE(error_response(invalid_argument("never")).headers.empty());
}

TEST(Errors, RetryAfterIsWhatTheEngineSaysAndAtLeastASecond) {
  const auto retry_after = [](int32_t seconds) {
    Error error{ErrorCode::kOverloaded, "full"};
    error.retry_after_s = seconds;
    return error_response(error).headers.at(0);
  };
  EXPECT_EQ(retry_after(17), (std::pair<std::string, std::string>("Retry-After", "17")));
  EXPECT_EQ(retry_after(0).second, "1");
}

}  // namespace
}  // namespace pagoda::openai
