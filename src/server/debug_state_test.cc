// Tests of the body of /debug/state.
#include "server/debug_state.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace pagoda {
namespace {

TEST(DebugState, ShowsRequestsStepsAndLimitsAndNoKeys) {
  const ServerConfig config = {.api_keys = {"secret-key"}, .admin_key = "secret-admin"};
  EngineState engine;
  engine.requests.push_back({.id = 7, .priority = Priority::kBackground, .num_prompt_tokens = 5});
  engine.recent_steps.push_back({.index = 3, .num_tokens = 2, .failed = true});
  engine.stats.num_running = 1;
  const Json state = debug_state(config, {.ready = true, .body_memory_bytes = 9}, engine);
  EXPECT_EQ(state["server"]["body_memory_bytes"], 9);
  EXPECT_EQ(state["server"]["settings"]["num_api_keys"], 1);
  EXPECT_EQ(state["server"]["settings"]["max_body_memory_bytes"], 256 << 20);
  EXPECT_EQ(state["engine"]["stats"]["num_running"], 1);
  EXPECT_EQ(state["engine"]["requests"][0]["id"], 7);
  EXPECT_EQ(state["engine"]["requests"][0]["priority"], "background");
  EXPECT_EQ(state["engine"]["recent_steps"][0]["failed"], true);
  EXPECT_EQ(dump_json(state).find("secret"), std::string::npos);
}

TEST(DebugState, WhileLoadingThereIsNoEngine) {
  EXPECT_TRUE(debug_state({}, {}, std::nullopt)["engine"].is_null());
}

}  // namespace
}  // namespace pagoda
