// `pagoda bench serve`: load, figures, files.
#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "app/bench.h"
#include "app/bench_target.h"
#include "app/commands.h"
#include "bench/report_html.h"
#include "bench/saturation.h"
#include "bench/server_metrics.h"
#include "bench/statistics.h"
#include "bench/summary.h"
#include "bench/terminal.h"
#include "bench/workload.h"

namespace pagoda {
namespace {

// So that a run without end does not fill the memory with conversations; they come round again.
constexpr size_t kMostConversations = 20'000;
constexpr uint64_t kSeedStep = 1'000'003;
// The last rate of a sweep, beside what many users in a closed loop got through.
constexpr double kBeyond = 1.2;

Result<double> parse_duration(std::string_view text, std::string_view what) {
  double value = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view unit(end, static_cast<size_t>(text.data() + text.size() - end));
  const double scale = unit == "ms" ? 1e-3 : unit == "s" ? 1.0 : unit == "us" ? 1e-6 : 0.0;
  if (error != std::errc() || scale == 0.0 || !(value > 0.0)) {
    return invalid_argument(
        fmt::format("{}: '{:.40}' is no time such as 200ms or 1.5s", what, text));
  }
  return value * scale;
}

Result<ServiceLevel> parse_slo(std::string_view text) {
  ServiceLevel level;
  while (!text.empty()) {
    const size_t end = std::min(text.find(','), text.size());
    const std::string_view item = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const size_t equals = std::min(item.find_first_of("=:"), item.size());
    const std::string_view name = item.substr(0, equals);
    double* limit = name == "ttft"   ? &level.ttft_s
                    : name == "tpot" ? &level.tpot_s
                    : name == "e2el" ? &level.e2el_s
                                     : nullptr;
    if (limit == nullptr || equals == item.size()) {
      return invalid_argument(
          fmt::format("slo: '{:.40}' is not ttft=TIME, tpot=TIME or e2el=TIME", item));
    }
    ASSIGN_OR_RETURN(*limit, parse_duration(item.substr(equals + 1), "slo"));
  }
  return level;
}

// Sets the gaps of the plan from "poisson", "constant", "gamma:0.5" or "trace".
Result<void> set_arrival(const BenchServeOptions& options,
                         const std::vector<Conversation>& workload, ArrivalPlan& arrivals) {
  arrivals.seed = options.seed;
  arrivals.ramp_s = options.ramp_s;
  const std::string& kind = options.arrival;
  if (kind == "trace") {
    for (const Conversation& conversation : workload) {
      if (conversation.due_s < 0.0) {
        return invalid_argument("arrival: trace needs a jsonl workload with a timestamp a line");
      }
      arrivals.trace_s.push_back(conversation.due_s);
    }
    std::sort(arrivals.trace_s.begin(), arrivals.trace_s.end());
    const double first = arrivals.trace_s.front();
    for (double& t : arrivals.trace_s) t -= first;
    return {};
  }
  if (!(options.rate > 0.0 && options.rate <= 1e6)) {
    return invalid_argument(fmt::format("rate: {} is outside 0 to 1000000", options.rate));
  }
  arrivals.rate = options.rate;
  if (kind == "poisson") return {};
  arrivals.shape = kConstantGap;
  if (kind == "constant") return {};
  if (kind.starts_with("gamma:")) {
    const auto [end, error] =
        std::from_chars(kind.data() + 6, kind.data() + kind.size(), arrivals.shape);
    if (error == std::errc() && end == kind.data() + kind.size() && arrivals.shape >= 0.001 &&
        arrivals.shape <= 1e6) {
      return {};
    }
    return invalid_argument(
        fmt::format("arrival: the shape '{:.40}' of gamma is not a number from 0.001 to 1000000",
                    kind.substr(6)));
  }
  return invalid_argument(
      fmt::format("arrival: '{:.40}' is none of poisson, constant, gamma:SHAPE, trace", kind));
}

// A sweep finds its loads by itself, and would not obey what is asked of one load.
Result<void> check_sweep(const BenchServeOptions& options) {
  if (options.sweep < 3) return invalid_argument("sweep: needs at least 3 levels");
  const char* what = nullptr;
  if (options.rate > 0.0) what = "chooses the rates itself; leave --rate out";
  if (options.arrival == "trace") what = "chooses the rates itself; leave --arrival trace out";
  if (options.concurrency > 0) what = "takes --sweep-max-concurrency; leave --concurrency out";
  if (options.num_requests > 0) what = "ends each level by --duration; leave --requests out";
  if (options.repeat > 1) what = "measures each level once; leave --repeat out";
  if (what == nullptr) return {};
  return invalid_argument(fmt::format("sweep: {}", what));
}

Result<void> check(const BenchServeOptions& options) {
  if (options.endpoint != "chat" && options.endpoint != "completions") {
    return invalid_argument(
        fmt::format("endpoint: '{:.40}' is neither chat nor completions", options.endpoint));
  }
  if (options.sweep > 0) return check_sweep(options);
  if (options.arrival == "trace" && options.rate > 0.0) {
    return invalid_argument("arrival: trace has times of its own; leave --rate out");
  }
  if (options.arrival != "poisson" && options.arrival != "trace" && !(options.rate > 0.0)) {
    return invalid_argument(fmt::format(
        "arrival: '{:.40}' is of gaps at a rate; give --rate with it", options.arrival));
  }
  return {};
}

// One run, its figures and its records.
struct Run {
  Json summary;
  LoadResult result;
};

class ServeBench {
 public:
  explicit ServeBench(const BenchServeOptions& options) : options_(options) {}

  Result<void> run() {
    RETURN_IF_ERROR(check(options_));
    ASSIGN_OR_RETURN(service_level_, parse_slo(options_.slo));
    ASSIGN_OR_RETURN(base_, plan_for(options_.target));
    base_.chat = options_.endpoint == "chat";
    base_.ignore_eos = options_.ignore_eos;
    for (const std::string& file : {options_.output, options_.csv, options_.html}) {
      RETURN_IF_ERROR(check_writable(file));
    }
    ASSIGN_OR_RETURN(tokenizer_, open_tokenizer(options_.tokenizer));
    RETURN_IF_ERROR(prepare_workload());
    ASSIGN_OR_RETURN(const LoadPlan plan, first_plan());
    if (options_.sweep > 0) {
      RETURN_IF_ERROR(sweep(plan));
    } else {
      for (int64_t i = 0; i < std::max<int64_t>(1, options_.repeat); ++i) {
        ASSIGN_OR_RETURN(const bool go_on, measure(plan, false));
        if (!go_on) break;
      }
      print_repeats();
    }
    RETURN_IF_ERROR(write_files());
    return verdict();
  }

 private:
  // Other texts for each run, or a server's prefix cache would know those of the run before. Files
  // hold what they hold.
  Result<void> prepare_workload() {
    const WorkloadOptions workload{.kind = options_.workload,
                                   .file = options_.workload_file,
                                   .seed = options_.seed + kSeedStep * runs_.size(),
                                   .input_tokens = options_.input_tokens,
                                   .input_stddev = options_.input_stddev,
                                   .output_tokens = options_.output_tokens,
                                   .output_stddev = options_.output_stddev,
                                   .num_prefixes = options_.num_prefixes,
                                   .prefix_tokens = options_.prefix_tokens,
                                   .num_turns = options_.num_turns};
    const auto users = static_cast<size_t>(std::max<int64_t>(1, options_.concurrency));
    size_t count = static_cast<size_t>(options_.num_requests);
    if (count == 0) {
      count = options_.duration_s > 0.0
                  ? static_cast<size_t>(std::clamp(options_.rate * options_.duration_s, 500.0, 1e5))
                  : 8 * users;
    }
    count = std::min(count, kMostConversations) + static_cast<size_t>(options_.warmup_requests);
    ASSIGN_OR_RETURN(workload_, make_workload(workload, count, tokenizer_.get()));
    return {};
  }

  Result<LoadPlan> first_plan() {
    LoadPlan plan = base_;
    plan.open_loop = options_.rate > 0.0 || options_.arrival == "trace";
    plan.concurrency = static_cast<size_t>(options_.concurrency);
    plan.ramp_s = options_.ramp_s;
    plan.warmup_requests = static_cast<size_t>(options_.warmup_requests);
    if (plan.open_loop) {
      RETURN_IF_ERROR(set_arrival(options_, workload_, plan.arrivals));
    } else {
      plan.concurrency = std::max<size_t>(1, plan.concurrency);
    }
    if (options_.duration_s > 0.0) plan.duration_s = options_.duration_s;
    if (options_.num_requests > 0) {
      plan.max_requests = static_cast<size_t>(options_.num_requests);
    } else if (options_.duration_s <= 0.0) {
      plan.max_requests = plan.arrivals.trace_s.empty() ? 8 * std::max<size_t>(1, plan.concurrency)
                                                        : plan.arrivals.trace_s.size();
    }
    return plan;
  }

  Json description(const LoadPlan& plan) const {
    Json load = {{"kind", plan.open_loop ? "open" : "closed"},
                 {"concurrency", plan.concurrency},
                 {"ramp_s", options_.ramp_s},
                 {"warmup_requests", plan.warmup_requests}};
    if (plan.open_loop) {
      load["rate"] = plan.arrivals.trace_s.empty() ? Json(plan.arrivals.rate) : Json();
      load["arrival"] = options_.arrival;
    }
    Json workload = {{"kind", options_.workload},
                     {"conversations", workload_.size()},
                     {"input_tokens", options_.input_tokens},
                     {"output_tokens", options_.output_tokens},
                     {"seed", options_.seed}};
    // What was left as it is needs no place.
    if (!options_.workload_file.empty()) workload["file"] = options_.workload_file;
    if (options_.num_turns > 1) workload["turns"] = options_.num_turns;
    if (options_.input_stddev > 0.0) workload["input_stddev"] = options_.input_stddev;
    if (options_.output_stddev > 0.0) workload["output_stddev"] = options_.output_stddev;
    if (options_.ignore_eos) workload["ignore_eos"] = true;
    return {{"tool", "pagoda bench serve " + program_version()},
            {"model", plan.model},
            {"base_urls", plan.base_urls},
            {"endpoint", options_.endpoint},
            {"load", std::move(load)},
            {"workload", std::move(workload)}};
  }

  // False when the user has stopped it.
  Result<bool> measure(const LoadPlan& plan, bool stop_when_saturated) {
    if (!runs_.empty()) RETURN_IF_ERROR(prepare_workload());
    const LoadSession session;
    LoadHooks hooks = session.hooks(plan);
    if (stop_when_saturated) {
      hooks.keep_on = [](const std::deque<RequestRecord>& records, double elapsed_s) {
        return !is_over_saturated(records, elapsed_s);
      };
    }
    std::optional<ServerMetrics> metrics;
    // Its clock starts before the warm-up's end; what the times of samples count from is mended
    // below.
    const auto before = std::chrono::steady_clock::now();
    const double wall_before = unix_now();
    if (!options_.no_server_metrics) {
      metrics.emplace(metrics_url(plan.base_urls[0]), http_options(plan), before);
    }
    auto result = run_load(plan, workload_, hooks);
    Json server = metrics ? metrics->stop() : Json();
    session.end_progress();
    if (!result.ok()) return std::move(result).error();
    if (server.is_object()) {
      for (Json& sample : server["samples"]) {
        sample["t_s"] = sample["t_s"].get<double>() - (result->unix_start_s - wall_before);
      }
    }
    count_output_tokens(*result, tokenizer_.get());
    Json summary = summarize(plan, *result, service_level_, description(plan), std::move(server));
    std::fputs(summary_text(summary).c_str(), stdout);
    std::fflush(stdout);
    const bool go_on = !result->interrupted;
    runs_.push_back({std::move(summary), std::move(result).value()});
    return go_on;
  }

  static double unix_now() {
    return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch())
        .count();
  }

  // One user alone, as many as may be, and rates from the one's to beyond the others': the ends
  // tell where to look.
  Result<void> sweep(LoadPlan plan) {
    const double length = options_.duration_s > 0.0 ? options_.duration_s : 30.0;
    plan.duration_s = length;
    plan.max_requests = std::numeric_limits<size_t>::max();
    plan.concurrency = 1;
    ASSIGN_OR_RETURN(bool go_on, measure(plan, false));
    const double slowest = rate_of(runs_.back());
    plan.concurrency = static_cast<size_t>(options_.sweep_max_concurrency);
    plan.warmup_requests = 0;
    if (go_on) {
      ASSIGN_OR_RETURN(go_on, measure(plan, false));
    }
    const double fastest = rate_of(runs_.back());
    if (!(slowest > 0.0) || !(fastest > 0.0)) return {};
    plan.open_loop = true;
    plan.concurrency = 0;
    for (int64_t i = 1; go_on && i <= options_.sweep - 2; ++i) {
      const double share = static_cast<double>(i) / static_cast<double>(options_.sweep - 2);
      BenchServeOptions level = options_;
      const double exact = slowest + (kBeyond * std::max(fastest, slowest) - slowest) * share;
      // Three digits, so that people can ask for the same again.
      const double unit = std::pow(10.0, std::floor(std::log10(exact)) - 2.0);
      level.rate = std::round(exact / unit) * unit;
      RETURN_IF_ERROR(set_arrival(level, workload_, plan.arrivals));
      ASSIGN_OR_RETURN(go_on, measure(plan, true));
      if (runs_.back().result.stopped_early) {
        std::printf("  over-saturated at %.3f requests/s: higher rates are left out\n", level.rate);
        break;
      }
    }
    Json all = Json::array();
    for (const Run& run : runs_) all.push_back(run.summary);
    std::fputs(sweep_text(all).c_str(), stdout);
    return {};
  }

  static double rate_of(const Run& run) {
    const Json& rate = run.summary["throughput"]["requests_per_s"];
    return rate.is_number() ? rate.get<double>() : 0.0;
  }

  void print_repeats() const {
    if (runs_.size() < 2) return;
    const auto line = [this](const char* title, const char* group, const char* key,
                             const char* sub) {
      std::vector<double> values;
      for (const Run& run : runs_) {
        if (run.result.interrupted) continue;
        const Json& at = run.summary[group][key];
        const Json& value = sub[0] == '\0' ? at : at[sub];
        if (value.is_number()) values.push_back(value.get<double>());
      }
      const Interval interval = mean_interval(values);
      std::printf("  %-34s %.4g  [%.4g, %.4g]\n", title, mean_of(values), interval.low,
                  interval.high);
    };
    std::printf("\n  mean of %zu runs, and its 95 %% interval (Student's t)\n", runs_.size());
    line("output tokens/s", "throughput", "output_tokens_per_s", "");
    line("requests/s", "throughput", "requests_per_s", "");
    line("TTFT p50 (s)", "metrics", "ttft_s", "p50");
    line("TTFT p99 (s)", "metrics", "ttft_s", "p99");
    line("TPOT p50 (s)", "metrics", "tpot_s", "p50");
  }

  Result<void> write_files() const {
    if (options_.output.empty() && options_.csv.empty() && options_.html.empty()) return {};
    Json runs = Json::array();
    std::string csv;
    for (const Run& run : runs_) {
      Json summary = run.summary;
      Json records = Json::array();
      for (const RequestRecord& record : run.result.records) records.push_back(record_json(record));
      summary["records"] = std::move(records);
      runs.push_back(std::move(summary));
      csv += records_csv(run.result.records);
    }
    const Json results = {{"schema", "pagoda-bench/1"}, {"runs", std::move(runs)}};
    if (!options_.output.empty()) {
      RETURN_IF_ERROR(write_text_file(options_.output, dump_json(results) + "\n"));
    }
    if (!options_.csv.empty()) RETURN_IF_ERROR(write_text_file(options_.csv, csv));
    if (!options_.html.empty()) {
      RETURN_IF_ERROR(write_text_file(options_.html, html_report(results)));
    }
    for (const std::string& file : {options_.output, options_.csv, options_.html}) {
      if (!file.empty()) std::printf("wrote %s\n", file.c_str());
    }
    return {};
  }

  Result<void> verdict() const {
    for (const Run& run : runs_) {
      const auto sent = run.result.records.size();
      const auto failed = run.summary["requests"]["failed"].get<size_t>();
      if (run.result.interrupted) {
        return Error{ErrorCode::kCancelled,
                     "the run was interrupted: its figures are those of a part"};
      }
      if (run.summary["requests"]["succeeded"] == 0 ||
          static_cast<double>(failed) > options_.max_failed_share * static_cast<double>(sent)) {
        return Error{ErrorCode::kInternal,
                     fmt::format("the run is not valid: {} of {} requests failed (at most {:.3g} % "
                                 "may, --max-failed)",
                                 failed, sent, options_.max_failed_share * 100.0)};
      }
    }
    return {};
  }

  const BenchServeOptions& options_;
  ServiceLevel service_level_;
  LoadPlan base_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::vector<Conversation> workload_;
  std::vector<Run> runs_;
};

}  // namespace

Result<void> bench_serve(const BenchServeOptions& options) {
  return ServeBench(options).run();
}

}  // namespace pagoda
