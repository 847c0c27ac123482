// TraceContext: the W3C header by which a request belongs to a trace.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace pagoda {

struct TraceContext {
  std::string trace_id;   // 32 lower-case hexadecimal digits, not all 0
  std::string parent_id;  // 16 of them: the caller's span
  bool sampled = true;    // the caller keeps its own span
};

// The value of a `traceparent` header, which is untrusted. Unset when it is malformed: the request
// then begins a trace of its own.
std::optional<TraceContext> parse_traceparent(std::string_view text);

// 2 * num_bytes hexadecimal digits from the system's random source, not all 0.
std::string draw_trace_bytes(int num_bytes);

}  // namespace pagoda
