// `pagoda render`: the prompt that a chat template makes of messages, without loading any weights.
#include <fmt/core.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <utility>

#include "app/commands.h"
#include "app/model_files.h"
#include "app/model_source.h"
#include "base/json.h"
#include "text/chat_template.h"

namespace pagoda {
namespace {

constexpr size_t kMaxFileBytes = size_t{64} << 20;

Result<std::string> read_file(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return invalid_argument(path + ": is a folder, not a file");
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) return Error{ErrorCode::kNotFound, path + ": no such file, or it cannot be read"};
  // Read by pieces up to the limit: the file may be a pipe, which has no size.
  std::string text;
  std::string piece(size_t{1} << 16, '\0');
  while (file.read(piece.data(), static_cast<std::streamsize>(piece.size())) || file.gcount() > 0) {
    text.append(piece, 0, static_cast<size_t>(file.gcount()));
    if (text.size() > kMaxFileBytes) {
      return Error{ErrorCode::kTooLarge,
                   fmt::format("{}: over the limit of {} bytes", path, kMaxFileBytes)};
    }
  }
  return text;
}

Result<Json> read_json_file(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, read_file(path));
  auto json = parse_json(text);
  if (!json.ok()) return Error{json.error().code, path + ": " + json.error().message};
  return json;
}

// Adds what the file says: a list of messages, or an object whose members are those of a chat
// request that templates see.
Result<void> add_messages(const std::string& path, Json& variables) {
  ASSIGN_OR_RETURN(const Json json, read_json_file(path));
  if (json.is_array()) {
    variables["messages"] = json;
    return {};
  }
  if (!json.is_object() || !json.contains("messages") || !json["messages"].is_array()) {
    return invalid_argument(path + R"(: neither a list of messages nor an object with "messages")");
  }
  for (const char* key :
       {"messages", "tools", "documents", "add_generation_prompt", "reasoning_effort"}) {
    if (json.contains(key)) variables[key] = json[key];
  }
  const auto more = json.find("chat_template_kwargs");
  if (more == json.end() || more->is_null()) return {};
  if (!more->is_object()) {
    return invalid_argument(path + ": chat_template_kwargs: must be an object");
  }
  for (const auto& [key, value] : more->items()) variables[key] = value;
  return {};
}

// The tools are a list, or an object with "tools".
Result<void> add_tools(const std::string& path, Json& variables) {
  ASSIGN_OR_RETURN(const Json json, read_json_file(path));
  const Json* tools = &json;
  if (json.is_object() && json.contains("tools")) tools = &json["tools"];
  if (!tools->is_array()) {
    return invalid_argument(path + R"(: neither a list of tools nor an object with "tools")");
  }
  variables["tools"] = *tools;
  return {};
}

// NAME=VALUE, the value being JSON or else a text.
Result<void> add_variable(const std::string& assignment, Json& variables) {
  const size_t equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0) {
    return invalid_argument(fmt::format("--var '{:.60}': is not NAME=VALUE", assignment));
  }
  const std::string text = assignment.substr(equals + 1);
  auto json = parse_json(text);
  variables[assignment.substr(0, equals)] = json.ok() ? std::move(json).value() : Json(text);
  return {};
}

Result<std::shared_ptr<const ChatTemplate>> find_template(const RenderOptions& options,
                                                          Json& variables) {
  if (options.model.empty()) {
    if (options.template_file.empty()) {
      return invalid_argument("render: a MODEL or --template FILE is needed");
    }
    ASSIGN_OR_RETURN(const std::string source, read_file(options.template_file));
    auto made = ChatTemplate::create(source);
    if (!made.ok()) {
      return Error{made.error().code, options.template_file + ": " + made.error().message};
    }
    return made;
  }
  ASSIGN_OR_RETURN(const ModelSource source, resolve_model(options.model));
  ASSIGN_OR_RETURN(const ModelFolder model, read_model_texts(source.path, options.template_file));
  if (model.chat_template == nullptr) {
    return Error{ErrorCode::kUnsupported,
                 options.model + ": has no chat template; use --template FILE"};
  }
  if (!model.bos_token.empty()) variables["bos_token"] = model.bos_token;
  if (!model.eos_token.empty()) variables["eos_token"] = model.eos_token;
  return model.chat_template;
}

}  // namespace

Result<void> render(const RenderOptions& options) {
  Json variables = Json::object();
  ASSIGN_OR_RETURN(const auto chat_template, find_template(options, variables));
  // As Transformers gives them when there are none.
  variables["tools"] = Json();
  variables["documents"] = Json();
  variables["add_generation_prompt"] = true;
  RETURN_IF_ERROR(add_messages(options.messages_file, variables));
  if (!options.tools_file.empty()) RETURN_IF_ERROR(add_tools(options.tools_file, variables));
  if (options.no_generation_prompt) variables["add_generation_prompt"] = false;
  for (const std::string& assignment : options.variables) {
    RETURN_IF_ERROR(add_variable(assignment, variables));
  }
  const auto text = chat_template->render(variables);
  if (!text.ok()) {
    const std::string& source =
        options.template_file.empty() ? options.model : options.template_file;
    return Error{text.error().code, source + ": chat template: " + text.error().message};
  }
  std::fwrite(text->data(), 1, text->size(), stdout);
  if (std::fflush(stdout) != 0) return Error{ErrorCode::kInternal, "stdout: cannot be written"};
  return {};
}

}  // namespace pagoda
