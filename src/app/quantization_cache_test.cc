// Which cache of converted matrices a model gets.
#include "app/quantization_cache.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "checkpoint/test_folder.h"

namespace pagoda {
namespace {

size_t num_files(const std::string& folder) {
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    count += entry.path().extension() == ".tmp" ? 0U : 1U;
  }
  return count;
}

// Opens the cache for a golden model and puts a matrix into it.
void fill(const EngineOptions& options, const WeightFormat& format) {
  const auto checkpoint = Checkpoint::open("tests/golden/models/tied");
  const auto cache = open_quantized_cache(options, *checkpoint, format,
                                          [](const std::string& note) { ADD_FAILURE() << note; });
  ASSERT_NE(cache, nullptr);
  const std::vector<std::byte> blocks(34);
  cache->add("m", {.data = blocks.data(), .dtype = DType::kQ8_0, .shape = {1, 32}});
  cache->publish();
}

TEST(QuantizationCache, EachFormatHasAFileInTheFolderThatWasGiven) {
  const TestFolder folder;
  EngineOptions options;
  options.quantization = DType::kQ8_0;
  options.quantization_cache_dir = folder.path();
  fill(options, {.matrix = DType::kQ8_0});
  fill(options, {.matrix = DType::kQ8_0});
  EXPECT_EQ(num_files(folder.path()), 1U);
  fill(options, {.matrix = DType::kQ4_0});
  EXPECT_EQ(num_files(folder.path()), 2U);
}

TEST(QuantizationCache, ThereIsNoneWithoutAFolderOrAConversion) {
  const auto checkpoint = Checkpoint::open("tests/golden/models/tied");
  const auto no_note = [](const std::string& note) { ADD_FAILURE() << note; };
  EngineOptions options;
  options.quantization_cache_dir = "";
  options.quantization = DType::kQ8_0;
  EXPECT_EQ(open_quantized_cache(options, *checkpoint, {}, no_note), nullptr);
  const TestFolder folder;
  options.quantization_cache_dir = folder.path();
  options.quantization.reset();
  EXPECT_EQ(open_quantized_cache(options, *checkpoint, {}, no_note), nullptr);
  EXPECT_EQ(num_files(folder.path()), 0U);
}

TEST(QuantizationCache, AFolderThatCannotBeUsedIsNotedAndDoesNotFailTheLoad) {
  const TestFolder folder;
  folder.write("file", "x");
  EngineOptions options;
  options.quantization = DType::kQ8_0;
  options.quantization_cache_dir = folder.path("file");
  std::string noted;
  const auto cache = open_quantized_cache(options, *Checkpoint::open("tests/golden/models/tied"),
                                          {}, [&noted](const std::string& note) { noted = note; });
  EXPECT_EQ(cache, nullptr);
  EXPECT_NE(noted.find("file"), std::string::npos);
}

}  // namespace
}  // namespace pagoda
