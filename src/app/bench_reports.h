// `pagoda bench report` and `pagoda bench compare`: what is done with results files.
#pragma once

#include <string>

#include "base/result.h"

namespace pagoda {

struct BenchReportOptions {
  std::string results;  // a file of `pagoda bench serve`
  std::string output;   // empty: beside it, with .html for .json
};
// Writes the report as one HTML file and prints where. An existing file is replaced, once the new
// one is whole.
Result<void> bench_report(const BenchReportOptions& options);

struct BenchCompareOptions {
  std::string a;  // results files
  std::string b;
  bool json = false;  // print JSON instead of a table
};
// Prints what differs from A to B, and whether the data can tell.
Result<void> bench_compare(const BenchCompareOptions& options);

}  // namespace pagoda
