// Workload: what the requests of a benchmark say.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "text/tokenizer.h"

namespace pagoda {

// One message of a user and how long the answer may be.
struct Turn {
  std::string prompt;
  int64_t input_tokens = -1;  // of `prompt`, without template and BOS; -1: not counted
  int64_t output_tokens = 0;  // max_tokens
};

// Its turns are sent one after the other, each with all that was said before it.
struct Conversation {
  Json before = Json::array();  // messages ahead of the first turn
  std::vector<Turn> turns;      // at least one
  double due_s = -1.0;          // when a trace has it sent; -1: it has no time
};

struct WorkloadOptions {
  // random: words of the vocabulary; lines: lines of a text in random order; prefix: as random,
  // with beginnings that groups share; sharegpt, jsonl: files of those forms.
  std::string kind = "lines";
  std::string file = {};  // lines (empty: the built-in verses), sharegpt, jsonl
  uint64_t seed = 0;
  int64_t input_tokens = 128;  // of a turn: mean, and deviation of the normal distribution
  double input_stddev = 0.0;
  int64_t output_tokens = 64;
  double output_stddev = 0.0;
  int64_t num_prefixes = 8;     // prefix
  int64_t prefix_tokens = 256;  // prefix: what the requests of a group begin with
  int64_t num_turns = 1;
};

// Makes `count` conversations, the same for the same options. `tokenizer` may be null: `random` and
// `prefix` then are kInvalidArgument, and lines are counted by words. So are an unknown kind and
// what a file holds (with its name and place).
Result<std::vector<Conversation>> make_workload(const WorkloadOptions& options, size_t count,
                                                const Tokenizer* tokenizer);

}  // namespace pagoda
