// RequestRecord: all that is kept of one request of a benchmark.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace pagoda {

// Why a request has no figures. Names are what reports print.
enum class FailureCause {
  kNone,
  kConnect,         // no connection: refused, unknown host, TLS
  kHttpStatus,      // an answer other than 200
  kNotEventStream,  // 200, but no events came; or no HTTP, or headers beyond any measure
  kStreamError,     // an error event among the others
  kMalformedEvent,  // an event that is no JSON
  kCut,             // the connection ended before [DONE]
  kTimeout,         // not done within the time limit
  kNoTokens,        // done, and no text came
  kCancelled,       // the benchmark was stopped while it ran
};
const char* to_string(FailureCause cause);

// Times are nanoseconds of the steady clock since the start of the run; -1: did not happen. Value
// type.
struct RequestRecord {
  int64_t index = 0;     // in the order of intended sending
  int64_t server = 0;    // which of the base URLs
  int64_t session = -1;  // conversation, for several turns
  int64_t intended_ns = -1;
  int64_t sent_ns = -1;
  int64_t first_byte_ns = -1;
  int64_t end_ns = -1;
  // When each piece of text came: content, reasoning or arguments of a tool call. Pieces that one
  // read of the socket brought have one time.
  std::vector<int64_t> piece_ns;
  int64_t num_events = 0;         // data events that hold choices, with text or without
  int64_t first_content_ns = -1;  // as LLMPerf counts: pieces of `content` alone
  int64_t last_content_ns = -1;
  int64_t asked_input_tokens = -1;   // what the workload made
  int64_t asked_output_tokens = -1;  // max_tokens
  int64_t usage_input_tokens = -1;   // by the server's usage
  int64_t usage_output_tokens = -1;
  int64_t usage_cached_tokens = -1;
  int64_t output_tokens = -1;  // usage's, else counted with a tokenizer or by pieces
  int64_t http_status = 0;
  FailureCause cause = FailureCause::kNone;
  std::string message;  // of the failure
  std::string finish_reason;
  std::string content;
  std::string reasoning;  // and arguments of tool calls

  bool operator==(const RequestRecord&) const = default;
};

}  // namespace pagoda
