// Tests of ApiKeys.
#include "server/api_keys.h"

#include <gtest/gtest.h>

namespace pagoda {
namespace {

HttpRequest with_header(const char* name, const char* value) {
  HttpRequest request;
  request.headers = {{name, value}};
  return request;
}

TEST(ApiKeys, WithoutKeysEveryRequestIsAccepted) {
  const ApiKeys keys({});
  EXPECT_TRUE(keys.accept({}));
  EXPECT_TRUE(keys.accept(with_header("authorization", "Bearer anything")));
}

TEST(ApiKeys, EachKeyIsAcceptedInEitherHeaderAndInAnyCaseOfTheScheme) {
  const ApiKeys keys({"first", "second"});
  EXPECT_TRUE(keys.accept(with_header("authorization", "Bearer first")));
  EXPECT_TRUE(keys.accept(with_header("authorization", "bearer second")));
  EXPECT_TRUE(keys.accept(with_header("authorization", "BEARER  first")));
  EXPECT_TRUE(keys.accept(with_header("x-api-key", "second")));
}

TEST(ApiKeys, AnythingElseIsRefused) {
  const ApiKeys keys({"secret"});
  EXPECT_FALSE(keys.accept({}));
  for (const char* value : {"Bearer ", "Bearer", "secret", "Basic secret", "Bearer secre",
                            "Bearer secretx", "Bearer secret secret", ""}) {
    EXPECT_FALSE(keys.accept(with_header("authorization", value))) << value;
  }
  EXPECT_FALSE(keys.accept(with_header("x-api-key", "")));
  EXPECT_FALSE(keys.accept(with_header("x-api-key", "Secret")));
}

}  // namespace
}  // namespace pagoda
