// Loading against checkpoints that lack, misshape or add tensors, and the plan against the truth.
#include "model/weights.h"

#include <gtest/gtest.h>

#include "backend/cpu/cpu_backend.h"
#include "checkpoint/test_folder.h"
#include "model/golden_model.h"
#include "model/registry.h"

namespace pagoda {
namespace {

std::unique_ptr<Backend> make_backend() {
  return cpu::make_cpu_backend({}).value();
}

// A checkpoint with one f32 matrix "w" [2, 32] and one i64 tensor "ids" [1].
class WeightsTest : public testing::Test {
 protected:
  WeightsTest() {
    folder_.write("config.json", "{}");
    folder_.write("model.safetensors",
                  safetensors_bytes(R"({"w":{"dtype":"F32","shape":[2,32],"data_offsets":[0,256]},
                                        "ids":{"dtype":"I64","shape":[1],"data_offsets":[256,264]},
                                        "m.rotary_emb.inv_freq":
                                            {"dtype":"F32","shape":[1],"data_offsets":[264,268]}})",
                                    std::string(268, '\0')));
  }

  Result<LoadedWeights> load(const std::vector<WeightSpec>& specs,
                             const LoadCallbacks& callbacks = {}) {
    const auto checkpoint = Checkpoint::open(folder_.path());
    return load_weights(*checkpoint, specs, {}, *backend_, callbacks);
  }

  TestFolder folder_;
  std::unique_ptr<Backend> backend_ = make_backend();
};

TEST_F(WeightsTest, MissingTensorsAreNamedAndCounted) {
  const auto loaded = load({{"w", {2, 32}}, {"x", {1}}, {"y", {1}}});
  ASSERT_FALSE(loaded.ok());
  EXPECT_NE(loaded.error().message.find("lacks 2 of the model's tensors: x, y"), std::string::npos)
      << loaded.error().message;
}

TEST_F(WeightsTest, WrongShapeNamesBothShapes) {
  const auto loaded = load({{"w", {32, 2}}});
  ASSERT_FALSE(loaded.ok());
  EXPECT_NE(loaded.error().message.find("[2, 32]"), std::string::npos);
  EXPECT_NE(loaded.error().message.find("[32, 2]"), std::string::npos);
}

TEST_F(WeightsTest, WrongDTypeIsUnsupported) {
  const auto loaded = load({{"ids", {1}}});
  ASSERT_FALSE(loaded.ok());
  EXPECT_EQ(loaded.error().code, ErrorCode::kUnsupported);
}

TEST_F(WeightsTest, UnusedTensorsAreReportedButKnownLeftoversAreNot) {
  std::string note;
  ASSERT_TRUE(load({{"w", {2, 32}}},
                   {.progress = {}, .note = [&](const std::string& text) { note = text; }})
                  .ok());
  EXPECT_NE(note.find("1 tensors"), std::string::npos) << note;
  EXPECT_NE(note.find("ids"), std::string::npos);
}

TEST_F(WeightsTest, ProgressCountsBytesAndCanStopTheLoad) {
  int64_t last = 0;
  const LoadCallbacks counting = {.progress =
                                      [&](int64_t done, int64_t total) {
                                        EXPECT_EQ(total, 256);
                                        last = done;
                                        return true;
                                      },
                                  .note = {}};
  ASSERT_TRUE(load({{"w", {2, 32}}}, counting).ok());
  EXPECT_EQ(last, 256);
  const auto stopped =
      load({{"w", {2, 32}}}, {.progress = [](int64_t, int64_t) { return false; }, .note = {}});
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(stopped.error().code, ErrorCode::kCancelled);
}

TEST(StoredDType, VectorsAreF32AndOddRowsAreNotQuantized) {
  const WeightFormat q8 = {.matrix = DType::kQ8_0};
  EXPECT_EQ(stored_dtype(q8, {"m", {3, 64}}), DType::kQ8_0);
  EXPECT_EQ(stored_dtype(q8, {"m", {64, 65}}), DType::kBF16);
  EXPECT_EQ(stored_dtype(q8, {"v", {64}}), DType::kF32);
  EXPECT_EQ(stored_dtype({.matrix = DType::kF32}, {"m", {3, 5}}), DType::kF32);
}

TEST(WeightFormatChoice, AutoFollowsTheCheckpointAndFlagsDecideOtherwise) {
  const auto choose = [](const char* model, const char* dtype, const char* quantization) {
    const auto checkpoint = Checkpoint::open(std::string("tests/golden/models/") + model);
    return choose_weight_format(dtype, quantization, *checkpoint).value().matrix;
  };
  EXPECT_EQ(choose("base", "auto", "none"), DType::kF32);
  EXPECT_EQ(choose("bf16", "auto", "none"), DType::kBF16);
  EXPECT_EQ(choose("f16", "auto", "none"), DType::kBF16);
  EXPECT_EQ(choose("f16", "float32", "none"), DType::kF32);
  EXPECT_EQ(choose("base", "bfloat16", "none"), DType::kBF16);
  EXPECT_EQ(choose("base", "auto", "q8_0"), DType::kQ8_0);
  const auto checkpoint = Checkpoint::open("tests/golden/models/base");
  for (const char* dtype : {"float16", "q8_0", "int8", ""}) {
    EXPECT_FALSE(choose_weight_format(dtype, "none", *checkpoint).ok()) << dtype;
  }
  EXPECT_FALSE(choose_weight_format("auto", "awq", *checkpoint).ok());
}

TEST(PlannedWeightBytes, IsWhatLoadingHolds) {
  const auto backend = make_backend();
  for (const char* name : {"base", "tied", "bias"}) {
    const GoldenModel golden = read_golden_model(name);
    const auto checkpoint = Checkpoint::open(golden.folder);
    for (const DType dtype : {DType::kF32, DType::kBF16, DType::kQ8_0}) {
      const WeightFormat format = {.matrix = dtype};
      const auto model = load_model(*checkpoint, golden.config, format, *backend);
      ASSERT_TRUE(model.ok()) << model.error().message;
      const auto planned = planned_weight_bytes(golden.config, format, *backend);
      EXPECT_EQ(*planned, (*model)->weight_bytes());
    }
  }
}

}  // namespace
}  // namespace pagoda
