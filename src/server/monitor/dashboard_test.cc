// Tests of the dashboard's bodies.
#include "server/monitor/dashboard.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "server/monitor/metrics_reader.h"

namespace pagoda::dashboard {
namespace {

TEST(Dashboard, ALoadingServerHasASummary) {
  Status status;
  status.time = 100;
  const Json json = summary({}, status, nullptr);
  EXPECT_EQ(json["server"]["state"], "DEPLOYING");
  EXPECT_FALSE(json["server"].contains("model"));
  EXPECT_EQ(json["minute"]["ttft_s"]["count"], 0);
  EXPECT_TRUE(json["minute"]["ttft_s"]["p99"].is_null());
  EXPECT_TRUE(json["slo"].is_null());
  EXPECT_EQ(json["totals"]["ends"].size(), kNumRequestEnds);
  EXPECT_EQ(replicas({}, status, nullptr)["replicas"][0]["state"], "STARTING");
}

TEST(Dashboard, AStepThatHangsIsUnhealthyAndADrainIsDeleting) {
  Status status;
  status.ready = true;
  status.step_running_s = 31;
  EXPECT_EQ(summary({}, status, nullptr)["server"]["state"], "UNHEALTHY");
  status.draining = true;
  EXPECT_EQ(summary({}, status, nullptr)["server"]["state"], "DELETING");
}

TEST(Dashboard, ColumnsAreAsLongAsTheirTimeAxis) {
  MetricsRegistry registry;
  const EngineMetrics metrics(&registry, "demo", 100, 0);
  MetricsReader reader(metrics);
  History rings(reader.bounds());
  for (int64_t t = 1; t <= 30; ++t) {
    if (t % 2 == 0) metrics.time_to_first_token.observe(0.05);
    metrics.request_prompt_tokens.observe(30);
    metrics.requests_ended(RequestEnd::kStop).add();
    rings.add(reader.read(t, 1, {}));
  }
  const Json charts = history(&rings, 30, 60, 600, {});
  EXPECT_EQ(charts["t"].size(), 30U);
  EXPECT_EQ(charts["step_s"], 1);
  for (const char* group : {"series", "ends_per_s"}) {
    for (const auto& [name, column] : charts[group].items()) EXPECT_EQ(column.size(), 30U) << name;
  }
  EXPECT_TRUE(charts["series"]["ttft_p50_s"][0].is_null());
  EXPECT_NEAR(charts["series"]["ttft_p50_s"][1].get<double>(), 0.05, 0.005);
  EXPECT_EQ(charts["series"]["requests_per_s"][3], 1);
  EXPECT_TRUE(charts["series"]["goodput"][1].is_null());
  const std::string event = sample_event(&rings, {});
  EXPECT_TRUE(event.starts_with("event: sample\ndata: {\"t\":30,"));
  EXPECT_TRUE(event.ends_with("}\n\n"));

  const Json map = lengths(&rings, 30, 60);
  EXPECT_EQ(map["prompt_tokens"]["counts"].size(), map["t"].size());
  const auto bounds = map["prompt_tokens"]["upper_bounds"].get<std::vector<int>>();
  EXPECT_EQ(map["prompt_tokens"]["counts"][0].size(), bounds.size() + 1);
  const auto row = std::ranges::find(bounds, 50) - bounds.begin();
  EXPECT_EQ(map["prompt_tokens"]["counts"][0][static_cast<size_t>(row)], 1);
}

TEST(Dashboard, KeysAreNeverShown) {
  ServerConfig server;
  server.shown_settings = {
      {.group = "Server", .name = "host", .help = "", .value = "::1", .changed = true},
      {.group = "Server",
       .name = "api-key",
       .help = "",
       .value = "",
       .changed = true,
       .is_secret = true},
      {.group = "Server", .name = "admin-key", .help = "", .value = "", .is_secret = true},
      {.group = "Model", .name = "model", .help = "", .value = ""}};
  const Json json = config(server, false);
  ASSERT_EQ(json["groups"].size(), 2U);
  const Json& settings = json["groups"][0]["settings"];
  EXPECT_EQ(settings[0]["value"], "::1");
  EXPECT_EQ(settings[1]["value"], true);
  EXPECT_TRUE(settings[2]["value"].is_null());
  EXPECT_TRUE(json["groups"][1]["settings"][0]["value"].is_null());
}

TEST(Dashboard, QueriesAreCheckedByName) {
  const Query query = Query::parse("range=300&show=fail%65d&empty").value();
  EXPECT_EQ(query.integer("range", 60, 600, 100).value(), 300);
  EXPECT_EQ(query.integer("other", 60, 600, 100).value(), 100);
  EXPECT_EQ(query.choice("show", {"slow", "failed"}).value(), "failed");
  EXPECT_EQ(query.choice("absent", {"slow", "failed"}).value(), "slow");
  EXPECT_FALSE(query.integer("range", 60, 299, 100).ok());
  EXPECT_FALSE(query.integer("show", 0, 1, 0).ok());
  EXPECT_EQ(query.integer("range", 60, 299, 100).error().param, "range");
  EXPECT_FALSE(query.choice("range", {"slow"}).ok());
  EXPECT_FALSE(Query::parse("a=1&a=2").ok());
  EXPECT_FALSE(Query::parse("a=%zz").ok());
  EXPECT_TRUE(Query::parse("").ok());
}

}  // namespace
}  // namespace pagoda::dashboard
