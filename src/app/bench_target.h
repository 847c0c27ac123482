// What every command that sends load needs first: an address, a model, a way to stop.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "app/bench.h"
#include "base/json.h"
#include "base/result.h"
#include "bench/http_get.h"
#include "bench/load_run.h"
#include "text/tokenizer.h"

namespace pagoda {

// Checks a target and asks its first server for its models. kInvalidArgument for an address, a
// header or a body that cannot be sent; kUnavailable and kUnauthenticated when the server is not
// there, does not say what model it has, or wants another key. Fills what a LoadPlan has of a
// server.
Result<LoadPlan> plan_for(const BenchTarget& target);
HttpOptions http_options(const LoadPlan& plan);

// "http://host:8000/v1" -> "http://host:8000/metrics".
std::string metrics_url(const std::string& base_url);

// "k=v,k=v". kInvalidArgument for what has no "=".
Result<std::vector<std::pair<std::string, std::string>>> parse_metadata(const std::string& text);

// The tokenizer of a MODEL; null for "".
Result<std::shared_ptr<const Tokenizer>> open_tokenizer(const std::string& model);

// While it lives, SIGINT and SIGTERM set a flag instead of ending the process (a second one ends
// it), and the process may open as many files as it is allowed to. One at a time.
class LoadSession {
 public:
  LoadSession();
  ~LoadSession();
  LoadSession(const LoadSession&) = delete;
  LoadSession& operator=(const LoadSession&) = delete;

  const std::atomic<bool>& stop() const;
  // Hooks that show progress on standard error where that is a terminal. `plan` must outlive them.
  LoadHooks hooks(const LoadPlan& plan) const;
  // Takes the line of progress away.
  void end_progress() const;
};

// Output tokens of each good record: by usage, else (and where that says 0, as a good record holds
// text) by the tokenizer, else by pieces of text.
void count_output_tokens(LoadResult& result, const Tokenizer* tokenizer);

// That a file can be written, before hours are spent on what it is to hold; makes its folder.
// kInvalidArgument names it and says why not.
Result<void> check_writable(const std::string& path);

// The same of a folder for files.
Result<void> check_folder(const std::string& path);

// Writes a file as a whole. kInternal names it and says why it cannot be written.
Result<void> write_text_file(const std::string& path, const std::string& text);

}  // namespace pagoda
