// Tests of rows of other servers; asking them is tested through servers, in
// service_dashboard_test.cc.
#include "server/monitor/replica_watch.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace pagoda {
namespace {

TEST(ReplicaWatch, APeersRowHasItsNumbersAndNothingElseOfIt) {
  const auto row = peer_row(
      R"({"time": 1, "replicas": [{"id": "self", "state": "RUNNING", "address": "evil", "pid": 7,
          "model": "m", "version": "0.1.0", "uptime_s": 3.5, "running": 2, "waiting": "many",
          "kv_usage": 0.25, "other": {"deep": [1]}}, {"state": "STOPPING"}]})");
  ASSERT_TRUE(row.ok());
  EXPECT_EQ((*row)["state"], "RUNNING");
  EXPECT_EQ((*row)["model"], "m");
  EXPECT_EQ((*row)["running"], 2);
  EXPECT_EQ((*row)["kv_usage"], 0.25);
  EXPECT_TRUE((*row)["waiting"].is_null());
  EXPECT_TRUE((*row)["ttft_p99_s"].is_null());
  EXPECT_NE((*row)["address"], "evil");
  EXPECT_FALSE(row->contains("other"));
}

TEST(ReplicaWatch, AnAnswerThatIsNoneIsAnError) {
  for (const char* body : {"", "no JSON", "[]", "{}", R"({"replicas": []})", R"({"replicas": {}})",
                           R"({"replicas": [3]})"}) {
    EXPECT_FALSE(peer_row(body).ok()) << body;
  }
  for (const char* body : {"", "[]", "7"}) EXPECT_FALSE(ray_rows(body).ok()) << body;
}

TEST(ReplicaWatch, LongTextsAreCutAndStatesThatAreNotKnownAreUnhealthy) {
  const std::string body =
      R"({"replicas": [{"state": "<b>", "model": ")" + std::string(5000, 'x') + R"("}]})";
  const auto row = peer_row(body);
  ASSERT_TRUE(row.ok());
  EXPECT_EQ((*row)["state"], "UNHEALTHY");
  EXPECT_EQ((*row)["model"].get<std::string>().size(), 200U);
}

TEST(ReplicaWatch, RaysReplicasAreRowsInItsWords) {
  const auto rows = ray_rows(
      R"({"applications": {"llm": {"status": "RUNNING", "deployments": {"Pagoda": {"replicas": [
          {"replica_id": "a1", "state": "RUNNING", "pid": 12, "node_ip": "10.0.0.4", "start_time_s": 1},
          {"replica_id": "a2", "state": "STARTING", "pid": null}, 5]},
          "Bad": {"replicas": 3}, "Worse": 4}}, "odd": []}})");
  ASSERT_TRUE(rows.ok());
  ASSERT_EQ(rows->size(), 2U);
  const Json& first = rows->front();
  EXPECT_EQ(first["id"], "llm/a1");
  EXPECT_EQ(first["state"], "RUNNING");
  EXPECT_EQ(first["address"], "10.0.0.4");
  EXPECT_EQ(first["pid"], 12);
  EXPECT_GT(first["uptime_s"].get<double>(), 1e6);
  EXPECT_EQ(rows->back()["state"], "STARTING");
  EXPECT_TRUE(rows->back()["pid"].is_null());
  EXPECT_TRUE(ray_rows(R"({"applications": {}})").value().empty());
}

}  // namespace
}  // namespace pagoda
