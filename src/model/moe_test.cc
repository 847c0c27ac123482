// Mixtures of experts against Transformers, and against themselves with each feature spoiled.
#include "model/moe.h"

#include <gtest/gtest.h>

#include <map>

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
      {"which layers have the window", "gpt_oss", exchange_layers},
      {"yarn", "gpt_oss", [](ModelConfig& c) { c.rope.type = RopeType::kDefault; }},
      {"yarn's rounding", "gpt_oss", [](ModelConfig& c) { c.rope.truncate = true; }},
  };
  for (const Mutation& mutation : mutations) expect_moves(mutation);
}

TEST(MixtureOfExperts, EveryTensorMovesTheLogits) {
  for (const char* name : {"mixtral", "gpt_oss", "gpt_oss_mxfp4"}) expect_every_tensor_moves(name);
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
  for (const char* name : kMoeModels) expect_forward_needs_shapes_only(name);
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
