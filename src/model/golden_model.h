// For tests: the tiny checkpoints of tests/golden/models with what Transformers computes for them.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/json.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/read_only_file.h"
#include "model/model_config.h"

namespace pagoda {

// One folder made by tools/make_golden.py, whose head says what the fields are.
struct GoldenModel {
  std::string folder;
  ModelConfig config;
  std::vector<int32_t> prompt;
  std::vector<int32_t> positions;
  std::vector<std::vector<float>> logits;  // [positions][V]
  std::vector<int32_t> greedy;
};

inline constexpr const char* kGoldenModels[] = {
    "base",    "rope_llama3",  "rope_linear", "tied",          "bias",      "head_dim",
    "bf16",    "f16",          "sharded",     "wide",          "mistral",   "qwen2",
    "qwen3",   "phi3",         "phi3_short",  "gemma2",        "gemma3",    "gemma3_multimodal",
    "smollm3", "granite",      "mixtral",     "mixtral_fused", "qwen3_moe", "qwen3_moe_fused",
    "gpt_oss", "gpt_oss_mxfp4"};

// Reads the folder relative to the current one, which is the root of the repository for all tests.
// A file that is missing is a CHECK.
inline GoldenModel read_golden_model(const std::string& name) {
  GoldenModel golden;
  golden.folder = "tests/golden/models/" + name;
  const auto checkpoint = Checkpoint::open(golden.folder);
  golden.config = parse_model_config(checkpoint.value().config_json()).value();
  const auto text = read_text_file(golden.folder + "/expected.json", 1 << 20);
  const Json expected = parse_json(text.value()).value();
  golden.config.rope.longest_sequence =
      expected.value("max_model_len", golden.config.max_position_embeddings);
  golden.prompt = expected["prompt"].get<std::vector<int32_t>>();
  golden.positions = expected["positions"].get<std::vector<int32_t>>();
  golden.logits = expected["logits"].get<std::vector<std::vector<float>>>();
  golden.greedy = expected["greedy"].get<std::vector<int32_t>>();
  return golden;
}

}  // namespace pagoda
