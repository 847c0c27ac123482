// `pagoda bench offline`: prefill and decode of the engine alone.
#include <fmt/core.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <utility>

#include "app/bench_offline.h"
#include "app/build_engine.h"
#include "app/commands.h"
#include "base/clock.h"
#include "bench/statistics.h"

namespace pagoda {
namespace {

constexpr int32_t kMostBatch = 65536;

// Counts what a batch brings. Shared by the requests' sinks: told on the engine thread, waited for
// on the main one.
class Tally {
 public:
  Tally(int32_t batch, int64_t num_decode_tokens)
      : num_unstarted_(batch), num_unfinished_(batch), num_decode_tokens_(num_decode_tokens) {}

  void add(const RequestOutput& output, bool& started) {
    const std::lock_guard lock(mutex_);
    const TimePoint now = real_clock().now();
    int64_t num_tokens = 0;
    for (const ChoiceOutput& choice : output.choices) {
      num_tokens += static_cast<int64_t>(choice.tokens.size());
    }
    // The tokens of a step come in the order in which their sequences began, so that the last one
    // to start ends its step, and what is counted from there on are whole steps.
    if (num_unstarted_ == 0 && num_counted_ < num_decode_tokens_) {
      num_counted_ += num_tokens;
      if (num_counted_ >= num_decode_tokens_) decoded_ = now;
    }
    if (num_tokens > 0 && !std::exchange(started, true) && --num_unstarted_ == 0) started_ = now;
    if (output.finished) {
      --num_unfinished_;
      if (output.error) error_ = output.error;
      changed_.notify_all();
    }
    if (decoded_) changed_.notify_all();
  }

  // Until the decode tokens have come, or all requests have ended.
  void wait_decoded() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return decoded_.has_value() || num_unfinished_ == 0; });
  }
  void wait_finished() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return num_unfinished_ == 0; });
  }

  // After the waiting.
  std::optional<TimePoint> started() const { return started_; }  // all have their first token
  std::optional<TimePoint> decoded() const { return decoded_; }
  int64_t num_counted() const { return num_counted_; }
  const std::optional<Error>& error() const { return error_; }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int32_t num_unstarted_;
  int32_t num_unfinished_;
  int64_t num_decode_tokens_;
  int64_t num_counted_ = 0;
  std::optional<TimePoint> started_;
  std::optional<TimePoint> decoded_;
  std::optional<Error> error_;
};

class TallySink final : public OutputSink {
 public:
  explicit TallySink(std::shared_ptr<Tally> tally) : tally_(std::move(tally)) {}
  void post(RequestOutput output) override { tally_->add(output, started_); }

 private:
  std::shared_ptr<Tally> tally_;
  bool started_ = false;
};

struct BatchResult {
  int32_t batch = 0;
  std::vector<double> prefill;  // tokens/s, one a run
  std::vector<double> decode;
};

class OfflineBench {
 public:
  OfflineBench(const BenchOfflineOptions& options, BuiltEngine& built, StepLimits limits)
      : options_(options), built_(built), limits_(limits) {}

  Result<BatchResult> measure(int32_t batch) {
    BatchResult result{.batch = batch, .prefill = {}, .decode = {}};
    for (int32_t run = -options_.warmup; run < options_.repeat; ++run) {
      ASSIGN_OR_RETURN(const double prefill, measure_prefill(batch));
      double decode = 0.0;
      if (options_.output_tokens > 0) {
        ASSIGN_OR_RETURN(decode, measure_decode(batch));
      }
      if (run < 0) continue;
      result.prefill.push_back(prefill);
      result.decode.push_back(decode);
    }
    return result;
  }

  // What a batch needs of the engine's cache and steps.
  Result<void> check(int32_t batch) const {
    if (batch > limits_.max_num_seqs) {
      return invalid_argument(fmt::format("batch: {} sequences are over max-num-seqs, {}", batch,
                                          limits_.max_num_seqs));
    }
    const EngineStats stats = built_.engine->stats();
    const int64_t block_size = options_.engine.block_size;
    const int64_t tokens = longest(batch);
    if (tokens > built_.served.max_model_len) {
      return invalid_argument(fmt::format(
          "prompt-tokens, output-tokens: with a batch of {} a sequence may get {} tokens, and the "
          "context is {}",
          batch, tokens, built_.served.max_model_len));
    }
    const int64_t blocks = batch * ((tokens + block_size - 1) / block_size);
    if (blocks <= stats.num_total_blocks) return {};
    return invalid_argument(
        fmt::format("batch: {} sequences of {} tokens need {} cache blocks, and there are {}",
                    batch, tokens, blocks, stats.num_total_blocks));
  }

 private:
  // A sequence decodes while the prompts of others are computed, and is to go on until all have
  // had their share.
  int64_t max_tokens(int32_t batch) const {
    const int64_t prompts = int64_t{batch} * options_.prompt_tokens;
    const int64_t room = std::max(1, limits_.max_num_batched_tokens - batch + 1);
    // With jitter the simulated ones do not even start together, and of some more is guessed.
    const bool uneven = options_.engine.simulation || options_.engine.replay;
    const int64_t spread = uneven ? options_.output_tokens : 0;
    const int64_t tokens_a_step = 1 + limits_.max_num_draft_tokens;
    return options_.output_tokens + spread + ((prompts + room - 1) / room + 2) * tokens_a_step;
  }
  int64_t longest(int32_t batch) const { return options_.prompt_tokens + max_tokens(batch); }

  Request make_request(int64_t num_output_tokens) {
    Request request;
    const int32_t vocab_size = options_.engine.replay == Replay::kWords
                                   ? kNumReplayWords
                                   : built_.engine->config().vocab_size;
    for (int32_t i = 0; i < options_.prompt_tokens; ++i) {
      request.prompt_token_ids.push_back(
          static_cast<TokenId>(random_() % static_cast<uint32_t>(vocab_size)));
    }
    request.sampling.max_tokens = static_cast<int32_t>(num_output_tokens);
    request.sampling.temperature = 0.0F;
    request.sampling.ignore_eos = true;
    return request;
  }

  struct Batch {
    TimePoint begin;
    std::vector<RequestId> ids;
    std::shared_ptr<Tally> tally;
  };
  Result<Batch> submit(int32_t batch, int64_t num_output_tokens, int64_t num_decode_tokens) {
    std::vector<Request> requests;
    for (int32_t i = 0; i < batch; ++i) requests.push_back(make_request(num_output_tokens));
    Batch sent{.begin = real_clock().now(),
               .ids = {},
               .tally = std::make_shared<Tally>(batch, num_decode_tokens)};
    for (Request& request : requests) {
      ASSIGN_OR_RETURN(
          const RequestId id,
          built_.engine->submit(std::move(request), std::make_shared<TallySink>(sent.tally)));
      sent.ids.push_back(id);
    }
    return sent;
  }

  Result<double> measure_prefill(int32_t batch) {
    ASSIGN_OR_RETURN(const Batch sent, submit(batch, 1, 0));
    sent.tally->wait_finished();
    if (sent.tally->error()) return *sent.tally->error();
    const double seconds = seconds_between(sent.begin, *sent.tally->started());
    return static_cast<double>(int64_t{batch} * options_.prompt_tokens) / seconds;
  }

  Result<double> measure_decode(int32_t batch) {
    const int64_t wanted = int64_t{batch} * options_.output_tokens;
    ASSIGN_OR_RETURN(const Batch sent, submit(batch, max_tokens(batch), wanted));
    sent.tally->wait_decoded();
    for (const RequestId id : sent.ids) built_.engine->abort(id);
    sent.tally->wait_finished();
    if (sent.tally->error()) return *sent.tally->error();
    if (!sent.tally->decoded()) {
      return Error{ErrorCode::kInternal,
                   fmt::format("batch: {} sequences did not run side by side for {} tokens", batch,
                               options_.output_tokens)};
    }
    return static_cast<double>(sent.tally->num_counted()) /
           seconds_between(*sent.tally->started(), *sent.tally->decoded());
  }

  const BenchOfflineOptions& options_;
  BuiltEngine& built_;
  const StepLimits limits_;
  std::mt19937 random_{1};
};

// One run has no deviation.
std::string with_deviation(const std::vector<double>& values) {
  if (values.size() < 2) return fmt::format("{:.1f}", mean_of(values));
  return fmt::format("{:.1f} ± {:.1f}", mean_of(values), sample_stddev(values));
}

// fmt counts the sign of the deviation as two columns.
std::string right_aligned(const std::string& text, size_t width) {
  const size_t columns = text.size() - (text.find("±") == std::string::npos ? 0 : 1);
  return std::string(width - std::min(width, columns), ' ') + text;
}

void print_table(const BenchOfflineOptions& options, const std::vector<BatchResult>& results) {
  std::printf("%6s  %22s  %22s\n", "batch",
              fmt::format("pp{} tok/s", options.prompt_tokens).c_str(),
              fmt::format("tg{} tok/s", options.output_tokens).c_str());
  for (const BatchResult& result : results) {
    const std::string decode =
        options.output_tokens > 0 ? with_deviation(result.decode) : std::string("-");
    std::printf("%6d  %s  %s\n", result.batch,
                right_aligned(with_deviation(result.prefill), 22).c_str(),
                right_aligned(decode, 22).c_str());
  }
}

nlohmann::ordered_json to_json(const std::vector<double>& values) {
  nlohmann::ordered_json json = {{"mean", mean_of(values)}, {"stddev", nullptr}};
  if (values.size() > 1) json["stddev"] = sample_stddev(values);
  json["runs"] = values;
  return json;
}

void print_json(const BenchOfflineOptions& options, const BuiltEngine& built,
                const std::vector<BatchResult>& results) {
  nlohmann::ordered_json json = {
      {"model", built.served.names.front()},
      {"version", program_version()},
      {"build", program_commit()},
      {"backend", built.backend != nullptr ? std::string(built.backend->name()) : "simulated"},
      {"quantization", quantization_name(options.engine)},
      {"prompt_tokens", options.prompt_tokens},
      {"output_tokens", options.output_tokens},
      {"num_speculative_tokens", step_limits_of(options.engine).max_num_draft_tokens},
      {"unit", "tokens/s"},
      {"results", nlohmann::ordered_json::array()}};
  for (const BatchResult& result : results) {
    nlohmann::ordered_json entry = {{"batch", result.batch}, {"prefill", to_json(result.prefill)}};
    if (options.output_tokens > 0) entry["decode"] = to_json(result.decode);
    json["results"].push_back(std::move(entry));
  }
  std::printf("%s\n", json.dump(2).c_str());
}

Result<void> check(const BenchOfflineOptions& options) {
  if (options.batches.empty()) return invalid_argument("batch: no size is given");
  for (const int32_t batch : options.batches) {
    if (batch >= 1 && batch <= kMostBatch) continue;
    return invalid_argument(
        fmt::format("batch: {} is not from 1 to {} sequences", batch, kMostBatch));
  }
  return {};
}

}  // namespace

Result<void> bench_offline(const BenchOfflineOptions& given) {
  RETURN_IF_ERROR(check(given));
  BenchOfflineOptions options = given;
  const int32_t largest = *std::max_element(options.batches.begin(), options.batches.end());
  EngineOptions& engine = options.engine;
  engine.enable_prefix_caching = false;
  engine.prefix_cache_dir.clear();
  if (!engine.replay) engine.num_speculative_tokens = 0;
  if (engine.replay && engine.simulation) {
    return invalid_argument("replay: a simulated model says words of its own");
  }
  engine.max_num_queued_requests = std::max(engine.max_num_queued_requests, 2 * largest);
  engine.max_num_queued_tokens =
      std::max(engine.max_num_queued_tokens, 2 * int64_t{largest} * options.prompt_tokens);
  if (!engine.max_num_seqs) {
    engine.max_num_seqs = std::max(step_limits_of(engine).max_num_seqs, largest);
  }
  ASSIGN_OR_RETURN(const auto built, build_engine(engine, nullptr, [](const std::string& line) {
                     std::fprintf(stderr, "%s\n", line.c_str());
                   }));
  OfflineBench bench(options, *built, step_limits_of(engine));
  for (const int32_t batch : options.batches) RETURN_IF_ERROR(bench.check(batch));
  std::vector<BatchResult> results;
  for (const int32_t batch : options.batches) {
    ASSIGN_OR_RETURN(BatchResult result, bench.measure(batch));
    results.push_back(std::move(result));
  }
  if (options.as_json) {
    print_json(options, *built, results);
  } else {
    print_table(options, results);
  }
  return {};
}

}  // namespace pagoda
