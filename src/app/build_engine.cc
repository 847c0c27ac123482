// Puts the layers together: checkpoint, tokenizer, backend, model, runner, engine.
#include "app/build_engine.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <system_error>
#include <utility>

#include "app/cache_plan.h"
#include "app/commands.h"
#include "app/model_files.h"
#include "app/model_source.h"
#include "app/quantization_cache.h"
#include "app/simulated_model.h"
#include "backend/cpu/cpu_backend.h"
#include "base/env.h"
#include "base/system_memory.h"
#include "base/thread_pool.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/quantized_cache.h"
#include "model/model_config.h"
#include "model/registry.h"
#include "runner/eager_runner.h"
#include "runner/memory_use.h"

namespace pagoda {
namespace {

// Says what was done since the last line, and how long it took.
class PhaseClock {
 public:
  explicit PhaseClock(const ProgressLine& progress) : progress_(progress) {}

  void done(const std::string& what) {
    const auto now = std::chrono::steady_clock::now();
    const double ms = std::chrono::duration<double, std::milli>(now - last_).count();
    last_ = now;
    progress_(fmt::format("  {:>8.1f} ms  {}", ms, what));
  }

 private:
  const ProgressLine& progress_;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

// Small allocations of everything else, and what the allocator loses between them: replies, logs,
// metrics, thread stacks. Measured under load (docs/kv-cache.md), several times over.
constexpr int64_t kOtherBytes = int64_t{64} << 20;

// Host memory of what may wait and run at once, besides the tables that grow with the cache.
int64_t planned_request_bytes(const EngineOptions& options) {
  // The prompt's ids, and as much again while it is tokenized.
  constexpr int64_t kBytesPerQueuedToken = 2 * sizeof(TokenId);
  const int64_t queue = std::min(options.max_num_queued_tokens, int64_t{1} << 40);
  const int64_t disk = options.prefix_cache_dir.empty()
                           ? 0
                           : static_cast<int64_t>(DiskBlockStoreConfig{}.max_queued_bytes);
  return kOtherBytes + options.http_bytes + queue * kBytesPerQueuedToken + disk;
}

// Of one block: its place in the pool, its hash, tokens and place in the prefix cache's index; and
// of the sequence that holds it the hash, the block's number and the tokens, in two copies.
int64_t table_bytes_per_block(int32_t block_size) {
  return 256 + int64_t{3 * sizeof(TokenId)} * block_size;
}

// `makes_blocks`: its blocks are in memory too, in q8_0 at most.
int64_t largest_tensor_bytes(const Checkpoint& checkpoint, bool makes_blocks) {
  int64_t largest = 0;
  for (const CheckpointTensor& tensor : checkpoint.tensors()) {
    const int64_t blocks = makes_blocks ? tensor.shape.num_elements() / 32 * 34 : 0;
    largest = std::max(largest, tensor.num_bytes + tensor.raw_bytes + blocks);
  }
  return largest;
}

// What is decided before any weight is read.
struct Decisions {
  WeightFormat format;
  EagerRunnerOptions runner;
  CachePlan plan;
  int64_t process_bytes = 0;
  int64_t weight_bytes = 0;
  int64_t working_bytes = 0;
  bool long_rope = false;  // which of two lists of rotary factors
  SystemMemory memory;
};

Result<Decisions> decide(const EngineOptions& options, const Checkpoint& checkpoint,
                         const ModelConfig& config, const Backend& backend, int32_t num_threads) {
  Decisions decided;
  const std::string dtype =
      options.dtype ? std::string(format_traits(*options.dtype).name) : "auto";
  ASSIGN_OR_RETURN(decided.format,
                   choose_weight_format(dtype, quantization_name(options), checkpoint));
  const StepLimits limits = step_limits_of(options);
  const DType kv_dtype = options.kv_cache_dtype.value_or(usual_kv_dtype(decided.format));
  ASSIGN_OR_RETURN(decided.weight_bytes,
                   planned_weight_bytes(config, decided.format, backend, checkpoint));
  ASSIGN_OR_RETURN(decided.working_bytes, step_arena_bytes(config, limits));
  decided.working_bytes += sampler_bytes(config, num_threads);
  // One tensor is in memory twice while it is loaded; the arena comes after that.
  const bool makes_blocks = options.quantization && !quantization_cache_folder(options).empty();
  decided.working_bytes =
      std::max(decided.working_bytes, largest_tensor_bytes(checkpoint, makes_blocks));
  decided.memory = read_system_memory();
  decided.process_bytes = resident_bytes();
  const MemoryDemand demand{
      .process_bytes = decided.process_bytes,
      .weight_bytes = decided.weight_bytes,
      .working_bytes = decided.working_bytes,
      .request_bytes = planned_request_bytes(options),
      .bytes_per_block = kv_bytes_per_block(config, kv_dtype, options.block_size),
      .table_bytes_per_block = table_bytes_per_block(options.block_size),
      .block_size = options.block_size,
      .max_num_seqs = limits.max_num_seqs,
      .model_context = config.max_position_embeddings,
      .max_model_len = options.max_model_len,
      .num_blocks = options.num_blocks,
      .kv_cache_memory_bytes = options.kv_cache_memory_bytes,
      .memory_utilization = options.memory_utilization};
  ASSIGN_OR_RETURN(decided.plan, plan_cache(demand, decided.memory));
  decided.long_rope = config.rope.type == RopeType::kLongRope &&
                      decided.plan.max_model_len > config.rope.original_max_position_embeddings;
  decided.runner = {.limits = limits,
                    .num_blocks = decided.plan.num_blocks,
                    .block_size = options.block_size,
                    .kv_dtype = kv_dtype};
  return decided;
}

void report_plan(const EngineOptions& options, const Decisions& decided, const ModelConfig& config,
                 const ProgressLine& progress) {
  const CachePlan& plan = decided.plan;
  progress(
      fmt::format("  memory: weights {} ({}) + KV cache {} ({}) + working {} + requests {} + "
                  "loaded so far {} = "
                  "{} at most; {} available{}",
                  format_bytes(decided.weight_bytes), format_name(decided.format),
                  format_bytes(plan.kv_cache_bytes), format_traits(decided.runner.kv_dtype).name,
                  format_bytes(decided.working_bytes), format_bytes(plan.request_bytes),
                  format_bytes(decided.process_bytes), format_bytes(plan.budget_bytes),
                  format_bytes(decided.memory.available_bytes),
                  decided.memory.limited_by_cgroup ? " (cgroup limit)" : ""));
  progress(fmt::format("  cache: {} tokens in {} blocks of {}; up to {} sequences a step",
                       plan.num_cache_tokens, plan.num_blocks, decided.runner.block_size,
                       decided.runner.limits.max_num_seqs));
  const std::string model_limit =
      fmt::format("the model allows {}", config.max_position_embeddings);
  const std::string reason = options.max_model_len            ? "as asked; " + model_limit
                             : plan.context_limited_by_memory ? "the whole cache; " + model_limit
                                                              : "the model's limit";
  progress(fmt::format("  context: {} tokens ({})", plan.max_model_len, reason));
}

ServedModel describe(const std::string& given, const std::string& name, ModelFolder files,
                     const CachePlan& plan, ServedModel served) {
  served.names = {name};
  // vLLM serves a model under the path it was given.
  if (!given.empty() && given != name) served.names.push_back(given);
  served.tokenizer = std::move(files.tokenizer);
  served.chat_template = std::move(files.chat_template);
  served.bos_token = std::move(files.bos_token);
  served.eos_token = std::move(files.eos_token);
  served.max_model_len = plan.max_model_len;
  served.default_sampling = std::move(files.default_sampling);
  served.created = std::time(nullptr);
  return served;
}

// The vocabulary of the files must fit the matrix that produces the logits.
Result<void> check_vocabulary(const Tokenizer& tokenizer, const ModelConfig& config) {
  if (tokenizer.vocab_size() <= config.vocab_size) return {};
  return invalid_argument(
      fmt::format("the tokenizer has token ids up to {}, but the model's vocabulary has {}",
                  tokenizer.vocab_size() - 1, config.vocab_size));
}

// What the content of a cached block depends on besides its tokens.
std::string cache_fingerprint(const Checkpoint& checkpoint, const EngineOptions& options,
                              const Backend& backend, const Decisions& decided) {
  return fmt::format("{} {} {} {} {} {} {}\n", program_commit(), backend.name(),
                     format_name(decided.format), format_traits(decided.runner.kv_dtype).name,
                     options.block_size, decided.weight_bytes, decided.long_rope ? "long" : "") +
         checkpoint_files(checkpoint);
}

Result<std::unique_ptr<DiskBlockStore>> open_block_store(const EngineOptions& options,
                                                         const Checkpoint& checkpoint,
                                                         const Backend& backend,
                                                         const Decisions& decided,
                                                         int64_t bytes_per_block) {
  if (options.prefix_cache_dir.empty()) return std::unique_ptr<DiskBlockStore>();
  return DiskBlockStore::open(
      {.folder = options.prefix_cache_dir,
       .fingerprint = cache_fingerprint(checkpoint, options, backend, decided),
       .max_bytes = options.prefix_cache_disk_bytes,
       .bytes_per_block = static_cast<size_t>(bytes_per_block)});
}

Result<std::unique_ptr<ModelRunner>> load_runner(const Checkpoint& checkpoint,
                                                 const ModelConfig& config,
                                                 const EngineOptions& options,
                                                 const Decisions& decided, Backend& backend,
                                                 PhaseClock& clock, const ProgressLine& progress) {
  LoadCallbacks callbacks;
  callbacks.note = [&progress](const std::string& note) { progress("  note: " + note); };
  const auto cache = open_quantized_cache(options, checkpoint, decided.format, callbacks.note);
  const bool from_cache = cache != nullptr && cache->has_file();
  callbacks.quantized = cache.get();
  ASSIGN_OR_RETURN(std::unique_ptr<Model> model,
                   load_model(checkpoint, config, decided.format, backend, callbacks));
  if (cache != nullptr) {
    cache->publish();
    if (!cache->note().empty()) callbacks.note(cache->note());
  }
  clock.done(fmt::format("weights: {} packed{}", format_bytes(model->weight_bytes()),
                         from_cache ? ", quantized at an earlier start" : ""));
  ASSIGN_OR_RETURN(auto runner, EagerRunner::create(std::move(model), backend, decided.runner));
  return std::unique_ptr<ModelRunner>(std::move(runner));
}

// What routers ask before they spread requests by the cache they would find.
void note_cache_config(MetricsRegistry& metrics, const EngineOptions& options, int32_t num_blocks,
                       const std::string& cache_dtype) {
  metrics
      .gauge("vllm:cache_config_info", "Information of the LLMEngine CacheConfig.",
             {{"block_size", std::to_string(options.block_size)},
              {"cache_dtype", cache_dtype},
              {"enable_prefix_caching", options.enable_prefix_caching ? "True" : "False"},
              {"engine", "0"},
              {"gpu_memory_utilization", fmt::format("{}", options.memory_utilization)},
              {"num_gpu_blocks", std::to_string(num_blocks)},
              {"num_gpu_blocks_override",
               options.num_blocks ? std::to_string(*options.num_blocks) : "None"},
              {"prefix_caching_hash_algo", "sha256"}})
      .set(1);
}

// The model with its device, into `built`.
Result<CachePlan> add_model(const EngineOptions& options, const Checkpoint& checkpoint,
                            ModelConfig& config, MetricsRegistry* metrics, BuiltEngine& built,
                            PhaseClock& clock, const ProgressLine& progress) {
  const int32_t num_threads = options.num_threads > 0 ? options.num_threads : usable_cores();
  ASSIGN_OR_RETURN(built.backend,
                   cpu::make_cpu_backend({.num_threads = num_threads,
                                          .isa = env_value("PAGODA_CPU_ISA").value_or("")}));
  ASSIGN_OR_RETURN(const Decisions decided,
                   decide(options, checkpoint, config, *built.backend, num_threads));
  const std::string backend = fmt::format("{}, {} threads", built.backend->name(), num_threads);
  clock.done("backend: " + backend);
  built.served.backend = backend;
  built.served.memory_budget_bytes = decided.plan.budget_bytes;
  report_plan(options, decided, config, progress);
  if (metrics != nullptr) {
    metrics->gauge("pagoda_memory_budget_bytes", "Resident memory that is never exceeded.")
        .set(static_cast<double>(decided.plan.budget_bytes));
    note_cache_config(*metrics, options, decided.plan.num_blocks,
                      std::string(format_traits(decided.runner.kv_dtype).name));
  }
  config.rope.longest_sequence = decided.plan.max_model_len;
  // What can be refused is, before the weights are read.
  ASSIGN_OR_RETURN(
      built.block_store,
      open_block_store(options, checkpoint, *built.backend, decided,
                       kv_bytes_per_block(config, decided.runner.kv_dtype, options.block_size)));
  if (built.block_store) {
    clock.done(fmt::format("disk cache: {} blocks in {}", built.block_store->stats().num_blocks,
                           options.prefix_cache_dir));
  }
  ASSIGN_OR_RETURN(built.runner, load_runner(checkpoint, config, options, decided, *built.backend,
                                             clock, progress));
  if (options.replay) {
    built.runner = std::make_unique<ReplayRunner>(std::move(built.runner), *options.replay);
  }
  clock.done("cache and working memory");
  return decided.plan;
}

// What stands in for it with --simulate.
Result<CachePlan> add_simulated_model(const EngineOptions& options, const ModelConfig& config,
                                      const ModelFolder& files, MetricsRegistry* metrics,
                                      BuiltEngine& built, const ProgressLine& progress) {
  ASSIGN_OR_RETURN(SimulatedModel model,
                   make_simulated_model(options, config, *files.tokenizer,
                                        !files.default_sampling.eos_token_ids.empty()));
  progress("  SIMULATED: no weights are read, answers are words at random, timing is made up");
  progress(fmt::format("  cache: {} tokens in {} blocks of {}; up to {} sequences a step",
                       model.plan.num_cache_tokens, model.plan.num_blocks, options.block_size,
                       model.runner->step_limits().max_num_seqs));
  progress(fmt::format("  context: {} tokens", model.plan.max_model_len));
  built.runner = std::move(model.runner);
  built.served.backend = "simulated";
  if (metrics != nullptr) note_cache_config(*metrics, options, model.plan.num_blocks, "none");
  return model.plan;
}

}  // namespace

Result<std::unique_ptr<BuiltEngine>> build_engine(const EngineOptions& options,
                                                  MetricsRegistry* metrics,
                                                  const ProgressLine& progress) {
  if (!options.prefix_cache_dir.empty() && !options.enable_prefix_caching) {
    return invalid_argument("prefix-cache-dir is set and enable-prefix-caching is false");
  }
  ASSIGN_OR_RETURN(const ModelSource source, resolve_model(options.model, progress));
  const std::string& folder = source.path;
  progress(fmt::format("loading {}{}", source.is_demo ? "the built-in demo model" : folder,
                       source.is_demo ? " (a small demo; give a FOLDER for a real one)" : ""));
  PhaseClock clock(progress);
  ASSIGN_OR_RETURN(const Checkpoint checkpoint, Checkpoint::open(folder));
  auto config = parse_model_config(checkpoint.config_json());
  if (!config.ok()) {
    return Error{config.error().code, checkpoint.config_path() + ": " + config.error().message};
  }
  clock.done(fmt::format("config: {}, {} layers, {}", config->architecture, config->num_layers,
                         format_bytes(checkpoint.num_bytes())));
  ASSIGN_OR_RETURN(ModelFolder files,
                   read_model_files(checkpoint, config->eos_token_ids, options.chat_template_file));
  RETURN_IF_ERROR(check_vocabulary(*files.tokenizer, *config));
  clock.done(fmt::format("tokenizer: {} tokens", files.tokenizer->vocab_size()));

  auto built = std::make_unique<BuiltEngine>();
  if (!options.trace_file.empty()) {
    ASSIGN_OR_RETURN(built->trace, Trace::create(options.trace_file));
  }
  ASSIGN_OR_RETURN(const CachePlan plan,
                   options.simulation
                       ? add_simulated_model(options, *config, files, metrics, *built, progress)
                       : add_model(options, checkpoint, *config, metrics, *built, clock, progress));
  built->served =
      describe(options.model, source.name, std::move(files), plan, std::move(built->served));
  built->engine = std::make_unique<AsyncEngine>(
      *built->runner,
      EngineConfig{.max_model_len = plan.max_model_len,
                   .max_num_queued_requests = options.max_num_queued_requests,
                   .max_num_queued_tokens = options.max_num_queued_tokens,
                   .max_queue_time = std::chrono::seconds(options.max_queue_time_s),
                   .max_num_background_seqs = options.max_num_background_seqs.value_or(0),
                   .num_tenants = options.num_tenants,
                   .vocab_size = config->vocab_size,
                   .enable_prefix_caching = options.enable_prefix_caching,
                   .slo_ttft_s = options.slo_ttft_s,
                   .slo_tpot_s = options.slo_tpot_s,
                   .block_store = built->block_store.get(),
                   .trace = built->trace.get(),
                   .check_invariants = env_value("PAGODA_CHECK").value_or("0") == "1"},
      metrics, built->served.names.front());
  return built;
}

Result<std::string> find_demo_model() {
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::filesystem::path bin = program.parent_path();
  // A build tree (build/PRESET/pagoda), then an installed prefix (bin/pagoda).
  for (const auto& place : {bin / "../../models/demo", bin / "../share/pagoda/models/demo"}) {
    if (std::filesystem::exists(place / "config.json", error)) {
      return place.lexically_normal().string();
    }
  }
  return Error{ErrorCode::kNotFound,
               fmt::format("the demo model is neither in {} nor in {}; give a model FOLDER",
                           (bin / "../../models/demo").lexically_normal().string(),
                           (bin / "../share/pagoda/models/demo").lexically_normal().string())};
}

}  // namespace pagoda
