// Trace: spans of time written as a Chrome trace file.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace pagoda {

// Numbers shown beside an event.
using TraceArgs = std::vector<std::pair<std::string_view, int64_t>>;

// Writes the Trace Event Format (JSON array; chrome://tracing, Perfetto and speedscope read it),
// with a bound on the file's size: when it is reached, the file is closed and later events are
// dropped. Thread-safe. Events are handed to a writer thread, so that recording never waits for a
// disk; when the writer falls behind, events are dropped and counted. The destructor closes the
// file, which is a valid trace at any time it is read, for the format lets the last bracket be
// missing.
class Trace {
 public:
  // kUnavailable, naming the path, when the file cannot be created.
  static Result<std::unique_ptr<Trace>> create(const std::string& path,
                                               int64_t max_bytes = int64_t{256} << 20);
  ~Trace();
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;

  // Something that took from `begin` to `end` on the calling thread.
  void span(std::string_view name, TimePoint begin, TimePoint end, const TraceArgs& args = {});
  // A part of request `id`'s life, drawn on a line of its own whatever thread it happened on.
  void request_span(std::string_view name, uint64_t id, TimePoint begin, TimePoint end,
                    const TraceArgs& args = {});
  // A value over time.
  void counter(std::string_view name, TimePoint at, const TraceArgs& values);

 private:
  struct Impl;
  explicit Trace(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace pagoda
