// Tests of the variables of the hub.
#include "hub/hub_config.h"

#include <gtest/gtest.h>

#include <map>

#include "hub/test_hub.h"

namespace pagoda {
namespace {

using Variables = std::map<std::string, std::string, std::less<>>;

Result<HubConfig> read(const Variables& variables) {
  return read_hub_config([&](std::string_view name) -> std::optional<std::string> {
    const auto at = variables.find(name);
    if (at == variables.end()) return std::nullopt;
    return at->second;
  });
}

TEST(HubConfig, HasHuggingFacesDefaults) {
  const auto config = read({{"HOME", "/home/me"}});
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config->endpoint, "https://huggingface.co");
  EXPECT_EQ(config->cache_dir, "/home/me/.cache/huggingface/hub");
  EXPECT_EQ(config->token, "");
  EXPECT_FALSE(config->offline);
}

TEST(HubConfig, TheMoreSpecialVariableOfTheCacheWins) {
  Variables variables = {{"HOME", "/home/me"}, {"XDG_CACHE_HOME", "/xdg"}};
  EXPECT_EQ(read(variables)->cache_dir, "/xdg/huggingface/hub");
  variables["HF_HOME"] = "~/hf";
  EXPECT_EQ(read(variables)->cache_dir, "/home/me/hf/hub");
  variables["HF_HUB_CACHE"] = "/models";
  EXPECT_EQ(read(variables)->cache_dir, "/models");
  EXPECT_FALSE(read({}).ok());
}

TEST(HubConfig, TheTokenComesFromItsVariableOrItsFile) {
  const TestFolder folder;
  write_text(folder / "token", " hf_file\n");
  write_text(folder / "other", "hf_other");
  Variables variables = {{"HF_HOME", folder.path()}};
  EXPECT_EQ(read(variables)->token, "hf_file");
  variables["HF_TOKEN_PATH"] = folder / "other";
  EXPECT_EQ(read(variables)->token, "hf_other");
  variables["HF_TOKEN"] = "hf_variable";
  EXPECT_EQ(read(variables)->token, "hf_variable");
}

TEST(HubConfig, ATokenThatIsNotOneLineIsRefusedWithoutBeingShown) {
  const auto config = read({{"HOME", "/h"}, {"HF_TOKEN", "secret\r\nX-Other: 1"}});
  ASSERT_FALSE(config.ok());
  EXPECT_EQ(config.error().message.find("secret"), std::string::npos);
  EXPECT_NE(config.error().message.find("HF_TOKEN"), std::string::npos);
}

TEST(HubConfig, TheEndpointIsAnAddressOfTheWeb) {
  EXPECT_EQ(read({{"HOME", "/h"}, {"HF_ENDPOINT", "http://mirror:8080/hf/"}})->endpoint,
            "http://mirror:8080/hf");
  for (const char* bad : {"mirror", "ftp://mirror", "https://", "https://user:password@mirror",
                          "https://mirror?x", "file:///etc", "https://a b"}) {
    EXPECT_FALSE(read({{"HOME", "/h"}, {"HF_ENDPOINT", bad}}).ok()) << bad;
  }
}

TEST(HubConfig, OfflineIsWhatHuggingFaceTakesForTrue) {
  for (const char* text : {"1", "true", "ON", "yes"}) {
    EXPECT_TRUE(read({{"HOME", "/h"}, {"HF_HUB_OFFLINE", text}})->offline) << text;
  }
  EXPECT_FALSE(read({{"HOME", "/h"}, {"HF_HUB_OFFLINE", "0"}})->offline);
}

TEST(HubConfig, AProxyForAllIsTakenWhereThereIsNoOther) {
  const auto config = read({{"HOME", "/h"},
                            {"ALL_PROXY", "socks5://all"},
                            {"https_proxy", "http://secure"},
                            {"NO_PROXY", "localhost"}});
  EXPECT_EQ(config->https_proxy, "http://secure");
  EXPECT_EQ(config->http_proxy, "socks5://all");
  EXPECT_EQ(config->no_proxy, "localhost");
}

}  // namespace
}  // namespace pagoda
