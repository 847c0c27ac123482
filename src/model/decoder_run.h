// For tests: a model run step by step, and what is asked of every family.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/cpu_info.h"
#include "backend/null_ops.h"
#include "checkpoint/test_folder.h"
#include "model/golden_model.h"
#include "model/registry.h"

namespace pagoda {

inline constexpr int32_t kBlockSize = 16;
inline constexpr int32_t kBlocksEach = 8;  // 128 tokens a sequence
inline constexpr int32_t kMaxSequences = 2;

// A model of f32 weights on one instruction set with an f32 cache for a few sequences.
class DecoderRun {
 public:
  DecoderRun(const std::string& folder, const ModelConfig& config, const std::string& isa)
      : backend_(cpu::make_cpu_backend({.num_threads = 2, .isa = isa}).value()),
        checkpoint_(Checkpoint::open(folder).value()),
        model_(load_model(checkpoint_, config, {.matrix = DType::kF32}, *backend_).value()),
        cache_(KvCache::create({.num_layers = config.num_layers,
                                .num_blocks = kBlocksEach * kMaxSequences,
                                .block_size = kBlockSize,
                                .num_kv_heads = config.num_kv_heads,
                                .head_size = config.head_size,
                                .dtype = DType::kF32})
                   .value()) {
    EXPECT_TRUE(backend_->reserve_arena(size_t{16} << 20).ok());
    // Blocks of a sequence are not neighbours, so that a table read wrong shows.
    for (int32_t s = 0; s < kMaxSequences; ++s) {
      for (int32_t b = 0; b < kBlocksEach; ++b) {
        block_tables_[s].push_back((b * kMaxSequences + s) * 7 % (kBlocksEach * kMaxSequences));
      }
    }
  }

  // A run of one sequence's tokens in a step.
  struct Chunk {
    int32_t sequence;
    int32_t begin;
    int32_t end;
  };
  // Runs one step and returns the logits of all its rows, [T][V].
  std::vector<std::vector<float>> step(const std::vector<std::vector<int32_t>>& sequences,
                                       const std::vector<Chunk>& chunks) {
    std::vector<int32_t> token_ids;
    std::vector<int32_t> positions;
    std::vector<AttentionSequence> attention;
    for (const Chunk& chunk : chunks) {
      attention.push_back({.first_row = static_cast<int32_t>(token_ids.size()),
                           .num_rows = chunk.end - chunk.begin,
                           .num_computed_tokens = chunk.begin,
                           .block_table = block_tables_[chunk.sequence]});
      for (int32_t i = chunk.begin; i < chunk.end; ++i) {
        token_ids.push_back(sequences[static_cast<size_t>(chunk.sequence)][static_cast<size_t>(i)]);
        positions.push_back(i);
      }
    }
    std::vector<int32_t> rows(token_ids.size());
    std::iota(rows.begin(), rows.end(), 0);
    Ops& ops = backend_->ops();
    ops.begin_step();
    const Tensor logits = model_->forward(ops,
                                          {.token_ids = token_ids,
                                           .positions = positions,
                                           .attention = {attention},
                                           .logit_rows = rows},
                                          cache_);
    const std::span<const float> values = ops.read(logits);
    const auto vocab_size = static_cast<size_t>(model_->config().vocab_size);
    std::vector<std::vector<float>> result;
    for (size_t row = 0; row < rows.size(); ++row) {
      const auto one = values.subspan(row * vocab_size, vocab_size);
      result.emplace_back(one.begin(), one.end());
    }
    return result;
  }

  // Logits of every position of one prompt, computed in one step.
  std::vector<std::vector<float>> whole(const std::vector<int32_t>& prompt) {
    return step({prompt}, {{0, 0, static_cast<int32_t>(prompt.size())}});
  }

  Model& model() { return *model_; }

 private:
  std::unique_ptr<Backend> backend_;
  Checkpoint checkpoint_;
  std::unique_ptr<Model> model_;
  KvCache cache_;
  std::vector<int32_t> block_tables_[kMaxSequences];
};

inline std::vector<std::string> isas() {
  std::vector<std::string> names;
  for (const cpu::CpuKernels* kernels : cpu::supported_kernels()) names.push_back(kernels->isa);
  return names;
}

inline float max_difference(const GoldenModel& golden,
                            const std::vector<std::vector<float>>& logits) {
  float worst = 0.0F;
  for (size_t i = 0; i < golden.positions.size(); ++i) {
    const std::vector<float>& got = logits[static_cast<size_t>(golden.positions[i])];
    for (size_t token = 0; token < got.size(); ++token) {
      worst = std::max(worst, std::abs(got[token] - golden.logits[i][token]));
    }
  }
  return worst;
}

// A prompt in chunks, in company, gives the logits of the whole prompt to the bit.
inline void expect_chunks_change_no_bit(const std::string& name) {
  const GoldenModel golden = read_golden_model(name);
  const auto length = static_cast<int32_t>(golden.prompt.size());
  std::vector<int32_t> other(golden.prompt.rbegin(), golden.prompt.rend());
  for (const std::string& isa : isas()) {
    DecoderRun run(golden.folder, golden.config, isa);
    const auto want = run.whole(golden.prompt);
    for (const int32_t chunk : {1, 17, 64}) {
      std::vector<std::vector<float>> got;
      for (int32_t begin = 0; begin < length; begin += chunk) {
        const int32_t end = std::min(begin + chunk, length);
        // The second sequence is ahead of or behind the first by its own chunking.
        const auto rows = run.step({golden.prompt, other}, {{1, begin, end}, {0, begin, end}});
        got.insert(got.end(), rows.end() - (end - begin), rows.end());
      }
      EXPECT_EQ(got, want) << name << " " << isa << " in chunks of " << chunk;
    }
  }
}

// What must move the logits when it is read wrong.
struct Mutation {
  const char* what;
  const char* golden;
  std::function<void(ModelConfig&)> spoil;
};

inline void expect_moves(const Mutation& mutation) {
  const GoldenModel golden = read_golden_model(mutation.golden);
  ModelConfig config = golden.config;
  mutation.spoil(config);
  DecoderRun run(golden.folder, config, "");
  EXPECT_GT(max_difference(golden, run.whole(golden.prompt)), 1e-2F)
      << mutation.golden << ": " << mutation.what;
}

inline void see_all(ModelConfig& config) {
  for (LayerConfig& layer : config.layers) layer.sliding_window = 0;
}

inline void exchange_layers(ModelConfig& config) {
  std::swap(config.layers[0], config.layers[1]);
}

// Copies a golden folder and lets `edit` change one tensor's bytes.
inline void copy_edited(const GoldenModel& golden, const TestFolder& folder,
                        const std::string& name,
                        const std::function<void(std::span<std::byte>)>& edit) {
  for (const auto& file : std::filesystem::directory_iterator(golden.folder)) {
    std::filesystem::copy(file.path(), folder.path());
  }
  const auto checkpoint = Checkpoint::open(golden.folder);
  const CheckpointTensor* tensor = checkpoint->find(name);
  ASSERT_NE(tensor, nullptr);
  std::vector<std::byte> bytes(static_cast<size_t>(tensor->num_bytes));
  std::fstream file(folder.path("model.safetensors"),
                    std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(tensor->file_offset);
  file.read(reinterpret_cast<char*>(bytes.data()), tensor->num_bytes);
  edit(bytes);
  file.seekp(tensor->file_offset);
  file.write(reinterpret_cast<const char*>(bytes.data()), tensor->num_bytes);
}

// The same for a tensor of floats in a format without blocks.
inline void copy_edited(const GoldenModel& golden, const TestFolder& folder,
                        const std::string& name,
                        const std::function<void(std::span<float>)>& edit) {
  const FormatTraits& traits = format_traits(Checkpoint::open(golden.folder)->find(name)->dtype);
  copy_edited(golden, folder, name, [&](std::span<std::byte> bytes) {
    const size_t count = bytes.size() / static_cast<size_t>(traits.block_bytes);
    std::vector<float> values(count);
    traits.decode(bytes.data(), values.data(), static_cast<int64_t>(count));
    edit(values);
    traits.encode(values.data(), bytes.data(), static_cast<int64_t>(count));
  });
}

// Changes a tensor: every second number is half as much again, of MXFP4's blocks the signs are
// turned and of their scales the exponents are one higher.
inline void copy_spoiled(const GoldenModel& golden, const TestFolder& folder,
                         const CheckpointTensor& tensor) {
  if (tensor.dtype_name == "U8") {
    const bool scales = tensor.name.ends_with("_scales");
    copy_edited(golden, folder, tensor.name, [&](std::span<std::byte> bytes) {
      for (std::byte& byte : bytes) {
        byte = scales ? std::byte(std::to_integer<int>(byte) + 1) : byte ^ std::byte{0x88};
      }
    });
    return;
  }
  copy_edited(golden, folder, tensor.name, [](std::span<float> values) {
    for (size_t i = 0; i < values.size(); i += 2) values[i] *= 1.5F;
  });
}

// Softmax is blind to a constant shift, so even the key's bias shows only through the queries'
// positions; a scale shows everywhere, but that a norm behind takes back a common one.
inline void expect_every_tensor_moves(const std::string& name) {
  const GoldenModel golden = read_golden_model(name);
  const auto checkpoint = Checkpoint::open(golden.folder);
  for (const CheckpointTensor& tensor : checkpoint->tensors()) {
    const TestFolder folder;
    copy_spoiled(golden, folder, tensor);
    DecoderRun run(folder.path(), golden.config, "");
    EXPECT_GT(max_difference(golden, run.whole(golden.prompt)), 1e-2F) << name << tensor.name;
  }
}

inline void expect_forward_needs_shapes_only(const std::string& name) {
  const GoldenModel golden = read_golden_model(name);
  const auto model = make_null_model(golden.config);
  ASSERT_TRUE(model.ok());
  auto cache = KvCache::create({.num_layers = golden.config.num_layers,
                                .num_blocks = 1,
                                .block_size = kBlockSize,
                                .num_kv_heads = golden.config.num_kv_heads,
                                .head_size = golden.config.head_size});
  ASSERT_TRUE(cache.ok());
  const std::vector<int32_t> zeros(12);
  const std::vector<AttentionSequence> attention = {
      {.first_row = 0, .num_rows = 12, .num_computed_tokens = 0, .block_table = zeros}};
  for (const std::vector<int32_t>& rows :
       {std::vector<int32_t>{}, std::vector<int32_t>{3, 11}, zeros}) {
    NullOps ops;
    ops.begin_step();
    const Tensor logits = (*model)->forward(
        ops, {.token_ids = zeros, .positions = zeros, .attention = {attention}, .logit_rows = rows},
        *cache);
    EXPECT_EQ(logits.data, nullptr);
    if (rows.empty()) continue;
    EXPECT_EQ(logits.shape, (Shape{static_cast<int64_t>(rows.size()), golden.config.vocab_size}))
        << name;
  }
}

}  // namespace pagoda
