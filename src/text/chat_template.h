// ChatTemplate: messages to the prompt a model was trained on, by the Jinja template its makers
// published.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"

namespace pagoda {

// Immutable after construction; thread-safe.
class ChatTemplate {
 public:
  // Parses the template. kInvalidArgument with line and reason for a syntax error. `source` is
  // untrusted.
  static Result<std::shared_ptr<const ChatTemplate>> create(std::string_view source);
  ~ChatTemplate();

  // Renders with Hugging Face's settings (trim_blocks, lstrip_blocks, loopcontrols,
  // raise_exception, strftime_now, tojson without HTML escapes). `variables` is an object:
  // messages, add_generation_prompt, bos_token, eos_token, tools, ... Steps, depth and output are
  // bounded. kInvalidArgument: the template raised an exception (its text), used something
  // undefined, or went over a budget.
  Result<std::string> render(const Json& variables) const;

  const std::string& source() const;

 private:
  struct Impl;
  explicit ChatTemplate(std::unique_ptr<const Impl> impl);
  std::unique_ptr<const Impl> impl_;
};

}  // namespace pagoda
