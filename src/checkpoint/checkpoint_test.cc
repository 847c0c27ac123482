// Model folders, whole and broken.
#include "checkpoint/checkpoint.h"

#include <gtest/gtest.h>

#include <cstring>

#include "checkpoint/test_folder.h"

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

}  // namespace
}  // namespace pagoda
