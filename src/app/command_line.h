// What the commands' definitions share: a subcommand, and a table of flags on it.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

#include "app/config.h"
#include "base/result.h"

namespace pagoda {

// One subcommand. `app` is owned by its parent; what `execute` needs it holds itself, by shared_ptr
// where CLI11 writes into it while the command line is read.
struct Command {
  CLI::App* app = nullptr;
  std::function<Result<void>()> execute;
  // Whether what was given and cannot be used (kInvalidArgument, kNotFound, kTooLarge) exits with 2
  // as a mistyped flag does, so that 1 says that something was tried and failed.
  bool tells_usage = false;
};

// The values of a table of flags, and of the argument MODEL, as CLI11 collects them; checked and
// stored by apply_settings(). CLI11 keeps pointers into it: it must stay where it is and outlive
// the parsing. Main thread only.
class FlagParser {
 public:
  // `with_config`: takes --config FILE too.
  FlagParser(CLI::App& app, std::vector<Flag> flags, bool with_config);
  FlagParser(const FlagParser&) = delete;
  FlagParser& operator=(const FlagParser&) = delete;

  // Sets every setting, as apply_settings() does, which fills `values` too. REQUIRES: the command
  // line has been read.
  Result<void> apply(GivenValues* values = nullptr) const;
  const std::vector<Flag>& flags() const { return flags_; }
  // What was given, as the command line of another process of this program. What it takes from the
  // environment it finds there itself. REQUIRES: as apply().
  std::vector<std::string> arguments() const;

 private:
  void add(CLI::App& app, size_t i);

  std::vector<Flag> flags_;
  std::vector<std::vector<std::string>> values_;
  std::vector<CLI::Option*> options_;
  std::string config_;
  std::string model_;
  CLI::Option* model_option_ = nullptr;
};

// A check for CLI11: a number in [low, high], and no NaN, which CLI11's Range lets through (it
// compares false with both ends).
std::function<std::string(const std::string&)> number_in(double low, double high);

// `pagoda bench offline` and `pagoda bench startup`, under `bench`.
Command add_bench_offline(CLI::App& bench);
Command add_bench_startup(CLI::App& bench);

}  // namespace pagoda
