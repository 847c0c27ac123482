// Where settings come from, and what is refused.
#include "app/config.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

namespace pagoda {
namespace {

std::string write_config(const std::string& text) {
  const std::string path = testing::TempDir() + "/pagoda_config_test.yaml";
  std::ofstream(path) << text;
  return path;
}

TEST(Config, CommandLineBeatsEnvironmentBeatsFile) {
  const std::string file = write_config("port: 1\nhost: from-file\nmax-num-seqs: 3\n");
  setenv("PAGODA_HOST", "from-env", 1);
  setenv("PAGODA_PORT", "2", 1);
  ServeOptions options;
  const auto done = apply_settings(serve_flags(options), {{"port", {"3"}}}, file);
  unsetenv("PAGODA_HOST");
  unsetenv("PAGODA_PORT");
  ASSERT_TRUE(done.ok()) << done.error().message;
  EXPECT_EQ(options.port, 3);
  EXPECT_EQ(options.host, "from-env");
  EXPECT_EQ(options.engine.max_num_seqs, 3);
}

TEST(Config, BadValuesNameTheirSourceTheValueAndTheLimits) {
  const auto message = [](const GivenFlag& flag) {
    ServeOptions options;
    const auto done = apply_settings(serve_flags(options), {flag}, "");
    return done.ok() ? std::string("accepted") : done.error().message;
  };
  EXPECT_EQ(message({"port", {"65536"}}),
            "command line: port: '65536' is not a whole number from 0 to 65535");
  EXPECT_EQ(message({"block-size", {"0"}}),
            "command line: block-size: '0' is not a whole number from 1 to 4096");
  EXPECT_EQ(message({"dtype", {"int3"}}),
            "command line: dtype: 'int3' is not one of auto, bf16, f32");
  EXPECT_NE(message({"memory-utilization", {"nan"}}), "accepted");
  EXPECT_NE(message({"memory-utilization", {"0"}}), "accepted");
  EXPECT_NE(message({"kv-cache-memory", {"-1G"}}), "accepted");
  EXPECT_NE(message({"quantization", {"q9"}}), "accepted");
  EXPECT_NE(message({"host", {"a", "b"}}), "accepted");
}

TEST(Config, UnknownAndDuplicateKeysOfTheFileAreRefused) {
  ServeOptions options;
  auto done = apply_settings(serve_flags(options), {}, write_config("prot: 1\n"));
  ASSERT_FALSE(done.ok());
  EXPECT_NE(done.error().message.find("unknown setting 'prot'"), std::string::npos);
  done = apply_settings(serve_flags(options), {}, write_config("port: 1\nport: 2\n"));
  ASSERT_FALSE(done.ok());
  EXPECT_NE(done.error().message.find("duplicate key 'port'"), std::string::npos);
  done = apply_settings(serve_flags(options), {}, "/nonexistent.yaml");
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().code, ErrorCode::kNotFound);
}

TEST(Config, AnEmptyHostAndAFolderAsFileAreRefused) {
  ServeOptions options;
  const auto host = apply_settings(serve_flags(options), {{"host", {""}}}, "");
  ASSERT_FALSE(host.ok());
  EXPECT_EQ(host.error().message, "command line: host: the value must not be empty");
  EXPECT_FALSE(apply_settings(serve_flags(options), {}, testing::TempDir()).ok());
}

TEST(Config, ListsComeFromRepeatedFlagsAndFromYamlLists) {
  ServeOptions options;
  ASSERT_TRUE(apply_settings(serve_flags(options), {{"api-key", {"a", "b"}}},
                             write_config("served-model-name: [x, y]\n"))
                  .ok());
  EXPECT_EQ(options.api_keys, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(options.served_model_names, (std::vector<std::string>{"x", "y"}));
}

TEST(Config, TimesTakeFractionsAndSizesHaveLimits) {
  ServeOptions options;
  ASSERT_TRUE(apply_settings(serve_flags(options),
                             {{"read-timeout", {"0.5"}},
                              {"max-body-size", {"2MiB"}},
                              {"max-connections-per-address", {"7"}},
                              {"allow-half-close", {}}},
                             "")
                  .ok());
  EXPECT_EQ(options.limits.read_timeout, std::chrono::milliseconds(500));
  EXPECT_EQ(options.limits.max_body_bytes, size_t{2} << 20);
  EXPECT_EQ(options.connections.max_per_address, 7);
  EXPECT_TRUE(options.limits.allow_half_close);
  const std::pair<const char*, const char*> bad[] = {
      {"read-timeout", "0"},     {"idle-timeout", "nan"},   {"write-timeout", "1s"},
      {"max-header-size", "10"}, {"max-body-memory", "1K"}, {"max-connections", "0"}};
  for (const auto& [name, value] : bad) {
    const auto done = apply_settings(serve_flags(options), {{name, {value}}}, "");
    ASSERT_FALSE(done.ok()) << name;
    EXPECT_NE(done.error().message.find(name), std::string::npos) << done.error().message;
  }
}

TEST(Config, RefusesHostsAndOriginsThatNoRequestCanMatch) {
  const std::pair<const char*, const char*> bad[] = {{"allowed-hosts", "http://chat.example"},
                                                     {"allowed-hosts", ""},
                                                     {"allowed-origins", "chat.example"},
                                                     {"allowed-origins", ""},
                                                     {"admin-key", ""}};
  for (const auto& [name, value] : bad) {
    ServeOptions options;
    const auto done = apply_settings(serve_flags(options), {{name, {value}}}, "");
    ASSERT_FALSE(done.ok()) << name << "=" << value;
    EXPECT_NE(done.error().message.find(name), std::string::npos) << done.error().message;
  }
}

// A running stream waits for a whole step, and prompts have what decoding sequences leave of it.
TEST(Config, StepsAreShortAndLeaveMostOfTheirRoomToPrompts) {
  const StepLimits usual = step_limits_of({});
  EXPECT_LE(usual.max_num_batched_tokens, 256);
  EXPECT_GE(usual.max_num_batched_tokens, 4 * usual.max_num_seqs);
  EngineOptions crowded;
  crowded.max_num_seqs = 1000;
  EXPECT_EQ(step_limits_of(crowded).max_num_batched_tokens, 1000);
}

TEST(Config, ObjectivesAreTimesByName) {
  ServeOptions options;
  ASSERT_TRUE(apply_settings(serve_flags(options), {{"slo", {"ttft=200ms,tpot=0.5s"}}}, "").ok());
  EXPECT_DOUBLE_EQ(options.engine.slo_ttft_s, 0.2);
  EXPECT_DOUBLE_EQ(options.engine.slo_tpot_s, 0.5);
  ASSERT_TRUE(apply_settings(serve_flags(options), {{"slo", {"tpot=20ms"}}}, "").ok());
  EXPECT_EQ(options.engine.slo_ttft_s, 0);
  for (const char* bad : {"ttft", "ttft=", "ttft=1", "ttft=-1s", "ttft=nans", "e2el=1s", ",",
                          "ttft=1h", "ttft=1s tpot=1s", "ttft=99999999s"}) {
    const auto done = apply_settings(serve_flags(options), {{"slo", {bad}}}, "");
    ASSERT_FALSE(done.ok()) << bad;
    EXPECT_NE(done.error().message.find("slo"), std::string::npos);
  }
}

TEST(Config, PeersAreAddressesBetweenCommasWithoutPasswords) {
  ServeOptions options;
  ASSERT_TRUE(apply_settings(serve_flags(options),
                             {{"peers", {"http://a:1,https://b", "http://c"}},
                              {"ray-dashboard", {"http://d:8265"}}},
                             "")
                  .ok());
  EXPECT_EQ(options.replicas.peers,
            (std::vector<std::string>{"http://a:1", "https://b", "http://c"}));
  EXPECT_EQ(options.replicas.ray_dashboard, "http://d:8265");
  for (const char* bad : {"", ",", "a:1", "http://a,", "http://user:secret@a", "ftp://a"}) {
    ServeOptions refused;
    EXPECT_FALSE(apply_settings(serve_flags(refused), {{"peers", {bad}}}, "").ok()) << bad;
  }
  for (const char* bad : {"", "a:1", "http://user:secret@a"}) {
    ServeOptions refused;
    EXPECT_FALSE(apply_settings(serve_flags(refused), {{"ray-dashboard", {bad}}}, "").ok()) << bad;
  }
  std::string many = "http://a";
  for (int i = 0; i < 64; ++i) many += ",http://a";
  EXPECT_FALSE(apply_settings(serve_flags(options), {{"peers", {many}}}, "").ok());
}

TEST(Config, OperatorsSeeWhatWasGivenAndNoSecret) {
  ServeOptions options;
  const std::vector<Flag> flags = serve_flags(options);
  GivenValues values;
  ASSERT_TRUE(apply_settings(flags,
                             {{"port", {"3"}},
                              {"api-key", {"open-sesame", "another"}},
                              {"any-model", {}},
                              {"allowed-hosts", {"a", "b"}}},
                             "", &values)
                  .ok());
  std::map<std::string, ShownSetting> shown;
  for (const ShownSetting& setting : show_settings(flags, values)) shown[setting.name] = setting;
  EXPECT_EQ(shown.size(), flags.size());
  EXPECT_EQ(shown["port"].value, "3");
  EXPECT_TRUE(shown["port"].changed);
  EXPECT_EQ(shown["any-model"].value, "true");
  EXPECT_EQ(shown["allowed-hosts"].value, "a, b");
  EXPECT_EQ(shown["host"].value, "127.0.0.1");
  EXPECT_FALSE(shown["host"].changed);
  EXPECT_TRUE(shown["api-key"].is_secret && shown["api-key"].changed);
  EXPECT_EQ(shown["api-key"].value, "");
  EXPECT_TRUE(shown["admin-key"].is_secret && !shown["admin-key"].changed);
}

TEST(Config, EveryFlagHasHelpAndANameOfItsOwn) {
  ServeOptions options;
  std::set<std::string> names;
  for (const Flag& flag : serve_flags(options)) {
    EXPECT_TRUE(names.insert(flag.name).second) << flag.name;
    EXPECT_FALSE(flag.help.empty()) << flag.name;
    EXPECT_FALSE(flag.group.empty()) << flag.name;
  }
}

TEST(ParseBytes, TakesUnitsAndRefusesNonsense) {
  EXPECT_EQ(*parse_bytes("1024"), 1024);
  EXPECT_EQ(*parse_bytes("1.5G"), 1'500'000'000);
  EXPECT_EQ(*parse_bytes("2GiB"), int64_t{2} << 30);
  for (const char* text : {"", "G", "1X", "-5", "nan", "inf", "1e30G", "0"}) {
    EXPECT_FALSE(parse_bytes(text).ok()) << text;
  }
}

}  // namespace
}  // namespace pagoda
