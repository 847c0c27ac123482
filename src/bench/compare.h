// Two results files side by side: what changed, and whether the data can tell.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "bench/statistics.h"

namespace pagoda {

// One figure of both. A figure that one of them lacks is NaN.
struct ComparedFigure {
  std::string name;      // "TTFT p99"
  bool is_time = false;  // seconds
  double a = 0.0;
  double b = 0.0;
  double ratio = 0.0;      // b / a
  Interval ratio_95 = {};  // two NaN: there is none
  std::string basis;       // what the interval stands on, or why there is none
  // By the interval: "better", "worse", "no difference shown"; empty: not to be judged.
  std::string verdict;
};

// Whether all values of a metric together come from one distribution: a question of its own, which
// no verdict stands on.
struct ComparedRanks {
  std::string name;  // "TTFT"
  size_t num_a = 0;  // values
  size_t num_b = 0;
  double p = 0.0;  // of rank_test_p()
};

// The figures under one load.
struct ComparedLoad {
  std::string load_a;
  std::string load_b;
  size_t runs_a = 0;
  size_t runs_b = 0;
  std::vector<ComparedFigure> figures;
  std::vector<ComparedRanks> ranks;
};

struct Comparison {
  std::string model_a;
  std::string model_b;
  std::vector<ComparedLoad> loads;
};

// Intervals of the ratio come from the values of the requests when both files hold records (by
// resampling), else from the runs of a repeat (Student's t of their logarithms), else there is
// none. Gaps between tokens depend on each other, so theirs come from repeats only. "better" and
// "worse": the interval leaves out 1. Loads are paired by what they are; a file with one load is
// compared with another of one load whatever they are. kInvalidArgument: no results file, or no
// load in common.
Result<Comparison> compare_results(const Json& a, const Json& b);

// For a terminal, with a line on what the words mean. Holds no control character of the files.
std::string comparison_text(const Comparison& comparison);

// {"schema": "pagoda-bench-comparison/2", "loads": [{"load_a", "figures": [...], "ranks": [...]}]}
Json comparison_json(const Comparison& comparison);

// compare_results() as text.
Result<std::string> compare_runs(const Json& a, const Json& b);

}  // namespace pagoda
