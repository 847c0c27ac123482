// Fuzzes quantized checkpoints: what the config and the list of tensors are trusted with can be
// decoded, whatever the tensors hold. An input is the config.json, a NUL, a tensor a line ("name
// dtype rows columns"), a NUL, and bytes that fill the tensors, over and over.
#include <algorithm>
#include <charconv>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "checkpoint/quantized_linear.h"

namespace {

// Up to the next `end`, which is dropped.
std::string_view take_until(std::string_view& text, char end) {
  const size_t at = std::min(text.find(end), text.size());
  const std::string_view taken = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return taken;
}

struct Tensor {
  pagoda::RawTensor raw;
  std::vector<std::byte> data;
};

// Bytes an element of a dtype that these tensors may have; 0 for others.
int64_t element_bytes(std::string_view dtype) {
  if (dtype == "I64") return 8;
  if (dtype == "I32" || dtype == "F32") return 4;
  if (dtype == "F16" || dtype == "BF16") return 2;
  return dtype == "I8" || dtype == "U8" || dtype == "F8_E4M3" ? 1 : 0;
}

std::optional<Tensor> parse_tensor(std::string_view line, std::string_view filling) {
  Tensor tensor;
  tensor.raw.name = take_until(line, ' ');
  tensor.raw.dtype_name = take_until(line, ' ');
  std::vector<int64_t> sides;
  int64_t num_bytes = element_bytes(tensor.raw.dtype_name);
  while (!line.empty()) {
    const std::string_view word = take_until(line, ' ');
    int64_t side = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), side);
    // A real file bounds the sizes; here they are bounded for speed.
    if (error != std::errc() || side < 0 || side > 4096 || sides.size() == 4) return std::nullopt;
    sides.push_back(side);
    num_bytes *= side;
    if (num_bytes > 1 << 17) return std::nullopt;
  }
  switch (sides.size()) {
    case 0: tensor.raw.shape = {}; break;
    case 1: tensor.raw.shape = {sides[0]}; break;
    case 2: tensor.raw.shape = {sides[0], sides[1]}; break;
    case 3: tensor.raw.shape = {sides[0], sides[1], sides[2]}; break;
    default: tensor.raw.shape = {sides[0], sides[1], sides[2], sides[3]};
  }
  tensor.data.resize(static_cast<size_t>(num_bytes));
  for (size_t i = 0; i < tensor.data.size() && !filling.empty(); ++i) {
    tensor.data[i] = static_cast<std::byte>(filling[i % filling.size()]);
  }
  return tensor;
}

pagoda::DType scale_dtype(std::string_view name) {
  if (name == "F32") return pagoda::DType::kF32;
  CHECK(name == "F16" || name == "BF16");
  return name == "F16" ? pagoda::DType::kF16 : pagoda::DType::kBF16;
}

void decode(const pagoda::QuantizedLinear& linear, const std::vector<Tensor>& tensors) {
  CHECK(linear.out > 0 && linear.in > 0);
  const auto contents = [&](std::optional<size_t> index) {
    return index ? std::span<const std::byte>(tensors.at(*index).data)
                 : std::span<const std::byte>();
  };
  const pagoda::QuantizedData data = {
      .codes = contents(linear.codes),
      .scales = contents(linear.scales),
      .zeros = contents(linear.zeros),
      .group_index = contents(linear.group_index),
      .scale_dtype = scale_dtype(tensors.at(linear.scales).raw.dtype_name)};
  const int64_t count = linear.out * linear.in;
  std::vector<std::byte> blocks(static_cast<size_t>(pagoda::dtype_bytes(linear.dtype, count)));
  if (!pagoda::read_quantized_linear(linear, data, blocks).ok()) return;
  std::vector<float> values(static_cast<size_t>(count));
  pagoda::format_traits(linear.dtype).decode(blocks.data(), values.data(), count);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t num_bytes) {
  std::string_view input(reinterpret_cast<const char*>(data), num_bytes);
  const std::string_view config = take_until(input, '\0');
  std::string_view lines = take_until(input, '\0');
  std::vector<Tensor> tensors;
  std::vector<pagoda::RawTensor> raw;
  while (!lines.empty() && tensors.size() < 16) {
    auto tensor = parse_tensor(take_until(lines, '\n'), input);
    if (!tensor) return 0;
    tensors.push_back(*std::move(tensor));
    raw.push_back(tensors.back().raw);
  }
  const auto found = pagoda::find_quantized_linears(config, raw);
  if (!found.ok()) {
    CHECK(!found.error().message.empty());
    return 0;
  }
  for (const pagoda::QuantizedLinear& linear : *found) decode(linear, tensors);
  return 0;
}
