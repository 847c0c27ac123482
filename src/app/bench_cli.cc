// The flags of `pagoda bench`.
#include "app/bench_cli.h"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "app/bench.h"
#include "app/bench_reports.h"

namespace pagoda {
namespace {

constexpr double kMost = 1e9;
constexpr const char* kLlmperfGroup = "LLMPerf (with --compat)";

void add_target(CLI::App& app, BenchTarget& target) {
  app.add_option("--base-url", target.base_url,
                 "address of the API, several with ';' between [OPENAI_API_BASE, else "
                 "http://127.0.0.1:8000/v1]")
      ->type_name("URL")
      ->group("Server");
  app.add_option("--model", target.model, "model to ask for [the first that the server lists]")
      ->type_name("NAME")
      ->group("Server");
  app.add_option("--api-key", target.api_key, "key [OPENAI_API_KEY]")
      ->type_name("KEY")
      ->group("Server");
  app.add_option("--header", target.headers, "a further header of each request")
      ->type_name("'NAME: VALUE'")
      ->allow_extra_args(false)
      ->group("Server");
  app.add_option("--ca-file", target.ca_file, "certificate authority of the server")
      ->type_name("FILE")
      ->group("Server");
  app.add_flag("--insecure", target.insecure, "take any certificate")->group("Server");
  app.add_option("--extra-body,--additional-sampling-params", target.extra_body,
                 "JSON object that is merged over the body of each request")
      ->type_name("JSON")
      ->group("Server");
  app.add_option("--request-timeout", target.request_timeout_s,
                 "seconds after which a request counts as failed [600]")
      ->type_name("S")
      ->group("Server");
}

template <typename T>
CLI::Option* add_number(CLI::App& app, const char* group, const char* name, T& value,
                        const char* help, double low = 0.0, double high = kMost) {
  return app.add_option(name, value, help)->check(number_in(low, high))->group(group);
}

void add_load(CLI::App& app, BenchServeOptions& options) {
  const char* group = "Load";
  add_number(app, group, "-c,--concurrency", options.concurrency,
             "users, each sends when its answer has come [1]; with --rate the most at once [no "
             "limit]",
             0.0, 1e5);
  add_number(app, group, "-r,--rate", options.rate,
             "requests a second, sent whether or not answers have come", 0.0, 1e6);
  app.add_option(
         "--arrival", options.arrival,
         "gaps at that rate: poisson, constant, gamma:SHAPE (below 1 is burstier), or trace "
         "for the times of a jsonl workload [poisson]")
      ->type_name("KIND")
      ->group(group);
  add_number(app, group, "-n,--requests", options.num_requests,
             "conversations to send [8 for each user]");
  add_number(app, group, "-d,--duration", options.duration_s, "seconds to send for");
  add_number(app, group, "--ramp", options.ramp_s, "seconds until the load is whole [0]");
  add_number(app, group, "--warmup", options.warmup_requests,
             "requests sent and not counted before the clock starts [1]", 0.0, 1e5);
  add_number(app, group, "--repeat", options.repeat, "runs, for intervals over runs [1]", 1.0, 1e3);
  add_number(app, group, "--sweep", options.sweep,
             "load levels: one user, as many as may be, and rising rates; ends when the server is "
             "over-saturated",
             0.0, 100.0);
  add_number(app, group, "--sweep-max-concurrency", options.sweep_max_concurrency,
             "users of a sweep's second level [64]", 1.0, 1e5);
  app.add_option("--slo", options.slo, "limits of a good answer: ttft=200ms,tpot=50ms,e2el=2s")
      ->type_name("LIMITS")
      ->group(group);
  add_number(app, group, "--max-failed", options.max_failed_share,
             "share of failed requests that leaves a run valid [0]", 0.0, 1.0);
}

void add_workload(CLI::App& app, BenchServeOptions& options) {
  const char* group = "Requests";
  app.add_option("--endpoint", options.endpoint, "chat or completions [chat]")
      ->type_name("NAME")
      ->group(group);
  app.add_option("--workload", options.workload, "random, lines, prefix, sharegpt or jsonl [lines]")
      ->type_name("KIND")
      ->group(group);
  app.add_option("--workload-file,--text-file", options.workload_file,
                 "text of lines [built-in verses]; ShareGPT's JSON; JSON lines with prompt or "
                 "messages")
      ->type_name("FILE")
      ->group(group);
  app.add_option("--tokenizer", options.tokenizer,
                 "MODEL whose tokenizer makes and counts prompts; random and prefix need it")
      ->type_name("MODEL")
      ->group(group);
  add_number(app, group, "--input-tokens", options.input_tokens, "tokens of a prompt [128]", 1.0);
  add_number(app, group, "--input-stddev", options.input_stddev, "their deviation [0]");
  add_number(app, group, "--output-tokens", options.output_tokens, "tokens asked for [64]", 1.0);
  add_number(app, group, "--output-stddev", options.output_stddev, "their deviation [0]");
  app.add_flag("--ignore-eos", options.ignore_eos,
               "ask for just so many tokens (ignore_eos and min_tokens)")
      ->group(group);
  add_number(app, group, "--prefixes", options.num_prefixes, "beginnings that groups share [8]",
             1.0, 1e5);
  add_number(app, group, "--prefix-tokens", options.prefix_tokens, "tokens of each [256]", 1.0);
  add_number(app, group, "--turns", options.num_turns, "turns of a conversation [1]", 1.0, 1e4);
  add_number(app, group, "--seed", options.seed, "of lengths, texts and arrivals [0]");
}

void add_results(CLI::App& app, BenchServeOptions& options) {
  const char* group = "Results";
  app.add_option("-o,--output", options.output, "figures and records as JSON")
      ->type_name("FILE")
      ->group(group);
  app.add_option("--csv", options.csv, "records as comma separated values")
      ->type_name("FILE")
      ->group(group);
  app.add_option("--html", options.html, "report as one page")->type_name("FILE")->group(group);
  app.add_flag("--no-server-metrics", options.no_server_metrics,
               "do not read the server's /metrics")
      ->group(group);
}

void add_llmperf(CLI::App& app, BenchLlmperfOptions& options, std::string& compat) {
  const char* group = kLlmperfGroup;
  app.add_option("--compat", compat,
                 "llmperf or llmperf-aws: LLMPerf's prompts, figures, files and console")
      ->type_name("KIND")
      ->group(group);
  add_number(app, group, "--mean-input-tokens", options.mean_input_tokens, "[550]", 1.0);
  add_number(app, group, "--stddev-input-tokens", options.stddev_input_tokens, "[150]");
  add_number(app, group, "--mean-output-tokens", options.mean_output_tokens, "[150]", 1.0);
  add_number(app, group, "--stddev-output-tokens", options.stddev_output_tokens, "[80]");
  add_number(app, group, "--num-concurrent-requests", options.num_concurrent_requests, "[10]", 1.0,
             1e5);
  add_number(app, group, "--timeout", options.timeout_s, "seconds to send for [90]", 1.0);
  add_number(app, group, "--max-num-completed-requests", options.max_num_completed_requests, "[10]",
             1.0, 1e6);
  app.add_option("--results-dir", options.results_dir, "folder of the two files [none]")
      ->type_name("DIR")
      ->group(group);
  app.add_option("--llm-api", options.llm_api, "as it is printed [openai]")
      ->type_name("NAME")
      ->group(group);
  app.add_option("--metadata", options.metadata, "k=v,k=v for the summary")
      ->type_name("PAIRS")
      ->group(group);
}

// A flag that the chosen kind of run does not look at would be a silent mistake.
Result<void> refuse_other_flags(const CLI::App& app, bool compat) {
  constexpr std::string_view kShared[] = {"--tokenizer", "--workload-file"};
  for (const CLI::Option* option : app.get_options()) {
    if (option->count() == 0) continue;
    const std::string& group = option->get_group();
    const std::string name = option->get_name();
    if (!compat && group == kLlmperfGroup) {
      return invalid_argument(fmt::format("{}: is a flag of LLMPerf's; give --compat too", name));
    }
    const bool ours =
        group == "Load" || group == "Requests" || group == "Results" || name == "--request-timeout";
    const bool shared =
        std::find(std::begin(kShared), std::end(kShared), name) != std::end(kShared);
    if (compat && ours && !shared) {
      return invalid_argument(
          fmt::format("{}: LLMPerf has no such setting; leave it or --compat out", name));
    }
  }
  return {};
}

Command add_serve_bench(CLI::App& bench) {
  CLI::App* app = bench.add_subcommand("serve", "load a server and measure what it does");
  app->footer(
      "Exits with 0 when the run is valid: the server answered, no more requests failed than "
      "--max-failed allows,\nand nobody interrupted it; with 1 when it is not; with 2 when a flag "
      "or "
      "a file cannot be used.\nEvery figure is defined in docs/benchmarking.md.");
  const auto options = std::make_shared<BenchServeOptions>();
  const auto llmperf = std::make_shared<BenchLlmperfOptions>();
  const auto compat = std::make_shared<std::string>();
  add_target(*app, options->target);
  add_load(*app, *options);
  add_workload(*app, *options);
  add_results(*app, *options);
  add_llmperf(*app, *llmperf, *compat);
  return {app, [app, options, llmperf, compat]() -> Result<void> {
            RETURN_IF_ERROR(refuse_other_flags(*app, !compat->empty()));
            if (compat->empty()) return bench_serve(*options);
            llmperf->compat = *compat;
            llmperf->target = options->target;
            llmperf->tokenizer = options->tokenizer;
            llmperf->text_file = options->workload_file;
            return bench_llmperf(*llmperf);
          }};
}

Command add_correctness(CLI::App& bench) {
  CLI::App* app =
      bench.add_subcommand("correctness", "ask for numbers in words, as LLMPerf's second program");
  const auto options = std::make_shared<BenchCorrectnessOptions>();
  add_target(*app, options->target);
  const char* group = "Test";
  add_number(*app, group, "--num-concurrent-requests", options->num_concurrent_requests, "[10]",
             1.0, 1e5);
  add_number(*app, group, "--timeout", options->timeout_s, "seconds to send for [90]", 1.0);
  add_number(*app, group, "--max-num-completed-requests", options->max_num_completed_requests,
             "[50]", 1.0, 1e6);
  app->add_option("--results-dir", options->results_dir, "folder of the two files [none]")
      ->type_name("DIR")
      ->group(group);
  app->add_option("--metadata", options->metadata, "k=v,k=v for the summary")
      ->type_name("PAIRS")
      ->group(group);
  add_number(*app, group, "--seed", options->seed, "of the numbers [0]");
  return {app, [options]() -> Result<void> { return bench_correctness(*options); }};
}

Command add_report(CLI::App& bench) {
  CLI::App* app = bench.add_subcommand("report", "draw the results of a benchmark as one page");
  const auto options = std::make_shared<BenchReportOptions>();
  app->add_option("RESULTS", options->results, "JSON of bench serve")->required();
  app->add_option("--output", options->output, "the page [beside it, as .html]")->type_name("FILE");
  return {app, [options]() -> Result<void> { return bench_report(*options); }};
}

Command add_compare(CLI::App& bench) {
  CLI::App* app =
      bench.add_subcommand("compare", "tell what differs between the results of two benchmarks");
  const auto options = std::make_shared<BenchCompareOptions>();
  app->add_option("A", options->a, "JSON of bench serve: what is compared with")->required();
  app->add_option("B", options->b, "JSON of bench serve: what is looked at")->required();
  app->add_flag("--json", options->json, "print JSON");
  return {app, [options]() -> Result<void> { return bench_compare(*options); }};
}

}  // namespace

std::vector<Command> add_bench(CLI::App& root) {
  CLI::App* bench = root.add_subcommand("bench", "measure servers, the engine and its start");
  bench->require_subcommand(1);
  std::vector<Command> commands = {add_serve_bench(*bench),   add_report(*bench),
                                   add_compare(*bench),       add_correctness(*bench),
                                   add_bench_offline(*bench), add_bench_startup(*bench)};
  for (Command& command : commands) command.tells_usage = true;
  return commands;
}

}  // namespace pagoda
