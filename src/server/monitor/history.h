// History: what the server did, second by second for an hour and in tens of seconds for a day.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "engine/request_end.h"

namespace pagoda {

// Counters: what was added within a sample's time.
enum class Count : uint8_t {
  kPromptTokens,
  kGenerationTokens,
  kCachedPromptTokens,
  kCacheQueries,
  kCacheHits,
  kDraftTokens,
  kAcceptedTokens,
  kPreemptions,
  kWithinSlo,
  kErrors,      // failed requests, and replies 5xx but 503
  kRefused,     // before any work
  kCpuSeconds,  // of the process
  kFirstEnd,    // requests by RequestEnd, from here on
};
inline constexpr size_t kNumCounts = static_cast<size_t>(Count::kFirstEnd) + kNumRequestEnds;

// Gauges: their mean over a sample's time.
enum class Level : uint8_t { kRunning, kWaiting, kKvUsage, kMemoryBytes };
inline constexpr size_t kNumLevels = 4;

// Histograms: seconds, then tokens.
enum class Spread : uint8_t {
  kTtft,
  kItl,
  kE2e,
  kQueue,
  kPrefill,
  kDecode,
  kStep,
  kStepTokens,
  kPromptLength,
  kOutputLength,
};
inline constexpr size_t kNumSpreads = 10;

inline constexpr Count end_count(RequestEnd end) {
  return static_cast<Count>(static_cast<size_t>(Count::kFirstEnd) + static_cast<size_t>(end));
}

// One stretch of time. Value type; only the buckets that have observations are kept.
struct Sample {
  struct Bucket {
    uint16_t spread = 0;
    uint16_t index = 0;
    uint32_t count = 0;
  };
  int64_t t = 0;       // its end, Unix seconds
  double seconds = 0;  // its length
  std::array<double, kNumCounts> counts{};
  std::array<double, kNumLevels> levels{};
  std::array<double, kNumSpreads> sums{};  // of all observations
  std::vector<Bucket> buckets;             // by spread, then by index
};

// Upper bounds of the buckets of each spread; empty for one that is not there.
using SpreadBounds = std::array<std::vector<double>, kNumSpreads>;

// Samples added up. Value type. `bounds` must outlive it.
class Window {
 public:
  explicit Window(const SpreadBounds& bounds);

  void add(const Sample& sample);
  bool empty() const { return seconds_ == 0; }
  double seconds() const { return seconds_; }
  double count(Count what) const { return counts_[static_cast<size_t>(what)]; }
  double per_second(Count what) const { return empty() ? 0 : count(what) / seconds_; }
  // Unset when nothing was added.
  std::optional<double> level(Level what) const;
  // Of all observations: how many, their mean, and the value that a share of them is at most. Unset
  // without any. A quantile is right to the width of a bucket; within one it is interpolated.
  uint64_t num(Spread what) const;
  std::optional<double> mean(Spread what) const;
  std::optional<double> quantile(Spread what, double share) const;
  // Counts by bucket, and behind them those above the last bound.
  std::span<const uint64_t> buckets(Spread what) const;
  double num_requests() const;  // that ended

  // The same as one sample that ends at `t`.
  Sample to_sample(int64_t t) const;

 private:
  const SpreadBounds* bounds_;
  double seconds_ = 0;
  std::array<double, kNumCounts> counts_{};
  std::array<double, kNumLevels> level_seconds_{};
  std::array<double, kNumSpreads> sums_{};
  std::array<std::vector<uint64_t>, kNumSpreads> buckets_;
};

// What add() was given in the last hour, and merged by tens of seconds in the last 24 hours. When
// observations spread over more buckets than there is room for, it goes back less far. Not
// thread-safe.
class History {
 public:
  static constexpr int64_t kFineSeconds = 3600;
  static constexpr int64_t kCoarseSeconds = 86'400;
  static constexpr int64_t kCoarseStep = 10;
  static constexpr size_t kMaxBuckets = 500'000;  // of each of the two; 4 MB

  explicit History(SpreadBounds bounds);
  History(const History&) = delete;
  History& operator=(const History&) = delete;

  // REQUIRES: a later `t` than the one before.
  void add(Sample sample);

  const SpreadBounds& bounds() const { return bounds_; }
  const Sample* last() const { return fine_.samples.empty() ? nullptr : &fine_.samples.back(); }
  // Everything within the last `seconds` before `now`.
  Window window(int64_t now, int64_t seconds) const;
  struct Point {
    int64_t t;
    Window window;
  };
  // Points of `step` seconds, each ending at a multiple of it; none without samples. `step` from
  // choose_step().
  std::vector<Point> points(int64_t now, int64_t range_s, int64_t step) const;
  // The width at which a range has at most `max_points` points.
  static int64_t choose_step(int64_t range_s, int64_t max_points);

  size_t num_bytes() const;

 private:
  struct Ring {
    std::deque<Sample> samples;
    size_t num_buckets = 0;
    void push(Sample sample, int64_t keep_s);
  };
  const std::deque<Sample>& samples_for(int64_t range_s) const;

  const SpreadBounds bounds_;
  Ring fine_;
  Ring coarse_;
  Window pending_;  // of the ten seconds that are under way
  int64_t pending_end_ = 0;
};

}  // namespace pagoda
