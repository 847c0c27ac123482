// Tests of ApiKeys.
#include "server/api_keys.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace pagoda {
namespace {

HttpRequest with_header(const char* name, const char* value) {
  HttpRequest request;
  request.headers = {{name, value}};
  return request;
}

TEST(ApiKeys, WithoutKeysEveryRequestIsAccepted) {
  const ApiKeys keys({});
  EXPECT_TRUE(keys.identify({}));
  EXPECT_TRUE(keys.identify(with_header("authorization", "Bearer anything")));
}

TEST(ApiKeys, EachKeyIsAcceptedInEitherHeaderAndInAnyCaseOfTheScheme) {
  const ApiKeys keys({"first", "second"});
  EXPECT_TRUE(keys.identify(with_header("authorization", "Bearer first")));
  EXPECT_TRUE(keys.identify(with_header("authorization", "bearer second")));
  EXPECT_TRUE(keys.identify(with_header("authorization", "BEARER  first")));
  EXPECT_TRUE(keys.identify(with_header("x-api-key", "second")));
}

TEST(ApiKeys, AnythingElseIsRefused) {
  const ApiKeys keys({"secret"});
  EXPECT_FALSE(keys.identify({}));
  for (const char* value : {"Bearer ", "Bearer", "secret", "Basic secret", "Bearer secre",
                            "Bearer secretx", "Bearer secret secret", ""}) {
    EXPECT_FALSE(keys.identify(with_header("authorization", value))) << value;
  }
  EXPECT_FALSE(keys.identify(with_header("x-api-key", "")));
  EXPECT_FALSE(keys.identify(with_header("x-api-key", "Secret")));
}

TEST(ApiKeys, EachKeyIsATenant) {
  const ApiKeys keys({"first", "second"});
  EXPECT_EQ(keys.identify(with_header("x-api-key", "first"))->tenant, 0);
  EXPECT_EQ(keys.identify(with_header("x-api-key", "second"))->tenant, 1);
}

TEST(CacheSalt, DiffersByKeyAndByTheClientsOwnSalt) {
  const ApiKeys keys({"first", "second"});
  const Client first = *keys.identify(with_header("x-api-key", "first"));
  const Client second = *keys.identify(with_header("x-api-key", "second"));
  const std::set<CacheSalt> salts = {cache_salt({}, ""),     cache_salt({}, "a"),
                                     cache_salt(first, ""),  cache_salt(first, "a"),
                                     cache_salt(second, ""), cache_salt(second, "a")};
  EXPECT_EQ(salts.size(), 6U);
  EXPECT_EQ(cache_salt({}, ""), CacheSalt{});
  EXPECT_EQ(cache_salt(first, "a"), cache_salt(first, "a"));
  // The digest itself is no salt: who sees one must not learn the other.
  EXPECT_FALSE(std::ranges::equal(cache_salt(first, ""), first.key_digest));
}

}  // namespace
}  // namespace pagoda
