// /debug/state as JSON.
#include "server/debug_state.h"

#include <chrono>
#include <nlohmann/json.hpp>

namespace pagoda {
namespace {

double seconds(std::chrono::milliseconds time) {
  return std::chrono::duration<double>(time).count();
}

Json settings_json(const ServerConfig& config) {
  const HttpLimits& limits = config.limits;
  Json json = Json::object();
  json["host"] = config.host;
  json["port"] = config.port;
  json["uds"] = config.uds_path;
  json["tls"] = !config.tls.empty();
  json["num_api_keys"] = config.api_keys.size();
  json["admin_key"] = !config.admin_key.empty();
  json["allowed_hosts"] = config.allowed_hosts;
  json["allowed_origins"] = config.allowed_origins;
  json["any_model"] = config.any_model;
  json["trusts_request_templates"] = config.trusts_request_templates;
  json["ignores_tools"] = config.ignores_tools;
  json["max_task_tokens"] = config.max_task_tokens;
  json["io_threads"] = config.num_io_threads;
  json["max_choices"] = config.max_choices;
  json["max_connections"] = config.connections.max_connections;
  json["max_connections_per_address"] =
      config.connections.max_per_address.value_or(ConnectionLimits::kDefaultPerAddress);
  json["max_header_bytes"] = limits.max_header_bytes;
  json["max_body_bytes"] = limits.max_body_bytes;
  json["max_body_memory_bytes"] = limits.max_body_memory_bytes;
  json["max_stream_queue_bytes"] = limits.max_stream_queue_bytes;
  json["idle_timeout_s"] = seconds(limits.idle_timeout);
  json["read_timeout_s"] = seconds(limits.read_timeout);
  json["write_timeout_s"] = seconds(limits.write_timeout);
  json["allow_half_close"] = limits.allow_half_close;
  return json;
}

Json server_json(const ServerConfig& config, const ServerState& state) {
  Json json = Json::object();
  json["version"] = config.version;
  json["build"] = config.build;
  json["uptime_s"] = state.uptime_s;
  json["ready"] = state.ready;
  json["draining"] = state.draining;
  json["num_connections"] = state.num_connections;
  json["num_addresses"] = state.num_addresses;
  json["num_active_requests"] = state.num_active_requests;
  json["num_bodies_waiting"] = state.num_bodies_waiting;
  json["body_memory_bytes"] = state.body_memory_bytes;
  json["settings"] = settings_json(config);
  return json;
}

Json stats_json(const EngineStats& stats) {
  Json json = Json::object();
  json["num_running"] = stats.num_running;
  json["num_waiting"] = stats.num_waiting;
  json["num_total_blocks"] = stats.num_total_blocks;
  json["num_free_blocks"] = stats.num_free_blocks;
  json["num_cached_blocks"] = stats.num_cached_blocks;
  json["num_steps"] = stats.num_steps;
  json["num_preemptions"] = stats.num_preemptions;
  json["num_prompt_tokens"] = stats.num_prompt_tokens;
  json["num_cached_prompt_tokens"] = stats.num_cached_prompt_tokens;
  json["num_recomputed_tokens"] = stats.num_recomputed_tokens;
  json["num_draft_tokens"] = stats.num_draft_tokens;
  json["num_accepted_draft_tokens"] = stats.num_accepted_draft_tokens;
  json["num_generation_tokens"] = stats.num_generation_tokens;
  json["num_accepted_requests"] = stats.num_accepted_requests;
  json["num_finished_requests"] = stats.num_finished_requests;
  json["num_expired_requests"] = stats.num_expired_requests;
  return json;
}

Json request_json(const RequestSummary& request) {
  Json json = Json::object();
  json["id"] = request.id;
  json["tenant"] = request.tenant;
  json["priority"] = request.priority == Priority::kBackground ? "background" : "interactive";
  json["started"] = request.started;
  json["num_choices"] = request.num_choices;
  json["num_running"] = request.num_running;
  json["num_prompt_tokens"] = request.num_prompt_tokens;
  json["num_cached_tokens"] = request.num_cached_tokens;
  json["num_computed_tokens"] = request.num_computed_tokens;
  json["num_output_tokens"] = request.num_output_tokens;
  json["num_blocks"] = request.num_blocks;
  json["num_preemptions"] = request.num_preemptions;
  json["age_s"] = request.age_s;
  return json;
}

Json step_json(const StepSummary& step) {
  Json json = Json::object();
  json["index"] = step.index;
  json["num_sequences"] = step.num_sequences;
  json["num_tokens"] = step.num_tokens;
  json["num_preempted"] = step.num_preempted;
  json["failed"] = step.failed;
  json["duration_s"] = step.duration_s;
  return json;
}

}  // namespace

Json debug_state(const ServerConfig& config, const ServerState& server,
                 const std::optional<EngineState>& engine) {
  Json json = Json::object();
  json["server"] = server_json(config, server);
  json["engine"] = Json();
  if (!engine.has_value()) return json;
  Json& part = json["engine"] = Json::object();
  part["age_s"] = engine->age_s;
  part["step_running_s"] = engine->step_running_s;
  part["stats"] = stats_json(engine->stats);
  part["requests"] = Json::array();
  for (const RequestSummary& request : engine->requests) {
    part["requests"].push_back(request_json(request));
  }
  part["recent_steps"] = Json::array();
  for (const StepSummary& step : engine->recent_steps) {
    part["recent_steps"].push_back(step_json(step));
  }
  return json;
}

}  // namespace pagoda
