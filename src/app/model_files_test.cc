// What a GGUF file's metadata gives the server.
#include "app/model_files.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "checkpoint/test_folder.h"
#include "checkpoint/test_gguf.h"

namespace pagoda {
namespace {

const char* const kModel = "tests/golden/gguf/llama.gguf";

TEST(ModelFiles, GgufMetadataGivesTokenizerTemplateAndEnds) {
  const auto checkpoint = Checkpoint::open(kModel);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  const auto files = read_model_files(*checkpoint, {2, 6}, "");
  ASSERT_TRUE(files.ok()) << files.error().message;
  EXPECT_EQ(files->bos_token, "<s>");
  EXPECT_EQ(files->eos_token, "</s>");
  EXPECT_EQ(files->default_sampling.eos_token_ids, (std::vector<TokenId>{2, 6}));
  const auto ids = files->tokenizer->encode("hello w<|end|>", {});
  // BOS, "hello" and " w" by their merges, the control token.
  EXPECT_EQ(ids.value(), (std::vector<int32_t>{1, 266, 267, 6}));
  EXPECT_EQ(files->tokenizer->decode(ids.value(), true), "hello w");
  ASSERT_NE(files->chat_template, nullptr);
  const auto text =
      files->chat_template->render(Json{{"messages", {{{"role", "user"}, {"content", "hi"}}}},
                                        {"bos_token", files->bos_token},
                                        {"add_generation_prompt", true}});
  EXPECT_EQ(text.value(), "<s><|user|>hi<|end|><|assistant|>");
}

TEST(ModelFiles, ATemplateFileReplacesTheOneOfTheMetadata) {
  const TestFolder folder;
  folder.write("t.jinja", "mine");
  const auto checkpoint = Checkpoint::open(kModel);
  const auto files = read_model_files(*checkpoint, {}, folder.path("t.jinja"));
  ASSERT_TRUE(files.ok()) << files.error().message;
  EXPECT_EQ(files->chat_template->source(), "mine");
  EXPECT_FALSE(read_model_files(*checkpoint, {}, folder.path("none.jinja")).ok());
}

TEST(ModelFiles, FoldersAreReadAsFolders) {
  const auto checkpoint = Checkpoint::open("models/demo");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  const auto files = read_model_files(*checkpoint, {}, "");
  ASSERT_TRUE(files.ok()) << files.error().message;
  EXPECT_NE(files->chat_template, nullptr);
}

TestGguf bare() {
  TestGguf gguf;
  gguf.text("general.architecture", "llama").u32("llama.block_count", 1);
  gguf.u32("llama.embedding_length", 8).u32("llama.attention.head_count", 2);
  gguf.u32("llama.context_length", 64);
  gguf.tensor("token_embd.weight", {8, 3}, 0, std::string(96, '\0'));
  return gguf;
}

Result<ModelFolder> read(const TestGguf& gguf) {
  const TestFolder folder;
  folder.write("m.gguf", gguf.bytes());
  const auto checkpoint = Checkpoint::open(folder.path("m.gguf"));
  if (!checkpoint.ok()) return checkpoint.error();
  return read_model_files(*checkpoint, {}, "");
}

TEST(ModelFiles, AHuggingFaceTokenizerInTheMetadataWins) {
  TestGguf gguf = bare();
  gguf.text("tokenizer.huggingface.json",
            R"({"model":{"type":"BPE","vocab":{"a":0,"b":1},"merges":[]},
                "pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"use_regex":true}})");
  gguf.f32("general.sampling.temp", 0.25F).u32("general.sampling.top_k", 7);
  const auto files = read(gguf);
  ASSERT_TRUE(files.ok()) << files.error().message;
  EXPECT_EQ(files->tokenizer->encode("ab", {}).value(), (std::vector<int32_t>{0, 1}));
  EXPECT_EQ(files->default_sampling.temperature, 0.25F);
  EXPECT_EQ(files->default_sampling.top_k, 7);
  EXPECT_EQ(files->chat_template, nullptr);
}

TEST(ModelFiles, BadMetadataIsNamedWithItsFile) {
  EXPECT_NE(read(bare()).error().message.find("m.gguf: no metadata \"tokenizer.ggml.model\""),
            std::string::npos);
  TestGguf wrong = bare();
  wrong.text("tokenizer.ggml.model", "gpt2").text("tokenizer.ggml.tokens", "a b");
  EXPECT_NE(read(wrong).error().message.find("\"tokenizer.ggml.tokens\": not an array"),
            std::string::npos);
  TestGguf hot = bare();
  hot.text("tokenizer.huggingface.json", "{");
  EXPECT_NE(read(hot).error().message.find("m.gguf: "), std::string::npos);
}

TEST(ModelFiles, ModelsAreNamedAfterTheirFiles) {
  EXPECT_EQ(gguf_model_name("Llama-3.2-1B-Q4_K_M.gguf"), "Llama-3.2-1B-Q4_K_M");
  EXPECT_EQ(gguf_model_name("big-00001-of-00003.gguf"), "big");
  EXPECT_EQ(gguf_model_name("other"), "other");
}

}  // namespace
}  // namespace pagoda
