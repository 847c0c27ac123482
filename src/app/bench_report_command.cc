// `pagoda bench report` and `pagoda bench compare`.
#include <fmt/core.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>

#include "app/bench_reports.h"
#include "base/json.h"
#include "bench/compare.h"
#include "bench/report_html.h"
#include "bench/results.h"
#include "checkpoint/read_only_file.h"

namespace pagoda {
namespace {

// Records of long runs are many; the limit is what a machine can still hold as JSON.
constexpr int64_t kMaxResultsBytes = int64_t{1} << 30;

Result<Json> read_results(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, read_text_file(path, kMaxResultsBytes));
  JsonLimits limits;
  limits.max_bytes = static_cast<size_t>(kMaxResultsBytes);
  auto json = parse_json(text, limits);
  if (!json.ok()) return invalid_argument(fmt::format("{}: {}", path, json.error().message));
  const auto runs = runs_of(*json);
  if (!runs.ok()) return invalid_argument(fmt::format("{}: {}", path, runs.error().message));
  return json;
}

// A reader of `path` sees the old file or the new one, never a part.
Result<void> replace_file(const std::string& path, const std::string& text) {
  const std::string partial = path + ".partial";
  std::ofstream file(partial, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  std::error_code error;
  if (file.fail()) {
    std::filesystem::remove(partial, error);
    return Error{ErrorCode::kInternal, fmt::format("{}: cannot be written", partial)};
  }
  std::filesystem::rename(partial, path, error);
  if (!error) return {};
  const std::string reason = error.message();
  std::filesystem::remove(partial, error);
  return Error{ErrorCode::kInternal, fmt::format("{}: {}", path, reason)};
}

}  // namespace

Result<void> bench_report(const BenchReportOptions& options) {
  ASSIGN_OR_RETURN(const Json results, read_results(options.results));
  std::filesystem::path output = options.output;
  if (output.empty()) output = std::filesystem::path(options.results).replace_extension(".html");
  std::error_code error;
  if (std::filesystem::equivalent(output, options.results, error)) {
    return invalid_argument(
        fmt::format("{}: the report would replace the results; give --output", output.string()));
  }
  RETURN_IF_ERROR(replace_file(output.string(), html_report(results)));
  std::printf("%s\n", output.string().c_str());
  return {};
}

Result<void> bench_compare(const BenchCompareOptions& options) {
  ASSIGN_OR_RETURN(const Json a, read_results(options.a));
  ASSIGN_OR_RETURN(const Json b, read_results(options.b));
  ASSIGN_OR_RETURN(const Comparison comparison, compare_results(a, b));
  const std::string text =
      options.json ? dump_json(comparison_json(comparison)) + "\n" : comparison_text(comparison);
  std::fwrite(text.data(), 1, text.size(), stdout);
  return {};
}

}  // namespace pagoda
