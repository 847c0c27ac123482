// Weights: from the names in a checkpoint to packed parameters, with the plan of their memory.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "backend/backend.h"
#include "base/result.h"
#include "checkpoint/checkpoint.h"

namespace pagoda {

// One parameter that a model needs: its name in the checkpoint and the shape it must have there.
// Rank 2 is a matrix [Out, In] and is kept in the chosen format; rank 1 is kept in f32.
struct WeightSpec {
  std::string name;
  Shape shape;
};

// How matrices are kept. With kQ8_0 a matrix whose rows are no whole number of blocks stays kBF16.
struct WeightFormat {
  DType matrix = DType::kBF16;  // kF32, kBF16 or kQ8_0
};
DType stored_dtype(const WeightFormat& format, const WeightSpec& spec);

// Chooses the format from the command line's two values. `dtype`: "auto", "float32" or "bfloat16"
// (or the short names of tensor/dtype.h); `quantization`: "none" or "q8_0", which then decides.
// "auto" keeps f32 and bf16 checkpoints as they are, by the dtype that holds most of their bytes.
// An f16 checkpoint becomes bf16, which costs it three bits of each mantissa; "float32" keeps
// them. kInvalidArgument for other values.
Result<WeightFormat> choose_weight_format(std::string_view dtype, std::string_view quantization,
                                          const Checkpoint& checkpoint);

// Device memory that packing `specs` will take, in bytes: known before anything is read.
int64_t planned_weight_bytes(const std::vector<WeightSpec>& specs, const WeightFormat& format,
                             const Backend& backend);

// What loading is to report. Both may be empty.
struct LoadCallbacks {
  // Checkpoint bytes read so far and in all, after each tensor, on the loading thread. Returning
  // false stops the load with kCancelled.
  std::function<bool(int64_t done_bytes, int64_t total_bytes)> progress;
  // A fact worth a line in the log: tensors of the checkpoint that the model does not use.
  std::function<void(const std::string& note)> note;
};

// The packed parameters of one model by name. Move-only; the Weights are shared with the model.
class LoadedWeights {
 public:
  // REQUIRES: `name` was among the specs that were loaded.
  WeightPtr get(const std::string& name) const;
  int64_t num_bytes() const { return num_bytes_; }  // device memory held

 private:
  friend Result<LoadedWeights> load_weights(const Checkpoint&, const std::vector<WeightSpec>&,
                                            const WeightFormat&, Backend&, const LoadCallbacks&);
  friend LoadedWeights null_weights(const std::vector<WeightSpec>&);
  std::unordered_map<std::string, WeightPtr> weights_;
  int64_t num_bytes_ = 0;
};

// Checks every name, shape and dtype against the checkpoint, then reads and packs one tensor after
// another, the largest first: memory beyond the packed weights is one tensor's data, and by the
// time memory is nearly full only small ones are left. Errors: kInvalidArgument naming missing
// tensors or the shape found and wanted, kUnsupported for a dtype, those of Checkpoint::read and
// Backend::pack. Loading thread only.
Result<LoadedWeights> load_weights(const Checkpoint& checkpoint,
                                   const std::vector<WeightSpec>& specs, const WeightFormat& format,
                                   Backend& backend, const LoadCallbacks& callbacks);

// Weights of these names and shapes without contents, for NullOps.
LoadedWeights null_weights(const std::vector<WeightSpec>& specs);

}  // namespace pagoda
