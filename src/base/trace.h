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

// Writes the Trace Event Format by Google (JSON array; chrome://tracing and Perfetto read it), with
// a bound on the file's size: when it is reached, the file is closed and later events are dropped.
// A disk that refuses does the same. Times in the file are microseconds since create().
//
// Thread-safe. Events are handed to a writer thread, so that recording never waits for a disk; when
// the writer falls behind, events are dropped and counted. What was recorded is in the file within
// about a second, and all of it after the destructor, which closes the file. The format lets the
// last bracket be missing, so the file of a killed process is a trace as well.
class Trace {
 public:
  // Replaces the file, readable by its owner only. kUnavailable, naming the path, when it cannot
  // be created.
  static Result<std::unique_ptr<Trace>> create(const std::string& path,
                                               int64_t max_bytes = int64_t{256} << 20);
  ~Trace();
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;

  // Something that took from `begin` to `end` on the calling thread, whose name is shown.
  void span(std::string_view name, TimePoint begin, TimePoint end, const TraceArgs& args = {});
  // A part of request `id`'s life, drawn on a line of its own whatever thread it happened on.
  void request_span(std::string_view name, uint64_t id, TimePoint begin, TimePoint end,
                    const TraceArgs& args = {});
  // Values over time, drawn as one stacked graph.
  void counter(std::string_view name, TimePoint at, const TraceArgs& values);

  // Events that are not in the file: the writer fell behind, or the file is closed.
  int64_t num_dropped() const;

 private:
  struct Impl;
  explicit Trace(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace pagoda
