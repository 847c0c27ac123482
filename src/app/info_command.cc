// `pagoda info`: the machine as this program sees it, and a model without loading it.
#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "app/build_engine.h"
#include "app/commands.h"
#include "app/model_files.h"
#include "app/model_source.h"
#include "backend/cpu/cpu_backend.h"
#include "base/env.h"
#include "base/system_memory.h"
#include "base/thread_pool.h"
#include "checkpoint/checkpoint.h"
#include "model/model_config.h"
#include "model/registry.h"
#include "model/rope.h"
#include "runner/memory_use.h"

namespace pagoda {
namespace {

void row(const std::string& name, const std::string& value) {
  std::printf("%-22s %s\n", name.c_str(), value.c_str());
}

// Some values are secrets even from a terminal that others may read.
std::string shown_value(const EnvVar& variable) {
  const auto value = env_value(variable.name);
  if (!value) return "unset";
  return variable.is_secret ? "set" : *value;
}

void print_env() {
  for (const EnvVar& variable : env_table()) {
    row(std::string(variable.name), fmt::format("{}  [{}]", variable.help, shown_value(variable)));
  }
  ServeOptions options;
  for (const Flag& flag : serve_flags(options)) {
    const std::string name = env_name(flag.name);
    // A key is a secret even from a terminal that others may read.
    const bool secret = flag.name == "api-key";
    const auto value = env_value(name);
    row(name, fmt::format("--{}: {}  [{}]", flag.name, flag.help,
                          !value   ? "unset"
                          : secret ? "set"
                                   : *value));
  }
}

Result<void> print_machine(const EngineOptions& options) {
  const int32_t num_threads = options.num_threads > 0 ? options.num_threads : usable_cores();
  ASSIGN_OR_RETURN(const auto backend,
                   cpu::make_cpu_backend({.num_threads = num_threads,
                                          .isa = env_value("PAGODA_CPU_ISA").value_or("")}));
  const SystemMemory memory = read_system_memory();
  row("pagoda", fmt::format("{} ({})", program_version(), program_commit()));
  row("backend", backend->name());
  row("compute threads", std::to_string(num_threads));
  row("memory", fmt::format("{} available of {}{}", format_bytes(memory.available_bytes),
                            format_bytes(memory.total_bytes),
                            memory.limited_by_cgroup ? " (cgroup limit)" : ""));
  return {};
}

const char* rope_name(RopeType type) {
  switch (type) {
    case RopeType::kDefault: return "default";
    case RopeType::kLinear: return "linear";
    case RopeType::kLlama3: return "llama3";
    case RopeType::kYarn: return "yarn";
    case RopeType::kLongRope: return "longrope";
  }
  return "";
}

std::string describe_rope(const RopeConfig& rope, int32_t head_size) {
  std::string text = fmt::format("{}, theta {}", rope_name(rope.type), rope.theta);
  if (rope.factor != 1.0) text += fmt::format(", factor {}", rope.factor);
  if (rope.type != RopeType::kDefault && rope.type != RopeType::kLinear) {
    text += fmt::format(", original context {}", rope.original_max_position_embeddings);
  }
  if (rope.rotary_factor != 1.0) {
    text += fmt::format(", {} of {} elements", rotary_size(rope, head_size), head_size);
  }
  return text;
}

// What sets the model apart from a plain Llama.
void print_attention(const ModelConfig& config) {
  int32_t num_sliding = 0;
  int32_t num_unturned = 0;
  int32_t window = 0;
  for (const LayerConfig& layer : config.layers) {
    num_sliding += layer.sliding_window > 0 ? 1 : 0;
    num_unturned += layer.has_rope ? 0 : 1;
    window = std::max(window, layer.sliding_window);
  }
  row("rope", describe_rope(config.rope, config.head_size));
  if (num_sliding > 0) {
    row("sliding window",
        fmt::format("{} tokens in {} of {} layers", window, num_sliding, config.num_layers));
    if (config.sliding_rope) {
      row("rope of these", describe_rope(*config.sliding_rope, config.head_size));
    }
  }
  if (num_unturned > 0) row("layers without rope", std::to_string(num_unturned));
  if (config.qk_norm) row("norms of heads", "queries and keys");
  if (config.attention_soft_cap > 0) {
    row("soft cap of scores", fmt::format("{}", config.attention_soft_cap));
  }
  if (config.logit_soft_cap > 0) {
    row("soft cap of logits", fmt::format("{}", config.logit_soft_cap));
  }
}

void print_config(const ModelConfig& config, const Checkpoint& checkpoint) {
  row("architecture", config.architecture);
  row("layers", std::to_string(config.num_layers));
  row("hidden, feed-forward", fmt::format("{}, {}", config.hidden_size, config.intermediate_size));
  if (config.moe.num_experts > 0) {
    row("experts, chosen, size", fmt::format("{}, {} a token, {}", config.moe.num_experts,
                                             config.moe.num_chosen, config.moe.intermediate_size));
  }
  row("heads, kv heads, size",
      fmt::format("{}, {}, {}", config.num_heads, config.num_kv_heads, config.head_size));
  print_attention(config);
  row("vocabulary", std::to_string(config.vocab_size));
  row("context", fmt::format("{} tokens", config.max_position_embeddings));
  row("checkpoint", fmt::format("{} tensors, {}", checkpoint.tensors().size(),
                                format_bytes(checkpoint.num_bytes())));
}

Result<void> print_model(const EngineOptions& given) {
  ASSIGN_OR_RETURN(const ModelSource source, resolve_model(given.model));
  EngineOptions options = given;
  options.model = source.path;
  ASSIGN_OR_RETURN(const Checkpoint checkpoint, Checkpoint::open(options.model));
  auto parsed = parse_model_config(checkpoint.config_json());
  if (!parsed.ok()) {
    return Error{parsed.error().code, checkpoint.config_path() + ": " + parsed.error().message};
  }
  const ModelConfig config = std::move(parsed).value();
  ASSIGN_OR_RETURN(const auto backend, cpu::make_cpu_backend({.num_threads = 1, .isa = ""}));
  row("model", options.model);
  print_config(config, checkpoint);
  std::vector<WeightFormat> formats = {{DType::kBF16}, {DType::kQ8_0}};
  ASSIGN_OR_RETURN(const WeightFormat own, choose_weight_format("auto", "none", checkpoint));
  if (own.keep_quantized) formats.push_back(own);
  for (const WeightFormat& format : formats) {
    ASSIGN_OR_RETURN(const int64_t bytes,
                     planned_weight_bytes(config, format, *backend, checkpoint));
    const std::string prefix = format.keep_quantized ? "weights " : "weights as ";
    row(prefix + std::string(format_name(format)), format_bytes(bytes));
  }
  for (const DType dtype : {DType::kBF16, DType::kI8}) {
    const int64_t bytes = kv_bytes_per_block(config, dtype, options.block_size);
    row(fmt::format("KV cache, {}", format_traits(dtype).name),
        fmt::format("{} a token", format_bytes(bytes / options.block_size)));
  }
  ASSIGN_OR_RETURN(const ModelFolder files,
                   read_model_files(checkpoint, config.eos_token_ids, options.chat_template_file));
  row("tokenizer", fmt::format("{} tokens", files.tokenizer->vocab_size()));
  row("chat template", files.chat_template == nullptr ? "none" : "yes");
  return {};
}

}  // namespace

Result<void> info(const EngineOptions& options, bool with_model, bool with_env) {
  if (with_env) {
    print_env();
    return {};
  }
  RETURN_IF_ERROR(print_machine(options));
  // No model was asked for and there is none: the machine is all.
  if (!with_model && !find_demo_model().ok()) return {};
  std::printf("\n");
  return print_model(options);
}

}  // namespace pagoda
