// EagerRunner: the ModelRunner that runs a model's operations one by one on a backend.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "backend/backend.h"
#include "backend/kv_cache.h"
#include "base/result.h"
#include "core/model_runner.h"
#include "model/model.h"
#include "runner/sampler.h"

namespace pagoda {

struct EagerRunnerOptions {
  StepLimits limits;
  int32_t num_blocks = 0;
  int32_t block_size = 16;        // tokens a block
  DType kv_dtype = DType::kBF16;  // kF32, kBF16 or kI8
};

// One step: flattens the SchedulerOutput to a ForwardBatch, runs the model, samples. Owns the
// model, the KV cache and the samplers; the backend is borrowed and must outlive it.
// Engine thread only. What a sequence gets does not depend on the others in the step, nor on how
// its tokens are split into steps.
class EagerRunner final : public ModelRunner {
 public:
  // Allocates the cache and the backend's step arena. kInvalidArgument for counts that are not
  // positive; kOverloaded when memory is refused.
  static Result<std::unique_ptr<EagerRunner>> create(std::unique_ptr<Model> model, Backend& backend,
                                                     const EagerRunnerOptions& options);

  KvCacheSpec kv_cache_spec() const override;
  StepLimits step_limits() const override { return options_.limits; }
  // As ModelRunner::execute. kInvalidArgument for a token id outside the vocabulary. Logits that
  // are not finite, or an impossible choice, are an error of their sequence's token. A step that
  // contradicts itself or the limits is a CHECK: the scheduler made it.
  Result<ModelRunnerOutput> execute(const SchedulerOutput& step) override;

  void read_block(BlockId block, std::span<std::byte> out) const override;
  void write_block(BlockId block, std::span<const std::byte> data) override;

  const Model& model() const { return *model_; }

 private:
  EagerRunner(std::unique_ptr<Model> model, Backend& backend, const EagerRunnerOptions& options,
              KvCache cache);
  void check_step(const SchedulerOutput& step) const;
  Result<void> flatten(const SchedulerOutput& step);
  struct Sampled {
    const ScheduledSequence* sequence;
    size_t first_logits;  // index into logit_rows_; the drafts' follow
  };
  Result<ModelRunnerOutput> sample(std::span<const float> logits);
  std::vector<SampledToken> sample(const Sampled& sampled, std::span<const float> logits,
                                   Sampler& sampler);

  std::unique_ptr<Model> model_;
  Backend& backend_;
  EagerRunnerOptions options_;
  KvCache cache_;
  std::vector<Sampler> samplers_;  // one for each worker of the backend

  // The ForwardBatch of the current step; kept to reuse their memory.
  std::vector<int32_t> token_ids_;            // [T]
  std::vector<int32_t> positions_;            // [T]
  std::vector<AttentionSequence> attention_;  // [S]
  std::vector<int32_t> logit_rows_;           // [R]
  std::vector<Sampled> sampled_;              // whose logits they are
};

}  // namespace pagoda
