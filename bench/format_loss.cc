// What formats of weights and of the KV cache cost in accuracy: logits of the same tokens with each
// format, against an f32 cache, and against the checkpoint's weights in f32.
#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fstream>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "app/model_folder.h"
#include "backend/cpu/cpu_backend.h"
#include "base/check.h"
#include "base/env.h"
#include "base/system_memory.h"
#include "base/thread_pool.h"
#include "checkpoint/checkpoint.h"
#include "model/registry.h"
#include "runner/memory_use.h"
#include "runner/sampler.h"
#include "runner/softmax.h"

namespace pagoda {
namespace {

constexpr int32_t kBlockSize = 16;
constexpr int32_t kChunk = 32;  // tokens a step; no result depends on it

// A model and one sequence's cache.
class Reader {
 public:
  Reader(Backend& backend, const Model& model, DType kv_dtype, int32_t num_tokens)
      : backend_(backend), model_(model) {
    const int32_t num_blocks = (num_tokens + kBlockSize - 1) / kBlockSize;
    cache_ = KvCache::create({.num_layers = model.config().num_layers,
                              .num_blocks = num_blocks,
                              .block_size = kBlockSize,
                              .num_kv_heads = model.config().num_kv_heads,
                              .head_size = model.config().head_size,
                              .dtype = kv_dtype})
                 .value();
    blocks_.resize(static_cast<size_t>(num_blocks));
    std::iota(blocks_.begin(), blocks_.end(), 0);
  }

  int64_t cache_bytes_per_block() const { return cache_.geometry().bytes_per_block(); }

  // Logits after each of the next tokens, [tokens, V]; valid until the next call.
  std::span<const float> read(std::span<const int32_t> tokens) {
    const auto count = static_cast<int32_t>(tokens.size());
    std::vector<int32_t> positions(tokens.size());
    std::iota(positions.begin(), positions.end(), num_read_);
    std::vector<int32_t> rows(tokens.size());
    std::iota(rows.begin(), rows.end(), 0);
    const AttentionSequence sequence{.first_row = 0,
                                     .num_rows = count,
                                     .num_computed_tokens = num_read_,
                                     .block_table = blocks_};
    num_read_ += count;
    backend_.ops().begin_step();
    return backend_.ops().read(model_.forward(backend_.ops(),
                                              {.token_ids = tokens,
                                               .positions = positions,
                                               .attention = {{&sequence, 1}},
                                               .logit_rows = rows},
                                              cache_));
  }

 private:
  Backend& backend_;
  const Model& model_;
  KvCache cache_;
  std::vector<int32_t> blocks_;
  int32_t num_read_ = 0;
};

// The prompt and what the model itself, with an f32 cache, draws after it at temperature 1.
std::vector<int32_t> write_text(Reader& reader, std::vector<int32_t> tokens, size_t num_tokens,
                                int32_t vocab_size, uint64_t seed) {
  SamplingParams params;
  params.seed = seed;
  Sampler sampler(vocab_size);
  const auto vocab = static_cast<size_t>(vocab_size);
  size_t read = 0;
  while (tokens.size() < num_tokens) {
    const size_t count = std::min<size_t>(tokens.size() - read, kChunk);
    const std::span<const float> logits = reader.read({tokens.data() + read, count});
    read += count;
    if (read < tokens.size()) continue;
    const auto token = sampler.sample({.logits = logits.last(vocab),
                                       .token_ids = tokens,
                                       .num_prompt_tokens = 1,
                                       .params = &params});
    tokens.push_back(token.value().token);
  }
  return tokens;
}

std::vector<double> log_softmax(std::span<const float> logits) {
  const double max = static_cast<double>(logits[index_of_max(logits)]);
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - max);
  const double shift = max + std::log(sum);
  std::vector<double> result(logits.size());
  for (size_t i = 0; i < result.size(); ++i) result[i] = static_cast<double>(logits[i]) - shift;
  return result;
}

// Sums over positions of what a format changes.
struct Loss {
  int64_t num_positions = 0;
  int64_t num_same_best = 0;
  double nll_reference = 0;  // of the next token
  double nll = 0;
  double abs_difference = 0;  // of the next token's logprob
  double max_difference = 0;
  double divergence = 0;  // Kullback-Leibler, of the reference from the format

  void add(std::span<const float> want, std::span<const float> got, int32_t next) {
    const std::vector<double> p = log_softmax(want);
    const std::vector<double> q = log_softmax(got);
    const auto token = static_cast<size_t>(next);
    const double difference = std::fabs(p[token] - q[token]);
    ++num_positions;
    num_same_best += index_of_max(want) == index_of_max(got) ? 1 : 0;
    nll_reference -= p[token];
    nll -= q[token];
    abs_difference += difference;
    max_difference = std::max(max_difference, difference);
    for (size_t i = 0; i < p.size(); ++i) divergence += std::exp(p[i]) * (p[i] - q[i]);
  }
};

void compare(Reader& reference, Reader& reader, const std::vector<int32_t>& tokens,
             size_t vocab_size, Loss& loss) {
  for (size_t begin = 0; begin + 1 < tokens.size(); begin += kChunk) {
    const size_t count = std::min<size_t>(tokens.size() - 1 - begin, kChunk);
    const std::span<const int32_t> chunk(tokens.data() + begin, count);
    const std::span<const float> view = reference.read(chunk);
    const std::vector<float> want(view.begin(), view.end());
    const std::span<const float> got = reader.read(chunk);
    for (size_t i = 0; i < count; ++i) {
      loss.add(std::span(want).subspan(i * vocab_size, vocab_size),
               got.subspan(i * vocab_size, vocab_size), tokens[begin + i + 1]);
    }
  }
}

struct Options {
  std::string folder;
  int32_t num_texts = 4;
  int32_t num_tokens = 512;
  std::string prompt;
  std::string dump;  // a file for the texts' token ids; "": none
};

// One text a line, ids separated by commas, so that another engine can be given the same tokens.
Result<void> dump_ids(const std::string& path, const std::vector<std::vector<int32_t>>& texts) {
  std::ofstream file(path);
  for (const std::vector<int32_t>& text : texts) file << fmt::format("{}\n", fmt::join(text, ","));
  file.close();
  if (file.fail()) return invalid_argument(path + ": cannot be written");
  return {};
}

void print_row(std::string_view name, const std::string& size, const Loss& loss) {
  const auto count = static_cast<double>(loss.num_positions);
  fmt::print("| {} | {} | {:.2e} | {:.2e} | {:.2f} % | {:.4f} | {:+.4f} % | {:.1e} |\n", name, size,
             loss.abs_difference / count, loss.max_difference,
             100.0 * static_cast<double>(loss.num_same_best) / count, std::exp(loss.nll / count),
             100.0 * std::expm1((loss.nll - loss.nll_reference) / count), loss.divergence / count);
}

void print_heading(const char* what, const char* size) {
  fmt::print(
      "| {} | {} | mean abs. logprob difference | largest | same best token | perplexity "
      "| against the reference | KL divergence |\n|---|---|---|---|---|---|---|---|\n",
      what, size);
}

void compare_caches(const Options& options, Backend& backend, const Model& model,
                    const std::vector<std::vector<int32_t>>& texts) {
  print_heading("KV cache", "bytes a token");
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kI8}) {
    Loss loss;
    int64_t bytes_per_block = 0;
    for (const std::vector<int32_t>& text : texts) {
      Reader reference(backend, model, DType::kF32, options.num_tokens);
      Reader reader(backend, model, dtype, options.num_tokens);
      compare(reference, reader, text, static_cast<size_t>(model.config().vocab_size), loss);
      bytes_per_block = reader.cache_bytes_per_block();
    }
    print_row(format_traits(dtype).name, std::to_string(bytes_per_block / kBlockSize), loss);
  }
}

Result<void> compare_weights(const Options& options, const Checkpoint& checkpoint,
                             const ModelConfig& config, Backend& backend,
                             const std::vector<std::vector<int32_t>>& texts) {
  ASSIGN_OR_RETURN(const auto model,
                   load_model(checkpoint, config, {.matrix = DType::kF32}, backend));
  print_heading("weights", "MB");
  std::vector<DType> formats = {DType::kF32, DType::kBF16};
  for (const DType dtype : quantizations()) formats.push_back(dtype);
  for (const DType dtype : formats) {
    ASSIGN_OR_RETURN(const auto other, load_model(checkpoint, config, {.matrix = dtype}, backend));
    Loss loss;
    for (const std::vector<int32_t>& text : texts) {
      Reader reference(backend, *model, DType::kF32, options.num_tokens);
      Reader reader(backend, *other, DType::kF32, options.num_tokens);
      compare(reference, reader, text, static_cast<size_t>(config.vocab_size), loss);
    }
    print_row(format_traits(dtype).name,
              fmt::format("{:.2f}", static_cast<double>(other->weight_bytes()) * 1e-6), loss);
  }
  return {};
}

Result<void> run(const Options& options) {
  ASSIGN_OR_RETURN(const Checkpoint checkpoint, Checkpoint::open(options.folder));
  ASSIGN_OR_RETURN(const ModelConfig config, parse_model_config(checkpoint.config_json()));
  ASSIGN_OR_RETURN(const ModelFolder files,
                   read_model_folder(options.folder, config.eos_token_ids, ""));
  ASSIGN_OR_RETURN(const auto backend,
                   cpu::make_cpu_backend({.num_threads = usable_cores(),
                                          .isa = env_value("PAGODA_CPU_ISA").value_or("")}));
  ASSIGN_OR_RETURN(const auto format, choose_weight_format("auto", "none", checkpoint));
  ASSIGN_OR_RETURN(const auto model, load_model(checkpoint, config, format, *backend));
  ASSIGN_OR_RETURN(const int64_t arena, step_arena_bytes(config, {.max_num_batched_tokens = kChunk,
                                                                  .max_num_seqs = kChunk}));
  RETURN_IF_ERROR(backend->reserve_arena(static_cast<size_t>(arena)));
  ASSIGN_OR_RETURN(const std::vector<int32_t> prompt, files.tokenizer->encode(options.prompt, {}));
  if (prompt.empty()) return invalid_argument("the prompt has no tokens; give one");

  std::vector<std::vector<int32_t>> texts;
  for (int32_t i = 0; i < options.num_texts; ++i) {
    Reader reader(*backend, *model, DType::kF32, options.num_tokens);
    texts.push_back(write_text(reader, prompt, static_cast<size_t>(options.num_tokens),
                               config.vocab_size, static_cast<uint64_t>(i)));
  }
  if (!options.dump.empty()) RETURN_IF_ERROR(dump_ids(options.dump, texts));
  fmt::print("{}, weights {}, {} texts of {} tokens\n", backend->name(), format_name(format),
             options.num_texts, options.num_tokens);
  compare_caches(options, *backend, *model, texts);
  return compare_weights(options, checkpoint, config, *backend, texts);
}

}  // namespace
}  // namespace pagoda

// Usage: format_loss MODEL [texts [tokens [prompt [dump]]]]. DUMP is a file for the token ids of
// the texts.
int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: format_loss MODEL [texts [tokens [prompt [dump]]]]\n");
    return 2;
  }
  pagoda::Options options;
  options.folder = argv[1];
  if (argc > 2) std::from_chars(argv[2], argv[2] + std::strlen(argv[2]), options.num_texts);
  if (argc > 3) std::from_chars(argv[3], argv[3] + std::strlen(argv[3]), options.num_tokens);
  if (argc > 4) options.prompt = argv[4];
  if (argc > 5) options.dump = argv[5];
  const auto done = pagoda::run(options);
  if (done.ok()) return 0;
  fmt::print(stderr, "format_loss: {}\n", done.error().message);
  return 1;
}
