// Reading "quantization_config" and finding the tensors it is about.
#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <utility>

#include "base/json.h"
#include "checkpoint/quantized_linear.h"

namespace pagoda {
namespace {

Error unsupported(const std::string& what) {
  return {ErrorCode::kUnsupported, "config.json: \"quantization_config\": " + what};
}

// What the methods say beyond the shapes of their tensors.
struct Method {
  enum class Kind { kNone, kGptq, kAwq, kCompressed, kFp8 } kind = Kind::kNone;
  int64_t bits = 4;
  int64_t group_size = -1;  // -1: a whole row
  bool is_symmetric = true;
  bool has_column_order = false;
  int32_t zero_offset = 0;
  int64_t block_rows = 128, block_columns = 128;
};

int64_t whole_number(const Json& object, const char* key, int64_t fallback) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_integer()) return fallback;
  return found->get<int64_t>();
}
bool flag(const Json& object, const char* key, bool fallback) {
  const auto found = object.find(key);
  return found != object.end() && found->is_boolean() ? found->get<bool>() : fallback;
}
std::string text(const Json& object, const char* key, const char* fallback) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : fallback;
}

Result<void> check_group_size(int64_t size) {
  constexpr int64_t kMaxGroup = 1 << 20;
  if (size == -1 || (size > 0 && size <= kMaxGroup)) return {};
  return invalid_argument(
      fmt::format("config.json: \"quantization_config\": a group size of {}, must be -1 or 1..{}",
                  size, kMaxGroup));
}

Result<Method> parse_gptq(const Json& config) {
  Method method = {.kind = Method::Kind::kGptq};
  method.bits = whole_number(config, "bits", 4);
  if (method.bits != 4 && method.bits != 8) {
    return unsupported(fmt::format("GPTQ of {} bits; supported are 4 and 8", method.bits));
  }
  method.group_size = whole_number(config, "group_size", -1);
  RETURN_IF_ERROR(check_group_size(method.group_size));
  method.is_symmetric = flag(config, "sym", true);
  method.has_column_order = flag(config, "desc_act", false);
  const std::string format = text(config, "checkpoint_format", "gptq");
  if (format != "gptq" && format != "gptq_v2") {
    return unsupported(fmt::format("GPTQ checkpoint format \"{}\"; supported are gptq and gptq_v2",
                                   format.substr(0, 80)));
  }
  // The first format stores each zero less one.
  method.zero_offset = format == "gptq" ? 1 : 0;
  return method;
}

Result<Method> parse_awq(const Json& config) {
  Method method = {.kind = Method::Kind::kAwq};
  method.bits = whole_number(config, "bits", whole_number(config, "w_bit", 4));
  if (method.bits != 4)
    return unsupported(fmt::format("AWQ of {} bits; supported are 4", method.bits));
  method.group_size = whole_number(config, "group_size", whole_number(config, "q_group_size", 128));
  RETURN_IF_ERROR(check_group_size(method.group_size));
  method.is_symmetric = !flag(config, "zero_point", true);
  const std::string version = text(config, "version", "gemm");
  if (version != "gemm" && version != "GEMM") {
    return unsupported(fmt::format("AWQ version \"{}\"; supported is gemm", version.substr(0, 80)));
  }
  return method;
}

void take_block_shape(const Json& object, const char* key, Method& method) {
  const auto shape = object.find(key);
  if (shape == object.end() || !shape->is_array() || shape->size() != 2) return;
  constexpr int64_t kMaxBlock = 1 << 16;
  for (const Json& side : *shape) {
    if (!side.is_number_unsigned() || side < 1 || side > kMaxBlock) return;
  }
  method.block_rows = (*shape)[0].get<int64_t>();
  method.block_columns = (*shape)[1].get<int64_t>();
}

Result<Method> parse_compressed(const Json& config) {
  Method method = {.kind = Method::Kind::kCompressed};
  const std::string format = text(config, "format", "");
  constexpr std::string_view kFormats[] = {"pack-quantized", "int-quantized", "float-quantized",
                                           "naive-quantized"};
  if (std::ranges::find(kFormats, format) == std::end(kFormats)) {
    return unsupported(
        fmt::format("compressed-tensors format \"{}\"; supported are pack-quantized, "
                    "int-quantized, float-quantized and naive-quantized",
                    format.substr(0, 80)));
  }
  // Rotations of the activations, which the codes alone do not undo.
  const auto transform = config.find("transform_config");
  if (transform != config.end() && !transform->is_null() && !transform->empty()) {
    return unsupported("\"transform_config\"");
  }
  const auto groups = config.find("config_groups");
  if (groups == config.end() || !groups->is_object()) return method;
  std::optional<int64_t> bits;
  for (const auto& [name, group] : groups->items()) {
    if (!group.is_object() || !group.contains("weights") || !group["weights"].is_object()) continue;
    const Json& weights = group["weights"];
    const int64_t group_bits = whole_number(weights, "num_bits", 8);
    if ((group_bits != 4 && group_bits != 8) || bits.value_or(group_bits) != group_bits) {
      return unsupported(fmt::format("{} bits in group {}; supported are 4 or 8, the same in all",
                                     group_bits, name.substr(0, 80)));
    }
    bits = group_bits;
    method.bits = group_bits;
    take_block_shape(weights, "block_structure", method);
    const std::string order = text(weights, "actorder", "");
    method.has_column_order = method.has_column_order || order == "group";
  }
  return method;
}

Result<Method> parse_method(std::string_view config_json) {
  auto parsed = parse_json(config_json, {.max_bytes = size_t{1} << 20});
  // A config.json that is no JSON is the model's to refuse.
  if (!parsed.ok() || !parsed->is_object()) return Method{};
  const auto found = parsed->find("quantization_config");
  if (found == parsed->end() || found->is_null()) return Method{};
  if (!found->is_object()) {
    return invalid_argument("config.json: \"quantization_config\" is not an object");
  }
  const std::string name = text(*found, "quant_method", "");
  if (name == "gptq") return parse_gptq(*found);
  if (name == "awq") return parse_awq(*found);
  if (name == "compressed-tensors") return parse_compressed(*found);
  if (name == "mxfp4") return Method{};
  if (name == "fp8") {
    Method method = {.kind = Method::Kind::kFp8};
    take_block_shape(*found, "weight_block_size", method);
    return method;
  }
  return unsupported(fmt::format(
      "method \"{}\"; supported are gptq, awq, compressed-tensors and fp8", name.substr(0, 80)));
}

// Finds and checks the tensors of one matrix after another.
class Finder {
 public:
  Finder(const Method& method, std::span<const RawTensor> tensors)
      : method_(method), tensors_(tensors) {
    for (size_t i = 0; i < tensors.size(); ++i) index_.emplace(tensors[i].name, i);
  }

  Result<std::vector<QuantizedLinear>> find() const {
    std::vector<QuantizedLinear> found;
    for (size_t i = 0; i < tensors_.size(); ++i) {
      std::string_view name = tensors_[i].name;
      const auto ends = [&](std::string_view ending) {
        if (!name.ends_with(ending)) return false;
        name.remove_suffix(ending.size());
        return true;
      };
      QuantizedLinear linear;
      linear.codes = i;
      if (method_.kind == Method::Kind::kGptq && ends(".qweight")) {
        linear.layout = CodeLayout::kGptq;
      } else if (method_.kind == Method::Kind::kAwq && ends(".qweight")) {
        linear.layout = CodeLayout::kAwq;
      } else if (method_.kind == Method::Kind::kCompressed && ends(".weight_packed")) {
        linear.layout = CodeLayout::kPacked;
      } else if ((method_.kind == Method::Kind::kCompressed ||
                  method_.kind == Method::Kind::kFp8) &&
                 is_byte_matrix(tensors_[i]) && ends(".weight")) {
        linear.layout = CodeLayout::kBytes;
      } else {
        continue;
      }
      linear.name = std::string(name) + ".weight";
      RETURN_IF_ERROR(complete(std::string(name), linear));
      found.push_back(std::move(linear));
    }
    return found;
  }

 private:
  static bool is_byte_matrix(const RawTensor& tensor) {
    return tensor.shape.rank() == 2 &&
           (tensor.dtype_name == "I8" || tensor.dtype_name == "F8_E4M3");
  }

  std::optional<size_t> at(const std::string& name) const {
    const auto found = index_.find(name);
    return found == index_.end() ? std::nullopt : std::optional<size_t>(found->second);
  }

  Error bad(size_t tensor, const std::string& wanted) const {
    const RawTensor& t = tensors_[tensor];
    return invalid_argument(fmt::format("tensor {} is {} {}, wanted {}", t.name, t.dtype_name,
                                        to_string(t.shape), wanted));
  }
  Result<void> expect(size_t tensor, std::string_view dtype, const Shape& shape) const {
    if (tensors_[tensor].dtype_name == dtype && tensors_[tensor].shape == shape) return {};
    return bad(tensor, fmt::format("{} {}", dtype, to_string(shape)));
  }

  Result<void> complete(const std::string& prefix, QuantizedLinear& linear) const {
    linear.zero_offset = method_.zero_offset;
    linear.is_symmetric = method_.is_symmetric;
    RETURN_IF_ERROR(codes_shape(linear));
    const bool bytes = linear.layout == CodeLayout::kBytes;
    std::optional<size_t> scales =
        at(prefix + (linear.layout == CodeLayout::kGptq || linear.layout == CodeLayout::kAwq
                         ? ".scales"
                         : ".weight_scale"));
    if (!scales && bytes) scales = at(prefix + ".weight_scale_inv");
    if (!scales) return invalid_argument(fmt::format("tensor {} has no scales", linear.name));
    linear.scales = *scales;
    const std::string_view dtype = tensors_[*scales].dtype_name;
    if (dtype != "F16" && dtype != "BF16" && dtype != "F32") {
      return bad(*scales, "F16, BF16 or F32");
    }
    RETURN_IF_ERROR(scales_shape(linear));
    RETURN_IF_ERROR(zeros_shape(prefix, linear));
    RETURN_IF_ERROR(column_order(prefix, linear));
    choose_dtype(linear);
    return {};
  }

  // Sizes from the codes alone. Every factor is bounded by the tensor's own size.
  Result<void> codes_shape(QuantizedLinear& linear) const {
    const RawTensor& codes = tensors_[linear.codes];
    if (codes.shape.rank() != 2) return bad(linear.codes, "a matrix");
    if (linear.layout == CodeLayout::kBytes) {
      linear.is_fp8 = codes.dtype_name == "F8_E4M3";
      linear.bits = 8;
      linear.out = codes.shape[0];
      linear.in = codes.shape[1];
    } else {
      if (codes.dtype_name != "I32") return bad(linear.codes, "I32");
      linear.bits = static_cast<int32_t>(method_.bits);
      const int64_t per_word = 32 / linear.bits;
      switch (linear.layout) {
        case CodeLayout::kGptq:
          linear.in = codes.shape[0] * per_word;
          linear.out = codes.shape[1];
          break;
        case CodeLayout::kAwq:
          linear.in = codes.shape[0];
          linear.out = codes.shape[1] * per_word;
          break;
        default: linear.out = codes.shape[0]; linear.in = codes.shape[1] * per_word;
      }
    }
    if (linear.in < 1 || linear.out < 1) return bad(linear.codes, "a matrix that is not empty");
    return {};
  }

  Result<void> scales_shape(QuantizedLinear& linear) const {
    const Shape& shape = tensors_[linear.scales].shape;
    const auto groups_of = [&](int64_t count) -> Result<void> {
      if (count < 1 || linear.in % count != 0) {
        return bad(linear.scales, fmt::format("a number of groups that divides {}", linear.in));
      }
      linear.scale_columns = linear.in / count;
      return {};
    };
    if (linear.layout == CodeLayout::kGptq || linear.layout == CodeLayout::kAwq) {
      if (shape.rank() != 2 || shape[1] != linear.out) {
        return bad(linear.scales, fmt::format("[groups, {}]", linear.out));
      }
      // The last group may be shorter.
      const int64_t size = method_.group_size == -1 ? linear.in : method_.group_size;
      if (shape[0] != (linear.in + size - 1) / size) {
        return bad(linear.scales,
                   fmt::format("[{}, {}]", (linear.in + size - 1) / size, linear.out));
      }
      linear.scale_columns = size;
      return {};
    }
    if (shape.num_elements() == 1 && shape.rank() <= 2) {
      linear.scale_rows = linear.out;
      linear.scale_columns = linear.in;
      return {};
    }
    if (shape.rank() == 1 && shape[0] == linear.out) return groups_of(1);
    if (shape.rank() != 2) return bad(linear.scales, fmt::format("[{}, groups]", linear.out));
    if (shape[0] == linear.out) return groups_of(shape[1]);
    const int64_t rows = (linear.out + method_.block_rows - 1) / method_.block_rows;
    const int64_t columns = (linear.in + method_.block_columns - 1) / method_.block_columns;
    linear.scale_rows = method_.block_rows;
    linear.scale_columns = method_.block_columns;
    if (linear.layout == CodeLayout::kBytes && shape == Shape{rows, columns}) return {};
    return bad(linear.scales, fmt::format("[{}, groups] or [{}, {}]", linear.out, rows, columns));
  }

  Result<void> zeros_shape(const std::string& prefix, QuantizedLinear& linear) const {
    const int64_t groups = (linear.in + linear.scale_columns - 1) / linear.scale_columns;
    const int64_t per_word = 32 / linear.bits;
    if (linear.layout == CodeLayout::kGptq || linear.layout == CodeLayout::kAwq) {
      linear.zeros = at(prefix + ".qzeros");
      if (!linear.zeros && !linear.is_symmetric) {
        return invalid_argument(fmt::format("tensor {} has no zeros", linear.name));
      }
      if (!linear.zeros) return {};
      if (linear.out % per_word != 0) return bad(linear.codes, "rows that fill whole words");
      return expect(*linear.zeros, "I32", {groups, linear.out / per_word});
    }
    linear.zeros = at(prefix + ".weight_zero_point");
    linear.is_symmetric = !linear.zeros.has_value();
    if (!linear.zeros) return {};
    if (linear.is_fp8 || linear.scale_rows != 1) {
      return Error{ErrorCode::kUnsupported,
                   fmt::format("tensor {}: zeros of FP8 or of blocks", linear.name)};
    }
    if (linear.layout == CodeLayout::kBytes)
      return expect(*linear.zeros, "I8", {linear.out, groups});
    if (linear.out % per_word != 0) return bad(linear.codes, "rows that fill whole words");
    return expect(*linear.zeros, "I32", {linear.out / per_word, groups});
  }

  Result<void> column_order(const std::string& prefix, QuantizedLinear& linear) const {
    linear.group_index =
        at(prefix + (linear.layout == CodeLayout::kGptq ? ".g_idx" : ".weight_g_idx"));
    // A checkpoint may carry a plain order without asking for it.
    linear.has_column_order = method_.has_column_order && linear.group_index.has_value();
    if (!linear.group_index) return {};
    return expect(*linear.group_index, "I32", {linear.in});
  }

  static void choose_dtype(QuantizedLinear& linear) {
    constexpr int64_t kBlock = 32;
    linear.dtype = linear.in % kBlock == 0 ? DType::kQ8_0 : DType::kF32;
    // Blocks hold codes as they are when one scale covers each, and 8 bits have no zero to keep.
    const bool whole = linear.in % kBlock == 0 && linear.scale_columns % kBlock == 0;
    linear.is_exact = whole && !linear.is_fp8 && !linear.has_column_order &&
                      (linear.bits == 4 || linear.is_symmetric);
    if (linear.is_exact && linear.bits == 4) {
      linear.dtype = linear.is_symmetric ? DType::kQ4_0 : DType::kQ4_1;
    }
  }

  const Method& method_;
  std::span<const RawTensor> tensors_;
  std::unordered_map<std::string_view, size_t> index_;
};

}  // namespace

Result<std::vector<QuantizedLinear>> find_quantized_linears(std::string_view config_json,
                                                            std::span<const RawTensor> tensors) {
  ASSIGN_OR_RETURN(const Method method, parse_method(config_json));
  if (method.kind == Method::Kind::kNone) return std::vector<QuantizedLinear>();
  return Finder(method, tensors).find();
}

}  // namespace pagoda
