// Tables of plain text.
#include "bench/terminal.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>

namespace pagoda {
namespace {

constexpr const char* kLatencies[][2] = {{"ttft_s", "time to first token"},
                                         {"ttft_from_intended_s", "  from intended time"},
                                         {"tpot_s", "time per output token"},
                                         {"itl_s", "inter-token latency"},
                                         {"e2el_s", "end to end"},
                                         {"e2el_from_intended_s", "  from intended time"},
                                         {"schedule_delay_s", "schedule delay"}};

std::string count_text(const Json& value, int digits) {
  if (!value.is_number()) return "-";
  return fmt::format("{:.{}f}", value.get<double>(), digits);
}

std::string interval_text(const Json& metric, const char* key) {
  if (!metric.contains(key)) return " -";
  const Json& interval = metric[key];
  if (!interval[0].is_number() || !interval[1].is_number()) return " -";
  return fmt::format(" [{}, {}]", duration_text(interval[0]), duration_text(interval[1]));
}

std::string failures_text(const Json& requests) {
  std::string out;
  for (const auto& [cause, count] : requests["failures"].items()) {
    out += fmt::format("    {} x {}: {}\n", count.get<int64_t>(), cause,
                       requests["failure_examples"][cause].get<std::string>());
  }
  return out;
}

std::string load_text(const Json& run) {
  const Json& load = run["load"];
  if (load["kind"] == "open") {
    return fmt::format("{} requests/s, {}{}", count_text(load["rate"], 3),
                       load["arrival"].get<std::string>(),
                       load["concurrency"] > 0
                           ? fmt::format(", at most {} at once", load["concurrency"].get<int64_t>())
                           : "");
  }
  return fmt::format("{} users", load["concurrency"].get<int64_t>());
}

std::string csv_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c == '\n' || c == '\r' ? ' ' : c;
  }
  return out + "\"";
}

}  // namespace

std::string duration_text(const Json& seconds) {
  if (!seconds.is_number()) return "-";
  const double s = seconds.get<double>();
  if (std::fabs(s) >= 1.0) return fmt::format("{:.2f} s", s);
  if (std::fabs(s) >= 1e-3) return fmt::format("{:.1f} ms", s * 1e3);
  return fmt::format("{:.0f} us", s * 1e6);
}

std::string progress_text(const LoadProgress& progress, const LoadPlan& plan) {
  const bool by_time = std::isfinite(plan.duration_s);
  const double share =
      by_time ? progress.elapsed_s / plan.duration_s
              : static_cast<double>(progress.num_ended) /
                    static_cast<double>(std::max<size_t>(
                        1, std::min({plan.max_requests, plan.max_ended, size_t{1} << 40})));
  const auto filled = static_cast<size_t>(std::clamp(share, 0.0, 1.0) * 12.0);
  std::string text = fmt::format("[{}{}] {:3.0f} s  {} done, {} running", std::string(filled, '#'),
                                 std::string(12 - filled, '.'), progress.elapsed_s,
                                 progress.num_ended, progress.num_running);
  if (progress.num_waiting > 0) text += fmt::format(", {} late", progress.num_waiting);
  if (progress.num_failed > 0) text += fmt::format(", {} FAILED", progress.num_failed);
  text += fmt::format(", TTFT {}", duration_text(progress.p50_ttft_s));
  return text.substr(0, 79);
}

std::string summary_text(const Json& summary) {
  const Json& run = summary["run"];
  const Json& requests = summary["requests"];
  const Json& window = summary["window"];
  const Json& throughput = summary["throughput"];
  std::string out = fmt::format("\n{}  ({})\n", run["model"].get<std::string>(), load_text(run));
  out += fmt::format("  requests            {} sent, {} succeeded, {} failed\n",
                     requests["sent"].get<int64_t>(), requests["succeeded"].get<int64_t>(),
                     requests["failed"].get<int64_t>());
  out += failures_text(requests);
  out += fmt::format("  window              {} to {} of {}{}\n", duration_text(window["start_s"]),
                     duration_text(window["end_s"]), duration_text(run["elapsed_s"]),
                     window["whole_run"] == true ? " (the whole run)" : " (steady part)");
  out += fmt::format(
      "  throughput          {} requests/s, {} output tokens/s, {} tokens/s in all\n",
      count_text(throughput["requests_per_s"], 2), count_text(throughput["output_tokens_per_s"], 1),
      count_text(throughput["total_tokens_per_s"], 1));
  if (summary["goodput"].is_object()) {
    out += fmt::format("  goodput             {} requests/s, {} of {} within limits\n",
                       count_text(summary["goodput"]["requests_per_s"], 2),
                       summary["goodput"]["met"].get<int64_t>(),
                       summary["goodput"]["sent"].get<int64_t>());
  }
  out += fmt::format("  {:<22}{:>10}{:>10}{:>10}{:>10}{:>10}\n", "", "mean", "p50", "p90", "p99",
                     "max");
  for (const auto& [name, title] : kLatencies) {
    const Json& m = summary["metrics"][name];
    out += fmt::format("  {:<22}{:>10}{:>10}{:>10}{:>10}{:>10}\n", title, duration_text(m["mean"]),
                       duration_text(m["p50"]), duration_text(m["p90"]), duration_text(m["p99"]),
                       duration_text(m["max"]));
  }
  const Json& metrics = summary["metrics"];
  out += fmt::format("  95 % intervals: TTFT p50{}, p99{}; TPOT p50{}\n",
                     interval_text(metrics["ttft_s"], "p50_95"),
                     interval_text(metrics["ttft_s"], "p99_95"),
                     interval_text(metrics["tpot_s"], "p50_95"));
  out += fmt::format("  tokens a request    {} in, {} out (mean); {} ended before max_tokens\n",
                     count_text(metrics["input_tokens"]["mean"], 1),
                     count_text(metrics["output_tokens"]["mean"], 1),
                     requests["ended_before_max_tokens"].get<int64_t>());
  out += fmt::format("  this client         {:.0f} % of a core\n",
                     summary["client"]["cpu_share"].get<double>() * 100.0);
  for (const Json& warning : summary["warnings"]) {
    out += fmt::format("  WARNING: {}\n", warning.get<std::string>());
  }
  return out;
}

std::string sweep_text(const Json& runs) {
  std::string out = fmt::format("\n  {:<34}{:>12}{:>12}{:>10}{:>10}{:>8}\n", "load", "requests/s",
                                "tokens/s", "TTFT p50", "TTFT p99", "failed");
  for (const Json& summary : runs) {
    const Json& ttft = summary["metrics"]["ttft_s"];
    out += fmt::format("  {:<34}{:>12}{:>12}{:>10}{:>10}{:>8}\n", load_text(summary["run"]),
                       count_text(summary["throughput"]["requests_per_s"], 2),
                       count_text(summary["throughput"]["output_tokens_per_s"], 1),
                       duration_text(ttft["p50"]), duration_text(ttft["p99"]),
                       summary["requests"]["failed"].get<int64_t>());
  }
  return out;
}

std::string records_csv(const std::deque<RequestRecord>& records) {
  std::string out =
      "index,server,intended_s,sent_s,first_token_s,end_s,input_tokens,cached_tokens,output_tokens,"
      "pieces,http_status,finish_reason,failure,message\n";
  const auto time = [](int64_t ns) {
    return ns < 0 ? std::string() : fmt::format("{:.9f}", static_cast<double>(ns) * 1e-9);
  };
  const auto count = [](int64_t n) { return n < 0 ? std::string() : fmt::format("{}", n); };
  for (const RequestRecord& r : records) {
    out += fmt::format(
        "{},{},{},{},{},{},{},{},{},{},{},{},{},{}\n", r.index, r.server, time(r.intended_ns),
        time(r.sent_ns), time(r.piece_ns.empty() ? -1 : r.piece_ns.front()), time(r.end_ns),
        count(r.usage_input_tokens), count(r.usage_cached_tokens), count(r.output_tokens),
        r.piece_ns.size(), r.http_status, csv_text(r.finish_reason),
        r.cause == FailureCause::kNone ? "" : to_string(r.cause), csv_text(r.message));
  }
  return out;
}

}  // namespace pagoda
