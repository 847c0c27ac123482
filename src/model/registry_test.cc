// The list of architectures.
#include "model/registry.h"

#include <gtest/gtest.h>

#include "model/test_config.h"

namespace pagoda {
namespace {

TEST(Registry, UnknownArchitectureIsNamedBesideTheKnownOnes) {
  const auto found = find_architecture("GPT2LMHeadModel");
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().code, ErrorCode::kUnsupported);
  EXPECT_NE(found.error().message.find("GPT2LMHeadModel"), std::string::npos);
  EXPECT_NE(found.error().message.find("LlamaForCausalLM"), std::string::npos);
}

TEST(Registry, EveryDenseFamilyMakesAModelOfAPlainConfig) {
  for (const char* name :
       {"LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM",
        "Phi3ForCausalLM", "Gemma2ForCausalLM", "Gemma3ForCausalLM",
        "Gemma3ForConditionalGeneration", "SmolLM3ForCausalLM", "GraniteForCausalLM"}) {
    const auto model = make_null_model(parsed(valid_config(name)));
    ASSERT_TRUE(model.ok()) << name;
    EXPECT_EQ((*model)->config().architecture, name);
  }
}

TEST(Registry, EveryQuestionAboutAnUnknownArchitectureIsAnError) {
  const ModelConfig config = {.architecture = "Other"};
  EXPECT_FALSE(make_null_model(config).ok());
}

}  // namespace
}  // namespace pagoda
