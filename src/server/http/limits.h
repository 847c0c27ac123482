// HttpLimits: what one client may ask of the connections.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace pagoda {

// Value type; sizes in bytes.
struct HttpLimits {
  size_t max_header_bytes = size_t{16} << 10;
  size_t max_target_bytes = size_t{8} << 10;
  size_t max_body_bytes = size_t{16} << 20;
  size_t max_body_memory_bytes = size_t{256} << 20;  // all bodies being read or waiting
  size_t max_stream_queue_bytes = size_t{1} << 20;   // unsent output of one stream; more ends it
  int64_t min_bytes_per_second = 16 << 10;           // the pace at which a message extends
                                                     // read_timeout and write_timeout
  std::chrono::milliseconds idle_timeout{std::chrono::seconds(75)};   // between requests
  std::chrono::milliseconds read_timeout{std::chrono::seconds(30)};   // of a request, first byte to
                                                                      // last; of a TLS handshake
  std::chrono::milliseconds write_timeout{std::chrono::seconds(30)};  // one write to the client
  // A client that closes its sending half only is still answered. Its leaving is then noticed at
  // the next write only.
  bool allow_half_close = false;
};

}  // namespace pagoda
