// Loading against checkpoints that lack, misshape or add tensors, and the plan against the truth.
#include "model/weights.h"

#include <gtest/gtest.h>

#include "backend/cpu/cpu_backend.h"
#include "backend/null_ops.h"
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
  EXPECT_EQ(stored_dtype(q8, {"m", {3, 64}}, DType::kF32), DType::kQ8_0);
  EXPECT_EQ(stored_dtype(q8, {"m", {64, 65}}, DType::kF32), DType::kBF16);
  EXPECT_EQ(stored_dtype(q8, {"v", {64}}, DType::kF32), DType::kF32);
  EXPECT_EQ(stored_dtype({.matrix = DType::kF32}, {"m", {3, 5}}, DType::kF32), DType::kF32);
}

TEST(StoredDType, RowsThatAreNotWholeBlocksTakeSmallerOnesAndTheOutputStaysFiner) {
  const WeightFormat q4_k = {.matrix = DType::kQ4_K};
  EXPECT_EQ(stored_dtype(q4_k, {"m", {3, 512}}, DType::kBF16), DType::kQ4_K);
  EXPECT_EQ(stored_dtype(q4_k, {"m", {3, 96}}, DType::kBF16), DType::kQ8_0);
  EXPECT_EQ(stored_dtype(q4_k, {"m", {3, 97}}, DType::kBF16), DType::kBF16);
  EXPECT_EQ(stored_dtype(q4_k, {"m", {2, 3, 512}}, DType::kBF16), DType::kQ4_K);
  for (const char* name : {"model.embed_tokens.weight", "lm_head.weight"}) {
    EXPECT_EQ(stored_dtype(q4_k, {name, {3, 512}}, DType::kBF16), DType::kQ6_K);
    EXPECT_EQ(stored_dtype({.matrix = DType::kQ4_0}, {name, {3, 96}}, DType::kBF16), DType::kQ8_0);
    EXPECT_EQ(stored_dtype({.matrix = DType::kQ8_0}, {name, {3, 512}}, DType::kBF16), DType::kQ8_0);
  }
}

TEST(StoredDType, QuantizedMatricesKeepTheirFormatUnlessAnotherIsAskedFor) {
  const WeightFormat keep = {.matrix = DType::kBF16, .keep_quantized = true};
  EXPECT_EQ(stored_dtype(keep, {"m", {3, 256}}, DType::kQ4_K), DType::kQ4_K);
  EXPECT_EQ(stored_dtype(keep, {"m", {3, 256}}, DType::kF16), DType::kBF16);
  EXPECT_EQ(stored_dtype(keep, {"v", {256}}, DType::kQ8_0), DType::kF32);
  EXPECT_EQ(stored_dtype({.matrix = DType::kQ8_0}, {"m", {3, 256}}, DType::kQ4_K), DType::kQ8_0);
  EXPECT_EQ(format_name(keep), "as stored");
  EXPECT_EQ(format_name({.matrix = DType::kQ8_0}), "q8_0");
}

// Keeps what it is given to pack, as floats.
class RecordingBackend final : public Backend {
 public:
  std::string name() const override { return "recording"; }
  Result<WeightPtr> pack_rows(const RowSource& source, DType dtype) override {
    const Shape& shape = source.shape();
    const int64_t num_rows = shape.rank() > 1 ? shape[0] : 1;
    const int64_t columns = shape[shape.rank() - 1];
    std::vector<float> values(static_cast<size_t>(shape.num_elements()));
    Buffer scratch;
    for (int64_t row = 0; row < num_rows; ++row) {
      const std::byte* data = nullptr;
      RETURN_IF_ERROR(source.fetch(row, {&data, 1}, scratch));
      format_traits(source.dtype()).decode(data, values.data() + row * columns, columns);
    }
    packed.push_back(std::move(values));
    return null_weight(shape, dtype);
  }
  Result<WeightPtr> pack_stack(
      const Shape& shape, DType dtype,
      const std::function<Result<const RowSource*>(int64_t index)>& read) override {
    for (int64_t i = 0; i < shape[0]; ++i) {
      ASSIGN_OR_RETURN(const RowSource* rows, read(i));
      RETURN_IF_ERROR(pack_rows(*rows, dtype));
    }
    return null_weight(shape, dtype);
  }
  int64_t packed_bytes(const Shape&, DType) const override { return 0; }
  Ops& ops() override { return null_ops_; }
  ThreadPool* thread_pool() override { return nullptr; }
  Result<void> reserve_arena(size_t) override { return {}; }
  std::vector<std::vector<float>> packed;

 private:
  NullOps null_ops_;
};

std::string f32_bytes(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

TEST(FindWeights, LayersBeyondThoseOfTheModelAreRefusedWhereverTheirNamesStand) {
  const std::vector<WeightSpec> specs = {{.name = "model.layers.0.a", .shape = {1}}};
  const auto find = [&](const std::string& other) {
    const TestFolder folder;
    folder.write("config.json", "{}");
    folder.write(
        "model.safetensors",
        safetensors_bytes(R"({"model.layers.0.a":{"dtype":"F32","shape":[1],)"
                          R"("data_offsets":[0,4]},")" +
                              other + R"(":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                          f32_bytes({1, 2})));
    const auto checkpoint = Checkpoint::open(folder.path());
    const auto found = find_weights(*checkpoint, specs);
    return found.ok() ? std::to_string(unused_tensors(*checkpoint, *found).size())
                      : found.error().message;
  };
  for (const char* name : {"model.layers.1.a", "language_model.model.layers.1.a",
                           "model.language_model.layers.12.b"}) {
    const std::string message = find(name);
    EXPECT_NE(message.find(std::string("has tensor ") + name + ", but"), std::string::npos)
        << message;
    EXPECT_NE(message.find("config.json is 1"), std::string::npos) << message;
  }
  for (const char* name : {"vision_tower.encoder.layers.7.a", "model.layers.x.a", "model.layers.",
                           "model.layers.99999999999999999999.a", "model.layers.0.b"}) {
    EXPECT_EQ(find(name), "1") << name;
  }
  EXPECT_EQ(find("model.layers.3.self_attn.rotary_emb.inv_freq"), "0");
}

TEST(LoadWeights, TakesALargerMatrixApart) {
  const TestFolder folder;
  folder.write("config.json", "{}");
  folder.write("model.safetensors",
               safetensors_bytes(R"({"qkv":{"dtype":"F32","shape":[4,2],"data_offsets":[0,32]}})",
                                 f32_bytes({1, 2, 3, 4, 5, 6, 7, 8})));
  const auto part = [](const char* name, int32_t row, int64_t rows) {
    return WeightSpec{.name = name,
                      .shape = {rows, 2},
                      .alternatives = {{.name = "qkv", .shape = {4, 2}, .first_row = row}}};
  };
  const auto checkpoint = Checkpoint::open(folder.path());
  RecordingBackend backend;
  std::vector<int64_t> done;
  const LoadCallbacks callbacks = {.progress =
                                       [&done](int64_t bytes, int64_t total) {
                                         EXPECT_EQ(total, 32);
                                         done.push_back(bytes);
                                         return true;
                                       },
                                   .note = [](const std::string& note) { ADD_FAILURE() << note; }};
  const auto loaded = load_weights(*checkpoint, {part("q", 0, 1), part("k", 1, 2), part("v", 3, 1)},
                                   {.matrix = DType::kF32}, backend, callbacks);
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(backend.packed, (std::vector<std::vector<float>>{{1, 2}, {3, 4, 5, 6}, {7, 8}}));
  EXPECT_EQ(done, (std::vector<int64_t>{8, 24, 32}));
  const auto missing = load_weights(
      *checkpoint,
      {{.name = "a", .shape = {1, 2}, .alternatives = {{.name = "gate_up", .shape = {2, 2}}}}}, {},
      backend, {});
  EXPECT_NE(missing.error().message.find("a or gate_up"), std::string::npos);
}

TEST(LoadWeights, CountsAndStopsWithinAStack) {
  const TestFolder folder;
  folder.write("config.json", "{}");
  folder.write("model.safetensors",
               safetensors_bytes(R"({"w":{"dtype":"F32","shape":[3,1,2],"data_offsets":[0,24]}})",
                                 f32_bytes({1, 2, 3, 4, 5, 6})));
  const auto checkpoint = Checkpoint::open(folder.path());
  RecordingBackend backend;
  std::vector<int64_t> done;
  int64_t last = 25;
  const LoadCallbacks callbacks = {.progress =
                                       [&](int64_t bytes, int64_t total) {
                                         EXPECT_EQ(total, 24);
                                         done.push_back(bytes);
                                         return bytes < last;
                                       },
                                   .note = {}};
  const std::vector<WeightSpec> specs = {{.name = "w", .shape = {3, 1, 2}}};
  ASSERT_TRUE(load_weights(*checkpoint, specs, {}, backend, callbacks).ok());
  EXPECT_EQ(done, (std::vector<int64_t>{8, 16, 24}));
  EXPECT_EQ(backend.packed, (std::vector<std::vector<float>>{{1, 2}, {3, 4}, {5, 6}}));
  last = 16;
  const auto stopped = load_weights(*checkpoint, specs, {}, backend, callbacks);
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(stopped.error().code, ErrorCode::kCancelled);
}

TEST(LoadWeights, AddsWhatNormsAreKeptWithout) {
  const TestFolder folder;
  folder.write("config.json", "{}");
  folder.write("model.safetensors",
               safetensors_bytes(R"({"n":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
                                 f32_bytes({0.25F, -1})));
  const auto checkpoint = Checkpoint::open(folder.path());
  RecordingBackend backend;
  ASSERT_TRUE(
      load_weights(*checkpoint, {{.name = "n", .shape = {2}, .offset = 1.0F}}, {}, backend, {})
          .ok());
  EXPECT_EQ(backend.packed.front(), (std::vector<float>{1.25F, 0}));
}

TEST(LoadWeights, FindsTheLanguageModelWithinALargerOneInBothSpellings) {
  for (const char* name :
       {"language_model.model.norm.weight", "model.language_model.norm.weight"}) {
    const TestFolder folder;
    folder.write("config.json", "{}");
    folder.write("model.safetensors",
                 safetensors_bytes(R"({")" + std::string(name) +
                                       R"(":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
                                   f32_bytes({7})));
    const auto checkpoint = Checkpoint::open(folder.path());
    RecordingBackend backend;
    EXPECT_TRUE(load_weights(*checkpoint, {{"model.norm.weight", {1}}}, {}, backend, {}).ok())
        << name;
  }
}

// What packing would see, with and without the cache between.
TEST(LoadWeights, TakesConvertedMatricesFromTheCacheAtTheSecondLoad) {
  const TestFolder folder;
  folder.write("config.json", "{}");
  std::vector<float> values(2 * 64);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 23) - 11.0F;
  folder.write("model.safetensors",
               safetensors_bytes(R"({"m":{"dtype":"F32","shape":[2,64],"data_offsets":[0,512]}})",
                                 f32_bytes(values)));
  const auto checkpoint = Checkpoint::open(folder.path());
  const WeightFormat format = {.matrix = DType::kQ4_0};
  std::vector<std::vector<float>> packed;
  for (const bool second : {false, true}) {
    const auto cache =
        QuantizedCache::open({.folder = folder.path("cache"), .key = "k", .min_free_bytes = 0});
    ASSERT_EQ((*cache)->has_file(), second);
    RecordingBackend backend;
    LoadCallbacks callbacks;
    callbacks.quantized = cache->get();
    ASSERT_TRUE(load_weights(*checkpoint, {{"m", {2, 64}}}, format, backend, callbacks).ok());
    (*cache)->publish();
    EXPECT_EQ((*cache)->note(), "");
    packed.push_back(backend.packed.at(0));
    // The second load must not need what the checkpoint holds.
    folder.write("model.safetensors", "");
  }
  EXPECT_EQ(packed[0], packed[1]);
  EXPECT_NE(packed[0], values);
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
  EXPECT_EQ(choose("base", "auto", "q4_k"), DType::kQ4_K);
  const auto checkpoint = Checkpoint::open("tests/golden/models/base");
  for (const char* dtype : {"float16", "q8_0", "int8", ""}) {
    EXPECT_FALSE(choose_weight_format(dtype, "none", *checkpoint).ok()) << dtype;
  }
  EXPECT_FALSE(choose_weight_format("auto", "awq", *checkpoint).ok());
}

TEST(PlannedWeightBytes, IsWhatLoadingHolds) {
  const auto backend = make_backend();
  for (const char* name : {"base", "tied", "bias", "phi3", "gemma2"}) {
    const GoldenModel golden = read_golden_model(name);
    const auto checkpoint = Checkpoint::open(golden.folder);
    std::vector<DType> dtypes = quantizations();
    dtypes.insert(dtypes.end(), {DType::kF32, DType::kBF16});
    for (const DType dtype : dtypes) {
      const WeightFormat format = {.matrix = dtype};
      const auto model = load_model(*checkpoint, golden.config, format, *backend);
      ASSERT_TRUE(model.ok()) << model.error().message;
      const auto planned = planned_weight_bytes(golden.config, format, *backend, *checkpoint);
      EXPECT_EQ(*planned, (*model)->weight_bytes());
    }
  }
}

}  // namespace
}  // namespace pagoda
