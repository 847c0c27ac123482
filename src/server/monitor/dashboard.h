// The bodies of /dashboard/api, as docs/dashboard-api.md describes them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/log.h"
#include "base/result.h"
#include "engine/engine_config.h"
#include "engine/engine_metrics.h"
#include "server/monitor/history.h"
#include "server/monitor/request_board.h"
#include "server/server.h"

namespace pagoda::dashboard {

// What the header and the tiles show beside the history.
struct Status {
  double time = 0;  // Unix seconds, now
  double uptime_s = 0;
  double started_at = 0;  // Unix seconds
  bool ready = false;
  bool draining = false;
  int32_t num_connections = 0;
  int64_t pid = 0;
  std::string url;
  const ServedModel* model = nullptr;  // null while loading, as the next two
  const EngineMetrics* metrics = nullptr;
  std::optional<EngineStats> stats;
  double step_running_s = 0;
  SloLimits slo;
  std::vector<std::pair<std::string, double>> refused;  // by reason, since the start
  double num_server_errors = 0;                         // since the start
};

// `history` may be null: nothing has been seen yet.
Json summary(const ServerConfig& config, const Status& status, const History* history);
Json replicas(const ServerConfig& config, const Status& status, const History* history);
// `now`: Unix seconds.
Json history(const History* history, int64_t now, int64_t range_s, int64_t max_points,
             const SloLimits& slo);
// The newest sample as one point of history(); empty text without one.
std::string sample_event(const History* history, const SloLimits& slo);
Json lengths(const History* history, int64_t now, int64_t range_s);

// `facts` finds what is known of a request in flight; null for one that has just ended.
using FindFacts = std::function<std::shared_ptr<const RequestFacts>(RequestId)>;
Json requests(double time, bool can_cancel, const EngineState& engine, const FindFacts& facts);
Json recent(double time, std::string_view show, const std::vector<FinishedRequest>& requests);
Json config(const ServerConfig& config, bool can_cancel);
Json logs(int64_t after, LogLevel lowest, size_t limit);

// The parameters of a query such as "range=300&points=600". kInvalidArgument names the one that
// comes twice or is malformed; others than those asked for have no effect. It is untrusted.
class Query {
 public:
  static Result<Query> parse(std::string_view query);
  // kInvalidArgument names the parameter, the value and the limits.
  Result<int64_t> integer(const std::string& name, int64_t low, int64_t high,
                          int64_t fallback) const;
  Result<std::string> choice(const std::string& name,
                             const std::vector<std::string>& choices) const;

 private:
  std::map<std::string, std::string> values_;
};

}  // namespace pagoda::dashboard
