// Reading what may be anything.
#include "bench/results.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "base/printable.h"

namespace pagoda {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kLargest = 1e15;
// Of a time in seconds: thirty years, which as nanoseconds leave room to add and subtract.
constexpr double kLongest_s = 1e9;
constexpr size_t kLongestText = 500;
constexpr std::string_view kSchema = "pagoda-bench/1";

double number_of(const Json& value) {
  if (!value.is_number()) return kNaN;
  const double number = value.get<double>();
  return std::isfinite(number) && std::fabs(number) <= kLargest ? number : kNaN;
}

int64_t nanoseconds(const Json& value) {
  const double s = number_of(value);
  return s >= 0.0 && s <= kLongest_s ? static_cast<int64_t>(std::llround(s * 1e9)) : -1;
}

int64_t count_at(const Json& record, const char* name) {
  const double n = number_at(record, {name});
  return n >= 0.0 ? static_cast<int64_t>(n) : -1;
}

RequestRecord record_of(const Json& json) {
  RequestRecord r;
  r.sent_ns = nanoseconds(json_at(json, {"sent_s"}));
  r.intended_ns = nanoseconds(json_at(json, {"intended_s"}));
  if (r.intended_ns < 0) r.intended_ns = r.sent_ns;
  r.end_ns = nanoseconds(json_at(json, {"end_s"}));
  const Json& pieces = json_at(json, {"piece_s"});
  bool complete = pieces.is_array() && !pieces.empty();
  if (complete) {
    r.piece_ns.reserve(pieces.size());
    for (const Json& piece : pieces) r.piece_ns.push_back(nanoseconds(piece));
    complete = *std::min_element(r.piece_ns.begin(), r.piece_ns.end()) >= 0;
  }
  r.asked_input_tokens = count_at(json, "asked_input_tokens");
  r.usage_input_tokens = count_at(json, "input_tokens");
  r.output_tokens = count_at(json, "output_tokens");
  complete = complete && r.sent_ns >= 0 && r.end_ns >= 0 && r.output_tokens >= 0;
  const bool failed = !complete || !json_at(json, {"failure"}).is_null();
  // Which failure it was makes no difference to the figures.
  r.cause = failed ? FailureCause::kCut : FailureCause::kNone;
  return r;
}

LoadLevel level_of(const Json& run) {
  const std::string kind = text_at(run, {"run", "load", "kind"});
  const double users = number_at(run, {"run", "load", "concurrency"});
  const double rate = number_at(run, {"run", "load", "rate"});
  if (kind != "closed" && std::isfinite(rate)) {
    return {fmt::format("{:.6g} requests/s", rate), rate, {}};
  }
  if (std::isfinite(users)) {
    return {fmt::format("{:.0f} user{}", users, users == 1.0 ? "" : "s"), users, {}};
  }
  return {kind.empty() ? "run" : kind, kNaN, {}};
}

std::string type_text(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null: return "null or absent";
    case Json::value_t::object: return value.empty() ? "an empty object" : "an object";
    case Json::value_t::array:
      return value.empty() ? "an empty array" : fmt::format("an array of {}", value.size());
    case Json::value_t::string: return "a text";
    case Json::value_t::boolean: return "true or false";
    default: return "a number";
  }
}

// What other programs, and other commands of this one, write.
std::string what_it_is(const Json& json) {
  const auto has = [](const Json& value, const char* name) {
    return value.is_object() && value.contains(name);
  };
  const std::string schema = text_at(json, {"schema"});
  if (!schema.empty()) {
    return fmt::format(
        "is of the schema \"{}\"{}", printable(schema, 60),
        schema.starts_with("pagoda-bench-comparison") ? ", of `pagoda bench compare`" : "");
  }
  if (has(json, "results_num_requests_started")) return "is LLMPerf's summary";
  if (json.is_array() && !json.empty() && has(json[0], "inter_token_latency_s")) {
    return "is LLMPerf's list of responses";
  }
  if (has(json, "request_throughput")) return "is a result of vLLM's benchmark";
  if (has(json, "listening_ms")) return "is of `pagoda bench startup`";
  if (has(json, "prompt_tokens") && has(json, "results")) return "is of `pagoda bench offline`";
  if (json.is_null()) return "is null";
  if (json.is_object()) return "is an object without a \"schema\"";
  return "is " + type_text(json);
}

}  // namespace

const Json& json_at(const Json& value, JsonPath path) {
  static const Json null;
  const Json* at = &value;
  for (const char* name : path) {
    if (!at->is_object()) return null;
    const auto found = at->find(name);
    if (found == at->end()) return null;
    at = &*found;
  }
  return *at;
}

double number_at(const Json& value, JsonPath path) {
  return number_of(json_at(value, path));
}

std::string text_at(const Json& value, JsonPath path) {
  const Json& found = json_at(value, path);
  if (!found.is_string()) return "";
  std::string text = found.get<std::string>();
  if (text.size() <= kLongestText) return text;
  size_t end = kLongestText;
  // Not within a character.
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  text.resize(end);
  return text + "…";
}

Interval interval_at(const Json& value, JsonPath path) {
  const Json& found = json_at(value, path);
  if (!found.is_array() || found.size() != 2) return {kNaN, kNaN};
  const Interval out{number_of(found[0]), number_of(found[1])};
  return std::isfinite(out.low) && std::isfinite(out.high) ? out : Interval{kNaN, kNaN};
}

Result<std::vector<const Json*>> runs_of(const Json& results) {
  if (text_at(results, {"schema"}) != kSchema) {
    return invalid_argument(
        fmt::format("{}; expected is a results file of `pagoda bench serve -o`: an object with "
                    "\"schema\": \"{}\"",
                    what_it_is(results), kSchema));
  }
  const Json& runs = json_at(results, {"runs"});
  if (!runs.is_array() || runs.empty()) {
    return invalid_argument(
        fmt::format("results without a run: \"runs\" is {}; expected is an "
                    "array of at least one object",
                    type_text(runs)));
  }
  std::vector<const Json*> out;
  for (const Json& run : runs) {
    const bool has_figures = json_at(run, {"requests"}).is_object() ||
                             json_at(run, {"throughput"}).is_object() ||
                             json_at(run, {"metrics"}).is_object();
    if (!has_figures) {
      return invalid_argument(fmt::format(
          "results without a run: number {} of \"runs\" is {}; expected is an object "
          "with \"requests\", \"throughput\" or \"metrics\"",
          out.size() + 1, run.is_object() ? "an object without any of these" : type_text(run)));
    }
    out.push_back(&run);
  }
  return out;
}

std::vector<LoadLevel> load_levels(const std::vector<const Json*>& runs) {
  std::vector<LoadLevel> levels;
  for (const Json* run : runs) {
    LoadLevel level = level_of(*run);
    auto known = std::find_if(levels.begin(), levels.end(),
                              [&](const LoadLevel& l) { return l.label == level.label; });
    if (known == levels.end()) known = levels.insert(levels.end(), std::move(level));
    known->runs.push_back(run);
  }
  // What has no number keeps its place behind the others.
  std::stable_sort(levels.begin(), levels.end(), [](const LoadLevel& a, const LoadLevel& b) {
    const double inf = std::numeric_limits<double>::infinity();
    return (std::isnan(a.load) ? inf : a.load) < (std::isnan(b.load) ? inf : b.load);
  });
  return levels;
}

std::vector<double> figures_of(const std::vector<const Json*>& runs, JsonPath path) {
  std::vector<double> out;
  for (const Json* run : runs) {
    const double figure = number_at(*run, path);
    if (std::isfinite(figure)) out.push_back(figure);
  }
  return out;
}

Window window_of(const Json& run) {
  Window window;
  window.start_s = number_at(run, {"window", "start_s"});
  window.end_s = number_at(run, {"window", "end_s"});
  window.whole_run = json_at(run, {"window", "whole_run"}) != false || !(window.start_s >= 0.0) ||
                     !(window.end_s > window.start_s);
  return window;
}

std::deque<RequestRecord> records_of(const Json& run) {
  std::deque<RequestRecord> out;
  const Json& records = json_at(run, {"records"});
  if (!records.is_array()) return out;
  for (const Json& record : records) out.push_back(record_of(record));
  return out;
}

}  // namespace pagoda
