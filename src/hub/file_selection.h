// Which files of a repository are the model.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace pagoda {

struct SelectionRules {
  std::string quantization = {};  // of the GGUF file wanted; empty: any
  // Globs (fnmatch) over whole paths. `include` replaces the usual choice; `exclude` takes away.
  std::vector<std::string> include = {};
  std::vector<std::string> exclude = {};
};

struct Selection {
  std::vector<std::string> paths;  // weights last
  // The first file when the model is GGUF; empty when it is the folder.
  std::string gguf_file;
};

// Chooses from the paths of a repository, of a hub or of the cache. Without rules: the JSON files,
// the tokenizer, the templates and the *.safetensors at the top, model*.safetensors before others
// (`consolidated` is the same weights again); where there are none, the only GGUF model. Folders
// such as original/ and onnx/ are other formats of the same model. kNotFound lists the candidates
// when nothing or more than one model fits; kUnsupported when the weights are only pickles.
Result<Selection> select_files(const std::vector<std::string>& paths, const SelectionRules& rules);

// Whether the file is weights: *.safetensors or *.gguf.
bool is_weights_file(std::string_view path);

// The first missing part of a model in parts (NAME-00001-of-00003.safetensors, .gguf), or empty.
std::string missing_part(const std::vector<std::string>& paths);

}  // namespace pagoda
