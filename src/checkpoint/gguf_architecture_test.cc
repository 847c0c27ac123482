// Names of tensors in both spellings.
#include "checkpoint/gguf_architecture.h"

#include <gtest/gtest.h>

namespace pagoda {
namespace {

const GgufArchitecture& known(std::string_view name, bool has_experts = false) {
  return *find_gguf_architecture(name, has_experts).value();
}

TEST(GgufArchitecture, NamesGoThereAndBack) {
  struct Case {
    std::string_view architecture, gguf, hugging_face;
  };
  for (const Case& c : {
           Case{"llama", "token_embd.weight", "model.embed_tokens.weight"},
           {"llama", "output.weight", "lm_head.weight"},
           {"llama", "blk.0.attn_norm.weight", "model.layers.0.input_layernorm.weight"},
           {"llama", "blk.31.ffn_norm.weight", "model.layers.31.post_attention_layernorm.weight"},
           {"qwen2", "blk.7.attn_q.bias", "model.layers.7.self_attn.q_proj.bias"},
           {"qwen3", "blk.7.attn_k_norm.weight", "model.layers.7.self_attn.k_norm.weight"},
           {"phi3", "blk.1.attn_qkv.weight", "model.layers.1.self_attn.qkv_proj.weight"},
           {"phi3", "blk.1.ffn_up.weight", "model.layers.1.mlp.gate_up_proj.weight"},
           {"gemma2", "blk.1.ffn_norm.weight", "model.layers.1.pre_feedforward_layernorm.weight"},
           {"gemma3", "blk.1.post_attention_norm.weight",
            "model.layers.1.post_attention_layernorm.weight"},
           {"gemma3", "blk.1.post_ffw_norm.weight",
            "model.layers.1.post_feedforward_layernorm.weight"},
           {"qwen3moe", "blk.2.ffn_gate_inp.weight", "model.layers.2.mlp.gate.weight"},
           {"qwen3moe", "blk.2.ffn_gate_exps.weight",
            "model.layers.2.mlp.experts.gate_proj.weight"},
           {"gpt-oss", "blk.2.attn_sinks.weight", "model.layers.2.self_attn.sinks"},
           {"gpt-oss", "blk.2.ffn_down_exps.bias", "model.layers.2.mlp.experts.down_proj.bias"},
           {"gpt-oss", "blk.2.ffn_gate_inp.bias", "model.layers.2.mlp.gate.bias"},
           {"gpt-oss", "blk.2.post_attention_norm.weight",
            "model.layers.2.post_attention_layernorm.weight"},
       }) {
    const auto there = from_gguf_name(known(c.architecture), c.gguf);
    ASSERT_TRUE(there) << c.gguf;
    EXPECT_EQ(there->name, c.hugging_face);
    const auto back = to_gguf_name(known(c.architecture), c.hugging_face);
    ASSERT_TRUE(back) << c.hugging_face;
    EXPECT_EQ(back->name, c.gguf);
    EXPECT_EQ(back->fix, there->fix);
  }
}

TEST(GgufArchitecture, PartsOfAFusedMatrixHaveItsName) {
  for (const char* part : {"q_proj", "k_proj", "v_proj"}) {
    const std::string name = std::string("model.layers.3.self_attn.") + part + ".weight";
    EXPECT_EQ(to_gguf_name(known("phi3"), name)->name, "blk.3.attn_qkv.weight");
  }
  EXPECT_EQ(to_gguf_name(known("phi3"), "model.layers.3.mlp.gate_proj.weight")->name,
            "blk.3.ffn_up.weight");
  EXPECT_EQ(to_gguf_name(known("qwen2"), "model.layers.3.self_attn.q_proj.weight")->name,
            "blk.3.attn_q.weight");
}

TEST(GgufArchitecture, ExpertsOfOldMixtralFilesKeepTheirNumbers) {
  const GgufArchitecture& mixtral = known("llama", true);
  EXPECT_EQ(mixtral.architecture, "MixtralForCausalLM");
  EXPECT_EQ(from_gguf_name(mixtral, "blk.3.ffn_up.12.weight")->name,
            "model.layers.3.block_sparse_moe.experts.12.w3.weight");
  EXPECT_EQ(from_gguf_name(known("llama"), "blk.3.ffn_up.12.weight"), std::nullopt);
}

TEST(GgufArchitecture, HeadsAndNormsAreFixedWhereTheConverterChangedThem) {
  EXPECT_EQ(from_gguf_name(known("llama"), "blk.0.attn_q.weight")->fix,
            GgufFix::kInterleavedQueryRows);
  EXPECT_EQ(from_gguf_name(known("granite"), "blk.0.attn_k.bias")->fix,
            GgufFix::kInterleavedKeyRows);
  EXPECT_EQ(from_gguf_name(known("llama"), "blk.0.attn_v.weight")->fix, GgufFix::kNone);
  EXPECT_EQ(from_gguf_name(known("qwen2"), "blk.0.attn_q.weight")->fix, GgufFix::kNone);
  EXPECT_EQ(from_gguf_name(known("gemma3"), "blk.0.attn_q_norm.weight")->fix, GgufFix::kUnitAdded);
  EXPECT_EQ(from_gguf_name(known("gemma3"), "output_norm.weight")->fix, GgufFix::kUnitAdded);
  EXPECT_EQ(from_gguf_name(known("llama"), "output_norm.weight")->fix, GgufFix::kNone);
}

TEST(GgufArchitecture, OtherNamesAreNotTaken) {
  for (const std::string_view name :
       {"", "blk", "blk.", "blk.0", "blk..attn_q.weight", "blk.x.attn_q.weight",
        "blk.00.attn_q.weight", "blk.12345.attn_q.weight", "blk.0.attn_q", "blk.0.attn_q.scale",
        "blk.0.attn_qq.weight", "blk.0.attn_qkv.weight"}) {
    EXPECT_EQ(from_gguf_name(known("llama"), name), std::nullopt) << name;
  }
  EXPECT_EQ(to_gguf_name(known("llama"), "model.layers.0.mlp.gate_up_proj.weight"), std::nullopt);
  EXPECT_TRUE(is_gguf_rope_tensor("rope_freqs.weight"));
}

TEST(GgufArchitecture, UnknownOnesAreRefusedWithThoseThatAreKnown) {
  const auto found = find_gguf_architecture("mamba", false);
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().code, ErrorCode::kUnsupported);
  EXPECT_NE(found.error().message.find("\"mamba\" is not known; known are: llama, qwen2"),
            std::string::npos);
  EXPECT_EQ(gguf_architecture_of("MistralForCausalLM")->name, "llama");
  EXPECT_EQ(gguf_architecture_of("Gemma3ForConditionalGeneration")->name, "gemma3");
  EXPECT_EQ(gguf_architecture_of("MambaForCausalLM"), nullptr);
}

}  // namespace
}  // namespace pagoda
