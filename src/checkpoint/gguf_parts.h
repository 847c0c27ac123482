// The files of a split GGUF model.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "checkpoint/gguf.h"

namespace pagoda {

// What a name of the form "BASE-00002-of-00003.gguf" says.
struct GgufPart {
  std::string_view base;  // a part of the name that was given
  int32_t number = 0;     // from 1
  int32_t count = 0;
};
std::optional<GgufPart> gguf_part(std::string_view path);

// Opens a GGUF model: one file, or all parts of a split one (llama.cpp, gguf-split), in their
// order. Each part stays open, so there may be at most 1000. kInvalidArgument for a path that is
// not the first part, and for parts whose "split.no", "split.count" or "split.tensors.count" is not
// what the names and the others say; errors of GgufFile::open.
Result<std::vector<GgufFile>> open_gguf_parts(const std::string& path);

}  // namespace pagoda
