// safetensors: the header of a weight file and the index of a sharded one, checked to the last
// byte.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "checkpoint/read_only_file.h"
#include "tensor/tensor.h"

namespace pagoda {

// One tensor of a file. Plain value.
struct SafetensorsEntry {
  std::string name;
  std::string dtype_name;      // as written: "BF16"
  std::optional<DType> dtype;  // empty for formats that cannot be a weight here: "I64", "F8_E4M3"
  Shape shape;
  int64_t offset = 0;     // bytes from the start of the file's data section
  int64_t num_bytes = 0;  // of the data, shape times element width
};

// Limits beyond which a header is refused; the largest published checkpoints stay far below.
inline constexpr int64_t kMaxSafetensorsHeaderBytes = int64_t{32} << 20;
inline constexpr int32_t kMaxSafetensorsRank = 4;

// Parses the JSON header of a file whose data section holds `data_bytes`. The format is that of
// https://github.com/huggingface/safetensors (README, "Format"): name -> {dtype, shape,
// data_offsets}, offsets counted from the end of the header. Refuses, as kInvalidArgument naming
// the tensor: duplicate names, unknown dtypes, shapes whose byte size is not that of the offsets,
// ranges beyond the data, and ranges that overlap or leave holes. Entries come in order of offset.
Result<std::vector<SafetensorsEntry>> parse_safetensors_header(std::string_view json,
                                                               int64_t data_bytes);

// The entries of `file` and where its data section starts.
struct SafetensorsFile {
  std::vector<SafetensorsEntry> entries;
  int64_t data_start = 0;  // bytes
};
Result<SafetensorsFile> read_safetensors(const ReadOnlyFile& file);

// model.safetensors.index.json: which file holds which tensor.
struct SafetensorsIndexEntry {
  std::string tensor;
  std::string file;  // a plain file name: no folder, so that an index cannot point elsewhere
};
Result<std::vector<SafetensorsIndexEntry>> parse_safetensors_index(std::string_view json);

}  // namespace pagoda
