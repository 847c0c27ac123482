// Reads and draws the ids of traces.
#include "server/monitor/trace_context.h"

#include <algorithm>

#include "server/http/message.h"

namespace pagoda {
namespace {

bool is_hex(std::string_view text) {
  return std::ranges::all_of(
      text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_zero(std::string_view text) {
  return text.find_first_not_of('0') == std::string_view::npos;
}

}  // namespace

std::optional<TraceContext> parse_traceparent(std::string_view text) {
  // 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01; later versions may add parts.
  constexpr size_t kLength = 55;
  if (text.size() < kLength || text[2] != '-' || text[35] != '-' || text[52] != '-') {
    return std::nullopt;
  }
  const std::string_view version = text.substr(0, 2);
  const std::string_view trace_id = text.substr(3, 32);
  const std::string_view parent_id = text.substr(36, 16);
  const std::string_view flags = text.substr(53, 2);
  if (!is_hex(version) || version == "ff" || !is_hex(trace_id) || is_zero(trace_id) ||
      !is_hex(parent_id) || is_zero(parent_id) || !is_hex(flags)) {
    return std::nullopt;
  }
  if (text.size() > kLength && (version == "00" || text[kLength] != '-')) return std::nullopt;
  // The last bit of the flags.
  const bool sampled = std::string_view("13579bdf").find(flags[1]) != std::string_view::npos;
  return TraceContext{std::string(trace_id), std::string(parent_id), sampled};
}

std::string draw_trace_bytes(int num_bytes) {
  std::string drawn;
  do {
    drawn = draw_request_id().substr(0, 2 * static_cast<size_t>(num_bytes));
  } while (is_zero(drawn));
  return drawn;
}

}  // namespace pagoda
