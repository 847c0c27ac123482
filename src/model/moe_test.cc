// Mixtures of experts against Transformers, and against themselves with each feature spoiled.
#include "model/moe.h"

#include <gtest/gtest.h>

#include <map>

#include "backend/null_ops.h"
#include "model/decoder_run.h"

namespace pagoda {
namespace {

constexpr const char* kMoeModels[] = {"mixtral",         "mixtral_fused", "qwen3_moe",
                                      "qwen3_moe_fused", "gpt_oss",       "gpt_oss_mxfp4"};

TEST(MixtureOfExperts, ChunksAndBatchesChangeNoBit) {
  for (const char* name : {"mixtral_fused", "qwen3_moe", "gpt_oss"}) {
    expect_chunks_change_no_bit(name);
  }
}

TEST(MixtureOfExperts, EveryFeatureOfTheConfigMovesTheLogits) {
  const auto see_all = [](ModelConfig& c) {
    for (LayerConfig& layer : c.layers) layer.sliding_window = 0;
  };
  const Mutation mutations[] = {
      {"experts a token", "mixtral", [](ModelConfig& c) { c.moe.num_chosen = 1; }},
      {"factors that add up to one", "mixtral", [](ModelConfig& c) { c.moe.renormalise = false; }},
      {"window", "mixtral_fused", see_all},
      {"norm_topk_prob", "qwen3_moe", [](ModelConfig& c) { c.moe.renormalise = false; }},
      {"norm_topk_prob false", "qwen3_moe_fused", [](ModelConfig& c) { c.moe.renormalise = true; }},
      {"norms of heads", "qwen3_moe", [](ModelConfig& c) { c.qk_norm = false; }},
      {"window of all layers", "qwen3_moe_fused", see_all},
      {"sinks", "gpt_oss", [](ModelConfig& c) { c.attention_sinks = false; }},
      {"biases of attention", "gpt_oss", [](ModelConfig& c) { c.attention_bias = false; }},
      {"bias of the output", "gpt_oss", [](ModelConfig& c) { c.output_bias = false; }},
      {"alpha", "gpt_oss", [](ModelConfig& c) { c.moe.swiglu_alpha = 1.0F; }},
      {"limit", "gpt_oss", [](ModelConfig& c) { c.moe.swiglu_limit = 7.0F; }},
      {"alternating windows", "gpt_oss", see_all},
      {"which layers have the window", "gpt_oss",
       [](ModelConfig& c) { std::swap(c.layers[0], c.layers[1]); }},
      {"yarn", "gpt_oss", [](ModelConfig& c) { c.rope.type = RopeType::kDefault; }},
      {"yarn's rounding", "gpt_oss", [](ModelConfig& c) { c.rope.truncate = true; }},
  };
  for (const Mutation& mutation : mutations) expect_moves(mutation);
}

// Half as much again; of blocks the signs are turned, of their scales the exponents.
void spoil(const CheckpointTensor& tensor, std::span<std::byte> bytes) {
  if (tensor.dtype_name == "U8") {
    const bool scales = tensor.name.ends_with("_scales");
    for (std::byte& byte : bytes) {
      byte = scales ? std::byte(std::to_integer<int>(byte) + 1) : byte ^ std::byte{0x88};
    }
    return;
  }
  ASSERT_EQ(tensor.dtype_name, "BF16");
  for (size_t i = 0; i < bytes.size(); i += 2) {
    uint16_t bits = 0;
    std::memcpy(&bits, &bytes[i], sizeof(bits));
    bits = float_to_bf16(bf16_to_float(bits) * 1.5F);
    std::memcpy(&bytes[i], &bits, sizeof(bits));
  }
}

TEST(MixtureOfExperts, EveryTensorMovesTheLogits) {
  for (const char* name : {"mixtral", "gpt_oss", "gpt_oss_mxfp4"}) {
    const GoldenModel golden = read_golden_model(name);
    const auto checkpoint = Checkpoint::open(golden.folder);
    for (const CheckpointTensor& tensor : checkpoint->tensors()) {
      if (name == std::string("gpt_oss_mxfp4") && tensor.dtype_name != "U8") continue;
      const TestFolder folder;
      copy_edited(golden, folder, tensor.name,
                  [&](std::span<std::byte> bytes) { spoil(tensor, bytes); });
      DecoderRun run(folder.path(), golden.config, "");
      EXPECT_GT(max_difference(golden, run.whole(golden.prompt)), 1e-2F) << name << tensor.name;
    }
  }
}

// The names under which a GGUF file's experts are known: one stack a projection.
std::string stack_name(std::string name) {
  const std::pair<const char*, const char*> renames[] = {{"block_sparse_moe.gate.", "mlp.gate."},
                                                         {"w1.weight", "gate_proj.weight"},
                                                         {"w2.weight", "down_proj.weight"},
                                                         {"w3.weight", "up_proj.weight"}};
  for (const auto& [from, to] : renames) {
    const size_t at = name.find(from);
    if (at != std::string::npos) name.replace(at, std::string_view(from).size(), to);
  }
  const size_t at = name.find("block_sparse_moe.experts.");
  if (at == std::string::npos) return name;
  return name.substr(0, at) + "mlp.experts." + name.substr(name.find('.', at + 25) + 1);
}

TEST(MixtureOfExperts, StacksAreTheSameExpertsAsATensorForEach) {
  const GoldenModel golden = read_golden_model("mixtral");
  const auto checkpoint = Checkpoint::open(golden.folder);
  struct Stack {
    Shape shape;
    std::string bytes;
    int64_t count = 0;
  };
  std::map<std::string, Stack> stacks;
  Buffer scratch;
  // Files list their tensors in any order; names sort experts below ten as numbers do.
  std::map<std::string, const CheckpointTensor*> in_order;
  for (const CheckpointTensor& tensor : checkpoint->tensors()) in_order[tensor.name] = &tensor;
  for (const auto& [name, tensor] : in_order) {
    const auto view = checkpoint->read(*tensor, scratch);
    Stack& stack = stacks[stack_name(name)];
    stack.shape = tensor->shape;
    stack.bytes.append(reinterpret_cast<const char*>(view->data),
                       static_cast<size_t>(tensor->num_bytes));
    ++stack.count;
  }
  std::string header;
  std::string data;
  for (const auto& [name, stack] : stacks) {
    const Shape& s = stack.shape;
    const Shape shape = stack.count > 1 ? Shape{stack.count, s[0], s[1]} : s;
    header += (header.empty() ? "{\"" : ",\"") + name + R"(":{"dtype":"BF16","shape":)" +
              to_string(shape) + ",\"data_offsets\":[" + std::to_string(data.size()) + "," +
              std::to_string(data.size() + stack.bytes.size()) + "]}";
    data += stack.bytes;
  }
  const TestFolder folder;
  folder.write("config.json", checkpoint->config_json());
  folder.write("model.safetensors", safetensors_bytes(header + "}", data));
  EXPECT_NE(Checkpoint::open(folder.path())->find("model.layers.0.mlp.experts.up_proj.weight"),
            nullptr);
  DecoderRun each(golden.folder, golden.config, "");
  DecoderRun stacked(folder.path(), golden.config, "");
  EXPECT_EQ(stacked.whole(golden.prompt), each.whole(golden.prompt));
}

TEST(MixtureOfExperts, ForwardNeedsShapesOnly) {
  for (const char* name : kMoeModels) {
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
    const std::vector<int32_t> rows = {3, 11};
    NullOps ops;
    ops.begin_step();
    const Tensor logits = (*model)->forward(
        ops, {.token_ids = zeros, .positions = zeros, .attention = {attention}, .logit_rows = rows},
        *cache);
    EXPECT_EQ(logits.shape, (Shape{2, golden.config.vocab_size})) << name;
  }
}

TEST(MixtureOfExperts, ThePlanOfTheirMemoryIsWhatLoadingHolds) {
  const auto backend = cpu::make_cpu_backend({}).value();
  for (const char* name : kMoeModels) {
    const GoldenModel golden = read_golden_model(name);
    const auto checkpoint = Checkpoint::open(golden.folder);
    for (const DType dtype : {DType::kF32, DType::kBF16, DType::kQ8_0}) {
      const WeightFormat format = {.matrix = dtype};
      const auto model = load_model(*checkpoint, golden.config, format, *backend);
      ASSERT_TRUE(model.ok()) << model.error().message;
      const auto planned = planned_weight_bytes(golden.config, format, *backend, *checkpoint);
      EXPECT_EQ(*planned, (*model)->weight_bytes()) << name;
    }
  }
}

// A group of 32 weights takes 17 bytes; gate and up are read from the same blocks.
TEST(MixtureOfExperts, Mxfp4StaysMxfp4UnlessAnotherFormatIsAskedFor) {
  const auto backend = cpu::make_cpu_backend({}).value();
  const GoldenModel golden = read_golden_model("gpt_oss_mxfp4");
  const auto checkpoint = Checkpoint::open(golden.folder);
  const auto bytes_as = [&](const char* dtype, const char* quantization) {
    const WeightFormat format = choose_weight_format(dtype, quantization, *checkpoint).value();
    const auto model = load_model(*checkpoint, golden.config, format, *backend);
    EXPECT_TRUE(model.ok()) << model.error().message;
    const int64_t bytes = (*model)->weight_bytes();
    EXPECT_EQ(*planned_weight_bytes(golden.config, format, *backend, *checkpoint), bytes);
    return bytes;
  };
  // The other matrices stay f32 and are larger than in bf16; the experts make up for it.
  const int64_t kept = bytes_as("auto", "none");
  EXPECT_LT(kept, bytes_as("bfloat16", "none"));
  EXPECT_LT(bytes_as("auto", "q8_0"), bytes_as("bfloat16", "none"));
}

TEST(MixtureOfExperts, MoreExpertsThanTheCheckpointHasAreAnError) {
  GoldenModel golden = read_golden_model("mixtral");
  golden.config.moe.num_experts = 6;
  const auto backend = cpu::make_cpu_backend({}).value();
  const auto checkpoint = Checkpoint::open(golden.folder);
  const auto model = load_model(*checkpoint, golden.config, {}, *backend);
  ASSERT_FALSE(model.ok());
  EXPECT_NE(model.error().message.find("block_sparse_moe"), std::string::npos)
      << model.error().message;
}

}  // namespace
}  // namespace pagoda
