// `pagoda logits`: what a model computes for given token ids, to be compared with other programs.
#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "app/commands.h"
#include "app/model_source.h"
#include "app/quantization_cache.h"
#include "backend/cpu/cpu_backend.h"
#include "backend/kv_cache.h"
#include "base/env.h"
#include "base/thread_pool.h"
#include "checkpoint/checkpoint.h"
#include "model/registry.h"
#include "runner/memory_use.h"

namespace pagoda {
namespace {

// Tokens a step. Results do not depend on it.
constexpr int32_t kStepTokens = 64;

// "1, 2,3" as token ids of a vocabulary.
Result<std::vector<int32_t>> parse_ids(std::string_view text, const ModelConfig& config) {
  std::vector<int32_t> ids;
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    std::string_view item = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    int32_t id = -1;
    const auto [end, error] = std::from_chars(item.data(), item.data() + item.size(), id);
    if (error != std::errc() || end != item.data() + item.size() || id < 0 ||
        id >= config.vocab_size) {
      return invalid_argument(fmt::format("--ids: '{}' is not a token id below {}",
                                          item.substr(0, 40), config.vocab_size));
    }
    ids.push_back(id);
  }
  if (ids.empty() || ids.size() > static_cast<size_t>(config.max_position_embeddings)) {
    return invalid_argument(fmt::format("--ids: {} token ids, wanted 1 to {}", ids.size(),
                                        config.max_position_embeddings));
  }
  return ids;
}

// One line of JSON: the `count` largest logits, the largest first and equal ones by id.
Result<void> print_top(int32_t position, std::span<const float> logits, int32_t count) {
  if (!std::ranges::all_of(logits, [](float value) { return std::isfinite(value); })) {
    return Error{
        ErrorCode::kInternal,
        fmt::format("the model computed logits that are not finite at position {}", position)};
  }
  std::vector<int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto shown = std::min(order.size(), static_cast<size_t>(count));
  const auto logit = [&](int32_t id) { return logits[static_cast<size_t>(id)]; };
  std::partial_sort(
      order.begin(), order.begin() + static_cast<ptrdiff_t>(shown), order.end(),
      [&](int32_t a, int32_t b) { return logit(a) != logit(b) ? logit(a) > logit(b) : a < b; });
  std::string ids;
  std::string values;
  for (size_t i = 0; i < shown; ++i) {
    const char* comma = i > 0 ? ", " : "";
    ids += fmt::format("{}{}", comma, order[i]);
    values += fmt::format("{}{}", comma, logit(order[i]));
  }
  std::printf("{\"position\": %d, \"ids\": [%s], \"logits\": [%s]}\n", position, ids.c_str(),
              values.c_str());
  return {};
}

Result<KvCache> make_cache(const ModelConfig& config, DType dtype, int32_t block_size,
                           size_t num_tokens) {
  const auto blocks = (static_cast<int64_t>(num_tokens) + block_size - 1) / block_size;
  return KvCache::create({.num_layers = config.num_layers,
                          .num_blocks = static_cast<int32_t>(blocks),
                          .block_size = block_size,
                          .num_kv_heads = config.num_kv_heads,
                          .head_size = config.head_size,
                          .dtype = dtype});
}

Result<void> run_steps(const Model& model, Ops& ops, KvCache& cache,
                       const std::vector<int32_t>& ids, const LogitsOptions& options) {
  const auto length = static_cast<int32_t>(ids.size());
  const auto vocab_size = static_cast<size_t>(model.config().vocab_size);
  std::vector<int32_t> blocks(static_cast<size_t>(cache.geometry().num_blocks));
  std::iota(blocks.begin(), blocks.end(), 0);
  for (int32_t begin = 0; begin < length; begin += kStepTokens) {
    const int32_t count = std::min(kStepTokens, length - begin);
    std::vector<int32_t> positions(static_cast<size_t>(count));
    std::iota(positions.begin(), positions.end(), begin);
    const std::vector<AttentionSequence> attention = {
        {.first_row = 0, .num_rows = count, .num_computed_tokens = begin, .block_table = blocks}};
    std::vector<int32_t> rows;
    for (int32_t row = 0; row < count; ++row) {
      if (options.all || begin + row + 1 == length) rows.push_back(row);
    }
    ops.begin_step();
    const Tensor logits =
        model.forward(ops,
                      {.token_ids = std::span(ids).subspan(static_cast<size_t>(begin),
                                                           static_cast<size_t>(count)),
                       .positions = positions,
                       .attention = {attention},
                       .logit_rows = rows},
                      cache);
    if (rows.empty()) continue;
    const std::span<const float> values = ops.read(logits);
    for (size_t i = 0; i < rows.size(); ++i) {
      RETURN_IF_ERROR(
          print_top(begin + rows[i], values.subspan(i * vocab_size, vocab_size), options.top));
    }
  }
  return {};
}

}  // namespace

Result<void> print_logits(const LogitsOptions& options) {
  const EngineOptions& engine = options.engine;
  if (engine.model.empty()) return invalid_argument("logits needs a MODEL");
  ASSIGN_OR_RETURN(const ModelSource source, resolve_model(engine.model));
  ASSIGN_OR_RETURN(const Checkpoint checkpoint, Checkpoint::open(source.path));
  ASSIGN_OR_RETURN(ModelConfig config, parse_model_config(checkpoint.config_json()));
  if (engine.max_model_len) config.rope.longest_sequence = *engine.max_model_len;
  ASSIGN_OR_RETURN(const std::vector<int32_t> ids, parse_ids(options.ids, config));
  const int32_t num_threads = engine.num_threads > 0 ? engine.num_threads : usable_cores();
  ASSIGN_OR_RETURN(const auto backend,
                   cpu::make_cpu_backend({.num_threads = num_threads,
                                          .isa = env_value("PAGODA_CPU_ISA").value_or("")}));
  const std::string dtype = engine.dtype ? std::string(format_traits(*engine.dtype).name) : "auto";
  ASSIGN_OR_RETURN(const WeightFormat format,
                   choose_weight_format(dtype, quantization_name(engine), checkpoint));
  LoadCallbacks callbacks;
  callbacks.note = [](const std::string& note) {
    std::fprintf(stderr, "note: %s\n", note.c_str());
  };
  const auto converted = open_quantized_cache(engine, checkpoint, format, callbacks.note);
  callbacks.quantized = converted.get();
  ASSIGN_OR_RETURN(const auto model, load_model(checkpoint, config, format, *backend, callbacks));
  if (converted != nullptr) {
    converted->publish();
    if (!converted->note().empty()) callbacks.note(converted->note());
  }
  ASSIGN_OR_RETURN(KvCache cache,
                   make_cache(config, engine.kv_cache_dtype.value_or(usual_kv_dtype(format)),
                              engine.block_size, ids.size()));
  ASSIGN_OR_RETURN(const int64_t arena_bytes,
                   step_arena_bytes(config, {.max_num_batched_tokens = kStepTokens,
                                             .max_num_seqs = options.all ? kStepTokens : 1}));
  RETURN_IF_ERROR(backend->reserve_arena(static_cast<size_t>(arena_bytes)));
  return run_steps(*model, backend->ops(), cache, ids, options);
}

}  // namespace pagoda
