// Fuzzes chat templates. Input: the template, then after a NUL the variables as JSON.
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/check.h"
#include "base/json.h"
#include "text/chat_template.h"

namespace {

pagoda::Json default_variables() {
  const auto parsed = pagoda::parse_json(R"({
    "messages": [{"role": "system", "content": "Be kind."},
                 {"role": "user", "content": " Hi <b> \"there\" "},
                 {"role": "assistant", "content": null,
                  "tool_calls": [{"id": "c1", "type": "function",
                                  "function": {"name": "f", "arguments": {"a": [1, 2.5, true]}}}]},
                 {"role": "tool", "tool_call_id": "c1", "name": "f", "content": "21 \u00b0C"},
                 {"role": "user", "content": [{"type": "text", "text": "\ud55c\uad6d\uc5b4"}]}],
    "documents": null, "enable_thinking": false, "nothing": null, "deep": [[1, [2, {"k": []}]]],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    "add_generation_prompt": true, "bos_token": "<s>", "eos_token": "</s>"})");
  CHECK(parsed.ok());
  return *parsed;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t num_bytes) {
  static const pagoda::Json kDefault = default_variables();
  const std::string_view input(reinterpret_cast<const char*>(data), num_bytes);
  const size_t end = input.find('\0');
  const auto chat_template = pagoda::ChatTemplate::create(input.substr(0, end));
  if (!chat_template.ok()) {
    CHECK(!chat_template.error().message.empty());
    return 0;
  }
  auto rendered = (*chat_template)->render(kDefault);
  CHECK(rendered.ok() || !rendered.error().message.empty());
  if (end == std::string_view::npos) return 0;
  const auto variables = pagoda::parse_json(input.substr(end + 1));
  if (variables.ok() && variables->is_object()) rendered = (*chat_template)->render(*variables);
  return 0;
}
