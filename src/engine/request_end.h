// RequestEnd: every way in which an accepted request can end.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pagoda {

// Of a request with several choices, how the first ended, unless all were ended together.
enum class RequestEnd : uint8_t {
  kStop,            // an end-of-text token or a stop token id
  kStopString,      // a stop string in its text
  kLength,          // max_tokens or the model's context
  kClientLeft,      // the connection was closed
  kCancelled,       // an operator ended it
  kExpired,         // it waited for its first step longer than max_queue_time
  kShutdown,        // the server stopped
  kStepFailed,      // a step that it was in failed
  kSamplingFailed,  // no token could be chosen for it
};

// In the order of the enumeration; labels of a metric.
inline constexpr std::array<std::string_view, 9> kRequestEndNames = {
    "stop",    "stop_string", "length",      "client_left",    "cancelled",
    "expired", "shutdown",    "step_failed", "sampling_failed"};
inline constexpr size_t kNumRequestEnds = kRequestEndNames.size();

inline std::string_view to_string(RequestEnd end) {
  return kRequestEndNames[static_cast<size_t>(end)];
}

// Whether it ended by itself: what latency says of it is true of the service.
inline bool is_complete(RequestEnd end) {
  return end <= RequestEnd::kLength;
}

// Whether the fault was ours.
inline bool is_failure(RequestEnd end) {
  return end >= RequestEnd::kStepFailed;
}

}  // namespace pagoda
