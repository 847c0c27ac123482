// Tests of the choice of files.
#include "hub/file_selection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pagoda {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

TEST(Selection, TakesWhatAModelNeedsAndLeavesOtherFormats) {
  const auto selection = select_files(
      {".gitattributes", "README.md", "config.json", "consolidated.safetensors",
       "generation_config.json", "model-00001-of-00002.safetensors",
       "model-00002-of-00002.safetensors", "model.safetensors.index.json", "onnx/model.onnx",
       "original/consolidated.00.pth", "original/params.json", "pytorch_model.bin",
       "pytorch_model.bin.index.json", "chat_template.jinja", "tokenizer.json", "tokenizer.model",
       "tokenizer_config.json", "merges.txt", "figure.png"},
      {});
  ASSERT_TRUE(selection.ok()) << selection.error().message;
  EXPECT_THAT(selection->paths,
              ElementsAre("chat_template.jinja", "config.json", "generation_config.json",
                          "merges.txt", "model.safetensors.index.json", "tokenizer.json",
                          "tokenizer.model", "tokenizer_config.json",
                          "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"));
  EXPECT_EQ(selection->gguf_file, "");
}

TEST(Selection, WeightsOfAnyNameDoWhenThereAreNoOthers) {
  const auto selection = select_files({"config.json", "weights.safetensors"}, {});
  ASSERT_TRUE(selection.ok());
  EXPECT_THAT(selection->paths, ElementsAre("config.json", "weights.safetensors"));
}

TEST(Selection, PicklesAreNamedAndNotTaken) {
  const auto selection = select_files({"config.json", "pytorch_model.bin"}, {});
  ASSERT_FALSE(selection.ok());
  EXPECT_EQ(selection.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(selection.error().message, HasSubstr("*.bin"));
  EXPECT_EQ(select_files({"README.md"}, {}).error().code, ErrorCode::kNotFound);
}

const std::vector<std::string> kGguf = {"README.md",
                                        "m-IQ4_XS.gguf",
                                        "m-Q4_K_M.gguf",
                                        "m-Q4_K_S.gguf",
                                        "m.Q6_K.gguf",
                                        "mmproj-m-Q8_0.gguf",
                                        "Q8_0/m-Q8_0-00001-of-00002.gguf",
                                        "Q8_0/m-Q8_0-00002-of-00002.gguf",
                                        "UD/m-UD-Q4_K_XL.gguf"};

std::string chosen(const std::string& quantization) {
  const auto selection = select_files(kGguf, {.quantization = quantization});
  return selection.ok() ? selection->gguf_file : "error: " + selection.error().message;
}

TEST(Selection, AQuantizationIsAWholeWordOfTheName) {
  EXPECT_EQ(chosen("Q4_K_M"), "m-Q4_K_M.gguf");
  EXPECT_EQ(chosen("q6_k"), "m.Q6_K.gguf");
  EXPECT_EQ(chosen("IQ4_XS"), "m-IQ4_XS.gguf");
  EXPECT_EQ(chosen("Q4_K_XL"), "UD/m-UD-Q4_K_XL.gguf");
  for (const char* none : {"Q4_K", "Q4_XS", "XS", "Q2_K", "4"}) {
    EXPECT_THAT(chosen(none), HasSubstr("m-Q4_K_M.gguf")) << none;
  }
}

TEST(Selection, AModelInPartsIsTakenWithAllOfThem) {
  const auto selection = select_files(kGguf, {.quantization = "Q8_0"});
  ASSERT_TRUE(selection.ok()) << selection.error().message;
  EXPECT_THAT(selection->paths,
              ElementsAre("Q8_0/m-Q8_0-00001-of-00002.gguf", "Q8_0/m-Q8_0-00002-of-00002.gguf"));
  EXPECT_EQ(selection->gguf_file, "Q8_0/m-Q8_0-00001-of-00002.gguf");
}

TEST(Selection, SeveralModelsThatFitAreListed) {
  const auto selection = select_files({"a-Q4_0.gguf", "b-Q4_0.gguf"}, {.quantization = "Q4_0"});
  ASSERT_FALSE(selection.ok());
  EXPECT_THAT(selection.error().message, HasSubstr("a-Q4_0.gguf, b-Q4_0.gguf"));
  EXPECT_FALSE(select_files(kGguf, {}).ok());
  EXPECT_EQ(select_files({"README.md", "only.gguf"}, {})->gguf_file, "only.gguf");
}

TEST(Selection, GlobsReplaceAndTakeAway) {
  const std::vector<std::string> paths = {"a/x.json", "config.json", "model.safetensors", "y.md"};
  EXPECT_THAT(select_files(paths, {.include = {"*.md", "a/*"}})->paths,
              UnorderedElementsAre("a/x.json", "y.md"));
  EXPECT_THAT(select_files(paths, {.exclude = {"conf*"}})->paths, ElementsAre("model.safetensors"));
  EXPECT_THAT(select_files(paths, {.include = {"*"}})->paths.back(), "model.safetensors");
  EXPECT_EQ(select_files(kGguf, {.include = {"*Q4_K_S*"}})->gguf_file, "m-Q4_K_S.gguf");
  EXPECT_FALSE(select_files(paths, {.include = {"nothing"}}).ok());
}

TEST(MissingPart, NamesTheFirstPartThatIsNotThere) {
  EXPECT_EQ(missing_part({"model.safetensors"}), "");
  EXPECT_EQ(missing_part({"m-00001-of-00002.gguf", "m-00002-of-00002.gguf"}), "");
  EXPECT_EQ(missing_part({"m-00001-of-00003.gguf", "m-00003-of-00003.gguf"}),
            "part 2 of m-of-00003.gguf");
  EXPECT_EQ(missing_part({"m-00009-of-00003.gguf", "m-0000x-of-00003.gguf", "-of-00003.gguf"}), "");
}

}  // namespace
}  // namespace pagoda
