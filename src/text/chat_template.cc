// ChatTemplate: a parsed Jinja template.
#include "text/chat_template.h"

#include <utility>

#include "text/jinja/interpreter.h"
#include "text/jinja/parser.h"

namespace pagoda {

struct ChatTemplate::Impl {
  std::string source;
  jinja::Template parsed;
};

ChatTemplate::ChatTemplate(std::unique_ptr<const Impl> impl) : impl_(std::move(impl)) {
}
ChatTemplate::~ChatTemplate() = default;

Result<std::shared_ptr<const ChatTemplate>> ChatTemplate::create(std::string_view source) {
  auto impl = std::make_unique<Impl>();
  impl->source = source;
  ASSIGN_OR_RETURN(impl->parsed, jinja::parse_template(source));
  return std::shared_ptr<const ChatTemplate>(new ChatTemplate(std::move(impl)));
}

Result<std::string> ChatTemplate::render(const Json& variables) const {
  return jinja::render(impl_->parsed, variables, jinja::Limits{});
}

const std::string& ChatTemplate::source() const {
  return impl_->source;
}

}  // namespace pagoda
