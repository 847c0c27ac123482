// The body of /debug/state: the engine and the server in numbers, without any text of a request.
#pragma once

#include <cstdint>
#include <optional>

#include "base/json.h"
#include "engine/engine_config.h"
#include "server/server.h"

namespace pagoda {

struct ServerState {
  double uptime_s = 0;
  bool ready = false;
  bool draining = false;
  int32_t num_connections = 0;
  int32_t num_addresses = 0;
  int32_t num_active_requests = 0;
  size_t num_bodies_waiting = 0;  // for a worker
  size_t body_memory_bytes = 0;
};

// `engine` is absent while loading.
Json debug_state(const ServerConfig& config, const ServerState& server,
                 const std::optional<EngineState>& engine);

}  // namespace pagoda
