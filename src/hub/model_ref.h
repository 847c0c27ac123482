// ModelRef: the name of a model on a hub, as people write it, and what may be a name there at all.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace pagoda {

// ORG/NAME[@REVISION][:QUANTIZATION]. Value type.
struct ModelRef {
  std::string repo;               // "ORG/NAME"; "NAME" for the hub's few models without an owner
  std::string revision = "main";  // branch, tag or commit
  std::string quantization;       // of a GGUF file, such as "Q4_K_M"; empty: not asked for
};

// Checks the shape only. The rules of names are those of huggingface_hub's validate_repo_id:
// letters and digits, '-', '_', '.'; no "--" or ".."; not '-' or '.' at an end; 96 characters.
Result<ModelRef> parse_model_ref(std::string_view text);

// Whether `text`, which is no file here, is meant as ORG/NAME: exactly one '/', and it parses.
bool looks_like_model_ref(std::string_view text);

// Whether a hub's name of a file or a branch may become a path below a folder of ours: relative,
// UTF-8 without control characters, no empty, "." or ".." component, none over 255 bytes, 1024 in
// all, at most 32 deep. The message shows the name with everything unprintable escaped.
Result<void> check_relative_path(std::string_view what, std::string_view path);

// 40 hexadecimal digits in lower case.
bool is_commit_hash(std::string_view text);
// 64 hexadecimal digits in lower case.
bool is_sha256(std::string_view text);

}  // namespace pagoda
