// `pagoda tokenize`: the token ids of standard input.
#include <fmt/core.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "app/commands.h"
#include "app/model_files.h"
#include "app/model_source.h"
#include "base/json.h"
#include "text/unicode.h"

namespace pagoda {
namespace {

constexpr size_t kMaxInputBytes = size_t{256} << 20;

Result<std::string> read_standard_input() {
  std::string bytes;
  std::vector<char> buffer(size_t{1} << 16);
  while (true) {
    const size_t count = std::fread(buffer.data(), 1, buffer.size(), stdin);
    bytes.append(buffer.data(), count);
    if (bytes.size() > kMaxInputBytes) {
      return Error{ErrorCode::kTooLarge,
                   fmt::format("standard input: over the limit of {} bytes", kMaxInputBytes)};
    }
    if (count < buffer.size()) break;
  }
  if (std::ferror(stdin) != 0) return Error{ErrorCode::kInternal, "standard input: read error"};
  return bytes;
}

Result<void> print_text(const Tokenizer& tokenizer, std::string_view text,
                        const TokenizeOptions& options) {
  ASSIGN_OR_RETURN(const std::vector<int32_t> ids,
                   tokenizer.encode(text, {.add_special_tokens = options.add_special}));
  std::string line = options.decode ? "{\"ids\":[" : "[";
  for (size_t i = 0; i < ids.size(); ++i) {
    if (i > 0) line += ',';
    line += std::to_string(ids[i]);
  }
  line += ']';
  if (options.decode) {
    line += ",\"text\":\"";
    append_json_escaped(line, tokenizer.decode(ids, !options.add_special));
    line += "\"}";
  }
  line += '\n';
  if (std::fwrite(line.data(), 1, line.size(), stdout) != line.size()) {
    return Error{ErrorCode::kInternal, "standard output: write error"};
  }
  return {};
}

}  // namespace

Result<void> tokenize(const TokenizeOptions& options) {
  if (options.model.empty()) return invalid_argument("tokenize: MODEL is empty");
  ASSIGN_OR_RETURN(const ModelSource source, resolve_model(options.model));
  ASSIGN_OR_RETURN(const auto tokenizer, read_model_tokenizer(source.path));
  ASSIGN_OR_RETURN(std::string input, read_standard_input());
  if (!is_valid_utf8(input)) {
    std::fputs("pagoda: standard input is not valid UTF-8: U+FFFD stands for what is not\n",
               stderr);
    std::string replaced;
    if (append_utf8_lossy(input, replaced) < input.size()) replaced += kReplacementCharacter;
    input = std::move(replaced);
  }
  std::string_view rest = input;
  while (true) {
    const size_t end = options.null ? rest.find('\0') : std::string_view::npos;
    RETURN_IF_ERROR(print_text(*tokenizer, rest.substr(0, end), options));
    if (end == std::string_view::npos) return {};
    rest.remove_prefix(end + 1);
  }
}

}  // namespace pagoda
