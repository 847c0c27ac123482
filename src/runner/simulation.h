// Simulation: the timing that a simulated model is to have, and its spelling.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace pagoda {

// What SimulatedRunner does; simulated_runner.h says what each figure means. Value type.
struct Simulation {
  std::chrono::nanoseconds ttft = std::chrono::milliseconds(200);  // until the first token
  std::chrono::nanoseconds itl = std::chrono::milliseconds(20);    // between two tokens
  double prefill_tokens_per_s = 0.0;  // of the prompt, on top of ttft; 0: takes no time
  double jitter = 0.0;                // standard deviation of each time, as a share of it
  std::chrono::nanoseconds stall{0};  // how long everything stands still; 0: never
  std::chrono::nanoseconds stall_period = std::chrono::seconds(10);
  bool stall_repeats = false;  // after each period; else once, after the first
  double fail_share = 0.0;     // of sequences that end with an error
  int32_t fail_at = 1;         // in place of which output token, 1 the first
  int32_t output_tokens = 0;   // after which an answer ends by itself; 0: never
  uint64_t seed = 0;           // of jitter and of who fails
};

// "ttft=200ms,itl=20ms,jitter=0.05,stall=2s@10s": settings in any order, each at most once, those
// left out as above. Times are a number with us, ms or s, or 0.
//
//   ttft=TIME, itl=TIME      0 to 1 h
//   prefill=TOKENS_PER_S     1 to 1e9
//   jitter=SHARE             0 to 1
//   stall=TIME[@PERIOD]      1 ms to 1 h, shorter than its period (up to 24 h); without a period:
//                            once, after 10 s
//   fail=SHARE[@TOKEN]       0 to 1; 1 to 1e9
//   output=TOKENS            1 to 1e9
//   seed=N                   64 bits
//
// kInvalidArgument names the setting, the value and the limits. `text` is untrusted.
Result<Simulation> parse_simulation(std::string_view text);

}  // namespace pagoda
