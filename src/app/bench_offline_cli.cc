// The flags of `pagoda bench offline` and `pagoda bench startup`.
#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "app/bench_offline.h"
#include "app/command_line.h"

namespace pagoda {
namespace {

Result<std::vector<int32_t>> parse_batches(std::string_view text) {
  std::vector<int32_t> batches;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string_view item = text.substr(begin, end - begin);
    int32_t batch = 0;
    const auto [stop, error] = std::from_chars(item.data(), item.data() + item.size(), batch);
    if (error != std::errc() || stop != item.data() + item.size()) {
      return invalid_argument(fmt::format(
          "batch: '{}' is not a whole number; several are written as 1,4,16", item.substr(0, 40)));
    }
    batches.push_back(batch);
    begin = end + 1;
  }
  return batches;
}

}  // namespace

Command add_bench_offline(CLI::App& bench) {
  CLI::App* app =
      bench.add_subcommand("offline", "measure prefill and decode of the engine, without a server");
  const auto options = std::make_shared<BenchOfflineOptions>();
  // As a text: a list of numbers would swallow the MODEL behind it.
  const auto batches = std::make_shared<std::string>();
  const std::string group = "Benchmark";
  app->add_option("--prompt-tokens", options->prompt_tokens, "tokens of each prompt [512]")
      ->check(number_in(1, 1e7))
      ->group(group);
  app->add_option("--output-tokens", options->output_tokens,
                  "tokens decoded of each sequence; 0: no decode [128]")
      ->check(number_in(0, 1e7))
      ->group(group);
  app->add_option("--batch", *batches, "how many sequences at once; several: 1,4,16 [1,4,16]")
      ->type_name("N,...")
      ->group(group);
  app->add_option("--repeat", options->repeat, "measurements of each [3]")
      ->check(number_in(1, 1000))
      ->group(group);
  app->add_option("--warmup", options->warmup, "measurements before those, which do not count [1]")
      ->check(number_in(0, 1000))
      ->group(group);
  const auto replay = std::make_shared<std::string>();
  app->add_option("--replay", *replay,
                  "what sequences go on with, whatever the model chooses: their prompt again "
                  "(repeat), or words at random (words); with it tokens are guessed as by serve")
      ->check(CLI::IsMember({"repeat", "words"}))
      ->type_name("TEXT")
      ->group(group);
  app->add_flag("--json", options->as_json, "print JSON")->group(group);
  const auto flags = std::make_shared<FlagParser>(*app, engine_flags(options->engine), false);
  return {app, [options, batches, replay, flags]() -> Result<void> {
            RETURN_IF_ERROR(flags->apply());
            if (!replay->empty()) {
              options->engine.replay = *replay == "repeat" ? Replay::kRepeat : Replay::kWords;
            }
            if (!batches->empty()) {
              ASSIGN_OR_RETURN(options->batches, parse_batches(*batches));
            }
            return bench_offline(*options);
          }};
}

Command add_bench_startup(CLI::App& bench) {
  CLI::App* app = bench.add_subcommand(
      "startup", "measure how long a server takes from its start to its first token");
  const auto options = std::make_shared<BenchStartupOptions>();
  const auto engine = std::make_shared<EngineOptions>();
  const std::string group = "Benchmark";
  app->add_option("--repeat", options->repeat, "how many starts [5]")
      ->check(number_in(1, 1000))
      ->group(group);
  app->add_option("--timeout", options->timeout_s, "seconds that one start may take [600]")
      ->check(number_in(1, 86400))
      ->group(group);
  app->add_flag("--json", options->as_json, "print JSON")->group(group);
  const auto flags = std::make_shared<FlagParser>(*app, engine_flags(*engine), false);
  return {app, [options, engine, flags]() -> Result<void> {
            RETURN_IF_ERROR(flags->apply());  // a bad value is said here, once
            options->serve_arguments = flags->arguments();
            return bench_startup(*options);
          }};
}

}  // namespace pagoda
