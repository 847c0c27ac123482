// Model folders, whole and broken.
#include "checkpoint/checkpoint.h"

#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/json.h"
#include "checkpoint/test_folder.h"
#include "checkpoint/test_gguf.h"

namespace pagoda {
namespace {

std::string one_tensor(const std::string& name, const std::string& data) {
  return safetensors_bytes("{\"" + name + "\":{\"dtype\":\"BF16\",\"shape\":[" +
                               std::to_string(data.size() / 2) + "],\"data_offsets\":[0," +
                               std::to_string(data.size()) + "]}}",
                           data);
}

std::string open_error(const TestFolder& folder) {
  const auto checkpoint = Checkpoint::open(folder.path());
  return checkpoint.ok() ? "opened" : checkpoint.error().message;
}

const char* const kIndex = R"({"weight_map":{"a":"m-1.safetensors","b":"m-2.safetensors"}})";

TEST(Checkpoint, ReadsATensorOfASingleFile) {
  const TestFolder folder;
  folder.write("config.json", "{}");
  folder.write("model.safetensors", one_tensor("a", "abcdef"));
  auto checkpoint = Checkpoint::open(folder.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  EXPECT_EQ(checkpoint->config_json(), "{}");
  EXPECT_EQ(checkpoint->num_bytes(), 6);
  EXPECT_EQ(checkpoint->find("b"), nullptr);
  const CheckpointTensor* tensor = checkpoint->find("a");
  ASSERT_NE(tensor, nullptr);
  Buffer scratch;
  const auto view = checkpoint->read(*tensor, scratch);
  ASSERT_TRUE(view.ok());
  EXPECT_EQ(view->dtype, DType::kBF16);
  EXPECT_EQ(view->shape, (Shape{3}));
  EXPECT_EQ(std::memcmp(view->data, "abcdef", 6), 0);
}

TEST(Checkpoint, ReadsPartOfATensorOfAnyDtype) {
  const TestFolder folder;
  folder.write("config.json", "{}");
  folder.write(
      "model.safetensors",
      safetensors_bytes(R"({"a":{"dtype":"U8","shape":[2,4],"data_offsets":[0,8]}})", "abcdefgh"));
  auto checkpoint = Checkpoint::open(folder.path());
  ASSERT_TRUE(checkpoint.ok());
  Buffer scratch;
  const auto bytes = checkpoint->read_bytes(*checkpoint->find("a"), 4, 3, scratch);
  ASSERT_TRUE(bytes.ok());
  EXPECT_EQ(std::memcmp(*bytes, "efg", 3), 0);
  EXPECT_GE(scratch.num_bytes(), 3U);
}

TEST(Checkpoint, FindsTensorsAcrossShards) {
  const TestFolder folder;
  folder.write("config.json", "{}");
  folder.write("model.safetensors.index.json", kIndex);
  folder.write("m-1.safetensors", one_tensor("a", "aaaa"));
  folder.write("m-2.safetensors", one_tensor("b", "bb"));
  auto checkpoint = Checkpoint::open(folder.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  Buffer scratch;
  for (const auto& [name, data] : {std::pair("a", "aaaa"), std::pair("b", "bb")}) {
    const auto view = checkpoint->read(*checkpoint->find(name), scratch);
    ASSERT_TRUE(view.ok());
    EXPECT_EQ(std::memcmp(view->data, data, std::strlen(data)), 0);
  }
}

TEST(Checkpoint, SaysWhichFileIsMissing) {
  const TestFolder folder;
  EXPECT_NE(open_error(folder).find(folder.path("config.json")), std::string::npos);
  folder.write("config.json", "{}");
  EXPECT_NE(open_error(folder).find("neither model.safetensors nor"), std::string::npos);
  folder.write("pytorch_model.bin", "");
  EXPECT_NE(open_error(folder).find("pytorch_model.bin is not supported"), std::string::npos);
  folder.write("model.safetensors.index.json", kIndex);
  folder.write("m-1.safetensors", one_tensor("a", "aa"));
  EXPECT_NE(open_error(folder).find(folder.path("m-2.safetensors")), std::string::npos);
  EXPECT_EQ(Checkpoint::open(folder.path("gone")).error().code, ErrorCode::kNotFound);
}

TEST(Checkpoint, RefusesShardsThatContradictTheIndex) {
  const TestFolder folder;
  folder.write("config.json", "{}");
  folder.write("model.safetensors.index.json", kIndex);
  folder.write("m-1.safetensors", one_tensor("a", "aa"));
  folder.write("m-2.safetensors", one_tensor("a", "aa"));
  EXPECT_NE(open_error(folder).find("also in another file"), std::string::npos);
  folder.write("m-2.safetensors", one_tensor("c", "cc"));
  EXPECT_NE(open_error(folder).find("tensor b is not in"), std::string::npos);
  folder.write("m-1.safetensors", one_tensor("b", "bb"));
  folder.write("m-2.safetensors", one_tensor("a", "aa"));
  EXPECT_NE(open_error(folder).find("is not in"), std::string::npos);
  folder.write("m-1.safetensors", "garbage");
  EXPECT_NE(open_error(folder).find("m-1.safetensors"), std::string::npos);
}

TEST(Checkpoint, TensorsOfOtherDtypesAreListedButNotRead) {
  const TestFolder folder;
  folder.write("config.json", "{}");
  folder.write("model.safetensors",
               safetensors_bytes(R"({"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}})",
                                 std::string(8, '\0')));
  auto checkpoint = Checkpoint::open(folder.path());
  ASSERT_TRUE(checkpoint.ok());
  Buffer scratch;
  const auto view = checkpoint->read(*checkpoint->find("a"), scratch);
  ASSERT_FALSE(view.ok());
  EXPECT_EQ(view.error().code, ErrorCode::kUnsupported);
  EXPECT_NE(view.error().message.find("I64"), std::string::npos);
}

TEST(Checkpoint, FileCutShortBetweenOpenAndReadIsAnError) {
  const TestFolder folder;
  folder.write("config.json", "{}");
  folder.write("model.safetensors", one_tensor("a", std::string(8192, 'a')));
  auto checkpoint = Checkpoint::open(folder.path());
  ASSERT_TRUE(checkpoint.ok());
  std::filesystem::resize_file(folder.path("model.safetensors"), 4096);
  Buffer scratch;
  EXPECT_EQ(checkpoint->read(*checkpoint->find("a"), scratch).error().code,
            ErrorCode::kInvalidArgument);
}

TestGguf tiny_llama() {
  TestGguf gguf;
  gguf.text("general.architecture", "llama").u32("llama.block_count", 1);
  gguf.u32("llama.embedding_length", 8).u32("llama.attention.head_count", 2);
  gguf.u32("llama.context_length", 64);
  gguf.tensor("token_embd.weight", {8, 3}, 0, std::string(96, '\0'));
  return gguf;
}

TEST(Checkpoint, GgufFilesAreReadInHuggingFacesSpellingAndOrder) {
  const TestFolder folder;
  TestGguf gguf = tiny_llama();
  gguf.tensor("blk.0.attn_q.weight", {1, 8}, 0, "r0__r2__r1__r3__s0__s2__s1__s3__");
  gguf.tensor("blk.0.other.weight", {1}, 0, "abcd").tensor("rope_freqs.weight", {1}, 0, "abcd");
  folder.write("m.gguf", gguf.bytes());
  const auto checkpoint = Checkpoint::open(folder.path("m.gguf"));
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  EXPECT_EQ(parse_json(checkpoint->config_json()).value()["hidden_size"], 8);
  EXPECT_EQ(checkpoint->tensors().size(), 3U);
  EXPECT_NE(checkpoint->find("gguf/blk.0.other.weight"), nullptr);
  const CheckpointTensor* tensor = checkpoint->find("model.layers.0.self_attn.q_proj.weight");
  ASSERT_NE(tensor, nullptr);
  EXPECT_EQ(tensor->shape, (Shape{8, 1}));
  Buffer scratch;
  const auto view = checkpoint->read(*tensor, scratch);
  ASSERT_TRUE(view.ok());
  EXPECT_EQ(std::memcmp(view->data, "r0__r1__r2__r3__s0__s1__s2__s3__", 32), 0);
}

TEST(Checkpoint, AFolderWithOneGgufModelIsThatModel) {
  const TestFolder folder;
  folder.write("m.gguf", tiny_llama().bytes());
  const auto checkpoint = Checkpoint::open(folder.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  EXPECT_EQ(checkpoint->path(), folder.path("m.gguf"));
  folder.write("n.gguf", tiny_llama().bytes());
  EXPECT_NE(open_error(folder).find("m.gguf and n.gguf"), std::string::npos);
}

TEST(Checkpoint, PartsOfASplitGgufModelAreOne) {
  const auto checkpoint = Checkpoint::open("tests/golden/gguf/split-00001-of-00003.gguf");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  const auto original = Checkpoint::open("tests/golden/gguf/folder");
  ASSERT_TRUE(original.ok()) << original.error().message;
  EXPECT_EQ(checkpoint->gguf_files().size(), 3U);
  EXPECT_EQ(checkpoint->tensors().size(), original->tensors().size());
}

TEST(Checkpoint, GgufTensorsWhoseRowsMakeNoHeadsAreRefused) {
  const TestFolder folder;
  TestGguf gguf = tiny_llama();
  gguf.tensor("blk.0.attn_k.weight", {1, 3}, 0, "r0__r2__r1__");
  folder.write("m.gguf", gguf.bytes());
  const auto checkpoint = Checkpoint::open(folder.path("m.gguf"));
  ASSERT_FALSE(checkpoint.ok());
  EXPECT_NE(checkpoint.error().message.find("k_proj.weight: shape [3, 1]"), std::string::npos)
      << checkpoint.error().message;
}

// What the gguf package says of the values of each tensor.
TEST(Checkpoint, EveryFormatDequantizesAsTheGgufPackageDoes) {
  const auto file = GgufFile::open("tests/golden/gguf/mixed.gguf");
  ASSERT_TRUE(file.ok()) << file.error().message;
  const Json want =
      parse_json(read_text_file("tests/golden/gguf/mixed.json", 1 << 20).value()).value();
  EXPECT_EQ(want.size(), file->tensors().size());
  for (const GgufTensor& tensor : file->tensors()) {
    ASSERT_TRUE(tensor.dtype) << tensor.type_name;
    std::vector<std::byte> blocks(static_cast<size_t>(tensor.num_bytes));
    ASSERT_TRUE(file->file().read_at(tensor.offset, blocks).ok());
    std::vector<float> values(static_cast<size_t>(tensor.shape.num_elements()));
    format_traits(*tensor.dtype).decode(blocks.data(), values.data(), tensor.shape.num_elements());
    uint64_t hash = 0xcbf29ce484222325U;  // FNV-1a
    for (const std::byte byte : std::as_bytes(std::span<const float>(values))) {
      hash = (hash ^ std::to_integer<uint64_t>(byte)) * 0x100000001b3U;
    }
    char text[17];
    std::snprintf(text, sizeof(text), "%016llx", static_cast<unsigned long long>(hash));
    EXPECT_EQ(want[tensor.name], text) << tensor.name << " " << tensor.type_name;
  }
}

}  // namespace
}  // namespace pagoda
