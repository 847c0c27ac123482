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
#include "checkpoint/quantized_cache.h"
#include "model/weight_source.h"

namespace pagoda {

// How matrices are kept. Of a block format below six bits a weight the embedding and the output
// matrix are kept in q6_k: they are few, and errors of theirs reach every token. Where rows are no
// whole number of blocks a matrix becomes q8_0, and where they are no multiple of 32 either, bf16.
struct WeightFormat {
  DType matrix = DType::kBF16;  // kF32, kBF16 or a block format that has an encoder
  // Matrices that the checkpoint has in a quantized format keep that format, each its own.
  bool keep_quantized = false;
};
// The format that a matrix with rows of `row_elements` is converted to, by these rules.
DType quantized_dtype(DType wanted, bool is_embedding_or_output, int64_t row_elements);
// `source`: the dtype in the checkpoint.
DType stored_dtype(const WeightFormat& format, const WeightSpec& spec, DType source);
// For people: "bf16"; "as stored" where quantized formats are kept.
std::string_view format_name(const WeightFormat& format);

// The block formats that matrices can be converted to: all that have an encoder.
std::vector<DType> quantizations();
// "none", then their names, with commas between.
std::string quantization_names();

// The KV cache's format where none is asked for: kF32 beside weights that are all f32, else kBF16.
DType usual_kv_dtype(const WeightFormat& format);

// Chooses the format from the command line's two values. `dtype`: "auto", "float32" or "bfloat16"
// (or the short names of tensor/dtype.h); `quantization`: "none" or one of quantizations(), which
// then decides. "auto" keeps f32 and bf16 checkpoints as they are, by the dtype that holds most of
// their bytes, and every quantized matrix. An f16 checkpoint becomes bf16, which costs it three
// bits of each mantissa; "float32" keeps them. kInvalidArgument for other values.
Result<WeightFormat> choose_weight_format(std::string_view dtype, std::string_view quantization,
                                          const Checkpoint& checkpoint);

// Device memory that packing `specs` will take, in bytes: known before anything is read. Specs that
// the checkpoint lacks count as tensors that are not quantized; loading refuses them.
int64_t planned_weight_bytes(const std::vector<WeightSpec>& specs, const WeightFormat& format,
                             const Backend& backend, const Checkpoint& checkpoint);

// Where the checkpoint has each of `specs`, in their order. Refers to both. kInvalidArgument naming
// tensors that are missing or have other shapes, and for layers beyond those of the specs:
// a config.json with too few is of another model. Otherwise errors of find_weight().
Result<std::vector<FoundWeight>> find_weights(const Checkpoint& checkpoint,
                                              const std::vector<WeightSpec>& specs);
// The tensors that none of `found` is made of, but for buffers that Transformers once saved.
std::vector<const CheckpointTensor*> unused_tensors(const Checkpoint& checkpoint,
                                                    const std::vector<FoundWeight>& found);

// What loading is to report, and the cache it is to use. All may be empty.
struct LoadCallbacks {
  // Checkpoint bytes read so far and in all, after each matrix, on the loading thread. Returning
  // false stops the load with kCancelled.
  std::function<bool(int64_t done_bytes, int64_t total_bytes)> progress;
  // A fact worth a line in the log: tensors of the checkpoint that the model does not use.
  std::function<void(const std::string& note)> note;
  // Where matrices that are converted to a block format are taken from and kept. Published by the
  // caller.
  QuantizedCache* quantized = nullptr;
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

// Checks every name, shape and dtype against the checkpoint, then reads and packs one matrix after
// another, the largest first: memory beyond the packed weights is what Backend::pack_rows() fetches
// at a time, and of a matrix that must be arranged or is to be quantized its data (twice that where
// a checkpoint has it in another layout, and its blocks too where `quantized` keeps them); by the
// time memory is nearly full only small ones are left. Errors: kInvalidArgument naming
// missing tensors or the shape found and wanted, kUnsupported for a dtype, those of
// Checkpoint::read and Backend::pack. Loading thread only.
Result<LoadedWeights> load_weights(const Checkpoint& checkpoint,
                                   const std::vector<WeightSpec>& specs, const WeightFormat& format,
                                   Backend& backend, const LoadCallbacks& callbacks);

// Weights of these names and shapes without contents, for NullOps.
LoadedWeights null_weights(const std::vector<WeightSpec>& specs);

}  // namespace pagoda
