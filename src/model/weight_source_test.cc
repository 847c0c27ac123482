// Each layout that a checkpoint may have its experts in gives the same stack.
#include "model/weight_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>

#include "checkpoint/test_folder.h"

namespace pagoda {
namespace {

using testing::HasSubstr;

// Tensors of f32 in a folder, with what reading a spec from them gives.
class WeightSourceTest : public testing::Test {
 protected:
  void add(const std::string& name, const Shape& shape, const std::vector<float>& values) {
    ASSERT_EQ(static_cast<size_t>(shape.num_elements()), values.size());
    add_bytes(name, "F32", shape,
              {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)});
  }
  void add_bytes(const std::string& name, const std::string& dtype, const Shape& shape,
                 const std::string& bytes) {
    header_ += (header_.empty() ? "{\"" : ",\"") + name + "\":{\"dtype\":\"" + dtype +
               "\",\"shape\":" + to_string(shape) + ",\"data_offsets\":[" +
               std::to_string(data_.size()) + "," + std::to_string(data_.size() + bytes.size()) +
               "]}";
    data_ += bytes;
  }
  const Checkpoint& checkpoint() {
    if (!checkpoint_) {
      folder_.write("config.json", "{}");
      folder_.write("model.safetensors", safetensors_bytes(header_ + "}", data_));
      checkpoint_ = Checkpoint::open(folder_.path()).value();
    }
    return *checkpoint_;
  }
  // All matrices one after another.
  std::vector<float> read(const WeightSpec& spec) {
    const auto found = find_weight(checkpoint(), spec);
    EXPECT_TRUE(found.ok()) << found.error().message;
    EXPECT_TRUE(found->has_value());
    std::vector<float> values;
    FoundWeight::Scratch scratch;
    const int64_t count = spec.shape.rank() == 3 ? spec.shape[0] : 1;
    for (int64_t i = 0; i < count; ++i) {
      const auto view = (*found)->read(checkpoint(), i, scratch);
      EXPECT_TRUE(view.ok());
      const auto size = static_cast<size_t>(view->shape.num_elements());
      std::vector<float> part(size);
      format_traits(view->dtype).decode(view->data, part.data(), static_cast<int64_t>(size));
      expect_same_rows(**found, i, part);
      values.insert(values.end(), part.begin(), part.end());
    }
    EXPECT_EQ(values.size(), static_cast<size_t>(spec.shape.num_elements()));
    return values;
  }
  // Where a matrix can be had row by row it is the same.
  void expect_same_rows(const FoundWeight& found, int64_t index, const std::vector<float>& want) {
    const std::optional<FileRows> rows = found.rows(checkpoint(), index);
    if (!rows) return;
    ++num_by_rows_;
    const int64_t columns = rows->shape()[1];
    Buffer scratch;
    // Two at a time, and the last one alone.
    for (int64_t row = 0; row < rows->shape()[0]; row += 2) {
      const std::byte* data[2];
      const auto count = static_cast<size_t>(std::min<int64_t>(2, rows->shape()[0] - row));
      ASSERT_TRUE(rows->fetch(row, {data, count}, scratch).ok());
      for (size_t i = 0; i < count; ++i) {
        std::vector<float> got(static_cast<size_t>(columns));
        format_traits(rows->dtype()).decode(data[i], got.data(), columns);
        const auto from = want.begin() + (row + static_cast<int64_t>(i)) * columns;
        EXPECT_TRUE(std::equal(got.begin(), got.end(), from)) << row + static_cast<int64_t>(i);
      }
    }
  }
  std::string error(const WeightSpec& spec) {
    const auto found = find_weight(checkpoint(), spec);
    return found.ok() ? "" : found.error().message;
  }

 private:
  TestFolder folder_;
  std::string header_;
  std::string data_;
  std::optional<Checkpoint> checkpoint_;

 protected:
  int32_t num_by_rows_ = 0;  // matrices that expect_same_rows() compared
};

// Element [x][r][c] of a stack is 100 x + 10 r + c.
std::vector<float> numbered(int64_t matrices, int64_t rows, int64_t columns) {
  std::vector<float> values;
  for (int64_t x = 0; x < matrices; ++x) {
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < columns; ++c) {
        values.push_back(static_cast<float>(100 * x + 10 * r + c));
      }
    }
  }
  return values;
}

TEST_F(WeightSourceTest, AStackIsReadMatrixByMatrix) {
  add("w", {3, 2, 4}, numbered(3, 2, 4));
  EXPECT_EQ(read({.name = "w", .shape = {3, 2, 4}}), numbered(3, 2, 4));
  const WeightSpec spec = {.name = "w", .shape = {3, 2, 4}};
  EXPECT_EQ(find_weight(checkpoint(), spec).value()->scratch_bytes(), 2 * 4 * 4);
}

TEST_F(WeightSourceTest, ATensorForEachMatrixMakesTheSameStack) {
  const std::vector<float> all = numbered(2, 2, 4);
  add("e.1.w", {2, 4}, {all.begin() + 8, all.end()});
  add("e.0.w", {2, 4}, {all.begin(), all.begin() + 8});
  EXPECT_EQ(
      read(
          {.name = "w", .shape = {2, 2, 4}, .alternatives = {{.name = "e.{}.w", .shape = {2, 4}}}}),
      all);
}

TEST_F(WeightSourceTest, RowsOfAFusedStackAreTakenSideBySideOrAlternating) {
  const std::vector<float> all = numbered(2, 4, 3);
  add("fused", {2, 4, 3}, all);
  const auto part = [&](int32_t first, int32_t step) {
    return read({.name = "w",
                 .shape = {2, 2, 3},
                 .alternatives = {
                     {.name = "fused", .shape = {2, 4, 3}, .first_row = first, .row_step = step}}});
  };
  EXPECT_EQ(part(0, 1), (std::vector<float>{0, 1, 2, 10, 11, 12, 100, 101, 102, 110, 111, 112}));
  EXPECT_EQ(part(2, 1), (std::vector<float>{20, 21, 22, 30, 31, 32, 120, 121, 122, 130, 131, 132}));
  EXPECT_EQ(part(1, 2), (std::vector<float>{10, 11, 12, 30, 31, 32, 110, 111, 112, 130, 131, 132}));
  EXPECT_EQ(num_by_rows_, 6);
}

TEST_F(WeightSourceTest, TransposedStacksOfAnySizeAreTurned) {
  constexpr int64_t kRows = 70;
  constexpr int64_t kColumns = 33;
  std::vector<float> turned;
  std::vector<float> want;
  for (int64_t x = 0; x < 2; ++x) {
    for (int64_t c = 0; c < kColumns; ++c) {
      for (int64_t r = 0; r < kRows; ++r) {
        turned.push_back(static_cast<float>(10000 * x + 100 * r + c));
      }
    }
    for (int64_t r = 1; r < kRows; r += 2) {
      for (int64_t c = 0; c < kColumns; ++c) {
        want.push_back(static_cast<float>(10000 * x + 100 * r + c));
      }
    }
  }
  add("t", {2, kColumns, kRows}, turned);
  EXPECT_EQ(read({.name = "w",
                  .shape = {2, kRows / 2, kColumns},
                  .alternatives = {{.name = "t",
                                    .shape = {2, kColumns, kRows},
                                    .first_row = 1,
                                    .row_step = 2,
                                    .transposed = true}}}),
            want);
}

TEST_F(WeightSourceTest, AVectorMayBeEveryOtherElementOfAMatrix) {
  add("b", {2, 4}, {0, 1, 2, 3, 4, 5, 6, 7});
  const WeightSource odd = {.name = "b", .shape = {2, 4}, .first_row = 1, .row_step = 2};
  EXPECT_EQ(read({.name = "w", .shape = {4}, .alternatives = {odd}}),
            (std::vector<float>{1, 3, 5, 7}));
  EXPECT_EQ(read({.name = "b", .shape = {8}, .alternatives = {{.name = "b", .shape = {2, 4}}}}),
            (std::vector<float>{0, 1, 2, 3, 4, 5, 6, 7}));
}

TEST_F(WeightSourceTest, TheFirstPlaceOfTheRightShapeIsTaken) {
  add("w", {2, 2}, {1, 2, 3, 4});
  add("other", {1, 3}, {5, 6, 7});
  const WeightSpec spec = {
      .name = "w", .shape = {1, 3}, .alternatives = {{.name = "other", .shape = {1, 3}}}};
  EXPECT_EQ(read(spec), (std::vector<float>{5, 6, 7}));
  EXPECT_THAT(error({.name = "w", .shape = {3, 1}}),
              HasSubstr("tensor w has shape [2, 2], config.json asks for [3, 1]"));
  const WeightSpec absent = {.name = "x", .shape = {1}};
  EXPECT_FALSE(find_weight(checkpoint(), absent).value().has_value());
}

TEST_F(WeightSourceTest, ExpertsThatLackOneOrDifferAreNamed) {
  add("a.0.w", {1, 2}, {1, 2});
  add("b.0.w", {1, 2}, {1, 2});
  add("b.1.w", {2, 1}, {1, 2});
  add("c.0.w", {1, 2}, {1, 2});
  add_bytes("c.1.w", "BF16", {1, 2}, "abcd");
  add_bytes("d.0.w", "I64", {1, 1}, "abcdefgh");
  const auto error_of = [&](const std::string& letter, int64_t columns) {
    return error({.name = "w",
                  .shape = {2, 1, columns},
                  .alternatives = {{.name = letter + ".{}.w", .shape = {1, columns}}}});
  };
  EXPECT_THAT(error_of("a", 2), HasSubstr("lacks tensor a.1.w, one of 2 alike"));
  EXPECT_THAT(error_of("b", 2), HasSubstr("tensor b.1.w has shape [2, 1]"));
  EXPECT_THAT(error_of("c", 2), HasSubstr("c.1.w has dtype BF16, but c.0.w has F32"));
  EXPECT_THAT(error_of("d", 1), HasSubstr("d.0.w has dtype I64"));
}

}  // namespace
}  // namespace pagoda
