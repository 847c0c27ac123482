// `pagoda info`: the machine as this program sees it, and a model without loading it.
#include <fmt/core.h>

#include <cstdio>
#include <string>

#include "app/build_engine.h"
#include "app/commands.h"
#include "app/model_folder.h"
#include "backend/cpu/cpu_backend.h"
#include "base/env.h"
#include "base/system_memory.h"
#include "base/thread_pool.h"
#include "checkpoint/checkpoint.h"
#include "model/model_config.h"
#include "model/registry.h"
#include "runner/memory_use.h"

namespace pagoda {
namespace {

void row(const std::string& name, const std::string& value) {
  std::printf("%-22s %s\n", name.c_str(), value.c_str());
}

void print_env() {
  for (const EnvVar& variable : env_table()) {
    row(std::string(variable.name),
        fmt::format("{}  [{}]", variable.help, env_value(variable.name).value_or("unset")));
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

void print_config(const ModelConfig& config, const Checkpoint& checkpoint) {
  row("architecture", config.architecture);
  row("layers", std::to_string(config.num_layers));
  row("hidden, feed-forward", fmt::format("{}, {}", config.hidden_size, config.intermediate_size));
  row("heads, kv heads, size",
      fmt::format("{}, {}, {}", config.num_heads, config.num_kv_heads, config.head_size));
  row("vocabulary", std::to_string(config.vocab_size));
  row("context", fmt::format("{} tokens", config.max_position_embeddings));
  row("checkpoint", fmt::format("{} tensors, {}", checkpoint.tensors().size(),
                                format_bytes(checkpoint.num_bytes())));
}

Result<void> print_model(const EngineOptions& options) {
  ASSIGN_OR_RETURN(const Checkpoint checkpoint, Checkpoint::open(options.model));
  ASSIGN_OR_RETURN(const ModelConfig config, parse_model_config(checkpoint.config_json()));
  ASSIGN_OR_RETURN(const auto backend, cpu::make_cpu_backend({.num_threads = 1, .isa = ""}));
  row("model", options.model);
  print_config(config, checkpoint);
  for (const DType dtype : {DType::kBF16, DType::kQ8_0}) {
    ASSIGN_OR_RETURN(const int64_t bytes,
                     planned_weight_bytes(config, {.matrix = dtype}, *backend));
    row(fmt::format("weights as {}", format_traits(dtype).name), format_bytes(bytes));
  }
  for (const DType dtype : {DType::kBF16, DType::kI8}) {
    const int64_t bytes = kv_bytes_per_block(config, dtype, options.block_size);
    row(fmt::format("KV cache, {}", format_traits(dtype).name),
        fmt::format("{} a token", format_bytes(bytes / options.block_size)));
  }
  ASSIGN_OR_RETURN(const ModelFolder files, read_model_folder(options.model, config.eos_token_ids,
                                                              options.chat_template_file));
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
  EngineOptions demo = options;
  if (!with_model) {
    auto folder = find_demo_model();
    if (!folder.ok()) return {};  // no model was asked for and there is none: the machine is all
    demo.model = std::move(folder).value();
  }
  std::printf("\n");
  return print_model(demo);
}

}  // namespace pagoda
