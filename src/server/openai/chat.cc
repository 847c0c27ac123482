// Chat requests: messages to the prompt.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "server/openai/job.h"

namespace pagoda::openai {
namespace {

constexpr int64_t kMaxTopLogprobs = 20;

// The text of a part, or an Error naming what it is instead.
Result<std::string> part_text(const Json& part, const std::string& path) {
  if (part.is_string()) return part.get<std::string>();
  if (!part.is_object()) {
    return invalid_argument(path + ": a content part must be an object, not " + describe(part),
                            path);
  }
  Fields fields(part, path);
  const std::string type = fields.string("type", "text");
  RETURN_IF_ERROR(fields.status());
  const bool is_text = type == "text" || type == "input_text" || type == "output_text";
  const bool is_refusal = type == "refusal";
  if (!is_text && !is_refusal) {
    return invalid_argument(fmt::format("{}: parts of type '{}' are not supported, text only",
                                        fields.path("type"), type.substr(0, 40)),
                            fields.path("type"));
  }
  const char* key = is_text ? "text" : "refusal";
  if (fields.find(key) == nullptr) fields.refuse(key, "is missing");
  std::string text = fields.string(key);
  RETURN_IF_ERROR(fields.status());
  return text;
}

// Content as one string: parts joined by newlines, as vLLM does.
Result<std::string> content_text(const Json& content, const std::string& path) {
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array()) {
    return invalid_argument(
        path + ": must be a string or an array of content parts, not " + describe(content), path);
  }
  std::string text;
  size_t index = 0;
  for (const Json& part : content) {
    ASSIGN_OR_RETURN(const std::string piece, part_text(part, fmt::format("{}.{}", path, index)));
    if (index > 0) text += '\n';
    text += piece;
    ++index;
  }
  return text;
}

// Templates expect a call's arguments as an object; the API carries them as JSON in a string.
Result<Json> tool_calls_for_template(const Json& calls, const std::string& path) {
  if (!calls.is_array()) {
    return invalid_argument(path + ": must be an array, not " + describe(calls), path);
  }
  Json result = Json::array();
  for (const Json& call : calls) {
    const std::string where = fmt::format("{}.{}.function", path, result.size());
    const bool has_function =
        call.is_object() && call.contains("function") && call["function"].is_object();
    if (!has_function) return invalid_argument(where + ": must be an object", where);
    Json copy = call;
    Json& function = copy["function"];
    if (!function.contains("name") || !function["name"].is_string()) {
      return invalid_argument(where + ".name: must be a string", where + ".name");
    }
    const auto arguments = function.find("arguments");
    if (arguments == function.end() || arguments->is_null() || *arguments == Json("")) {
      function["arguments"] = Json::object();
    } else if (arguments->is_string()) {
      auto parsed = parse_json(arguments->get_ref<const std::string&>());
      if (!parsed.ok()) {
        return invalid_argument(where + ".arguments: is not JSON: " + parsed.error().message,
                                where + ".arguments");
      }
      function["arguments"] = std::move(parsed).value();
    }
    result.push_back(std::move(copy));
  }
  return result;
}

// What a template can cope with, by its text.
struct TemplateManners {
  bool knows_developer = false;  // the role
  bool asks_for_none = false;    // whether a message's content is none
};

TemplateManners manners_of(std::string_view source) {
  TemplateManners manners;
  manners.knows_developer = source.find("developer") != std::string_view::npos;
  constexpr std::string_view kContent = "content";
  for (size_t at = source.find(kContent); at != std::string_view::npos;
       at = source.find(kContent, at + 1)) {
    std::string_view rest = source.substr(at + kContent.size());
    for (const std::string_view part : {"'", "\"", "]"}) {
      if (rest.starts_with(part)) rest.remove_prefix(1);
    }
    for (const std::string_view question :
         {" is none", " is not none", " == none", " != none", " is None", " == None", " != None"}) {
      manners.asks_for_none |= rest.starts_with(question);
    }
  }
  return manners;
}

Result<Json> message_for_template(const Json& message, const std::string& path,
                                  const TemplateManners& manners) {
  if (!message.is_object()) {
    return invalid_argument(path + ": must be an object, not " + describe(message), path);
  }
  constexpr std::array kRoles = {"system", "developer", "user", "assistant", "tool", "function"};
  Fields fields(message, path);
  std::string role = fields.string("role");
  if (std::ranges::find(kRoles, role) == kRoles.end()) {
    const Json* given = fields.find("role");
    fields.refuse("role", "must be system, developer, user, assistant or tool, not " +
                              (given == nullptr ? "absent" : quote(*given)));
  }
  RETURN_IF_ERROR(fields.status());
  // Most templates drop a role they do not know, and OpenAI's newer clients say developer.
  if (role == "developer" && !manners.knows_developer) role = "system";

  Json copy = message;
  copy["role"] = role;
  if (const Json* calls = fields.find("tool_calls"); calls != nullptr && !calls->empty()) {
    ASSIGN_OR_RETURN(copy["tool_calls"],
                     tool_calls_for_template(*calls, fields.path("tool_calls")));
  } else {
    copy.erase("tool_calls");
  }
  if (const Json* content = fields.find("content")) {
    ASSIGN_OR_RETURN(copy["content"], content_text(*content, fields.path("content")));
  } else if (role == "assistant") {
    // Most templates add it to a text, which none would break; some tell a call of a tool by it.
    const bool is_call = copy.contains("tool_calls");
    copy["content"] = is_call && manners.asks_for_none ? Json() : Json("");
  } else {
    return invalid_argument(fields.path("content") + ": is missing", fields.path("content"));
  }
  for (const char* key : {"reasoning_content", "reasoning"}) {
    const std::string reasoning = fields.string(key);
    if (!reasoning.empty()) copy["reasoning_content"] = reasoning;
  }
  RETURN_IF_ERROR(fields.status());
  return copy;
}

Result<Json> messages_for_template(const Fields& fields, const TemplateManners& manners) {
  const Json* messages = fields.find("messages");
  if (messages == nullptr) return invalid_argument("messages: is missing", "messages");
  if (!messages->is_array()) {
    return invalid_argument("messages: must be an array, not " + describe(*messages), "messages");
  }
  if (messages->empty()) return invalid_argument("messages: must not be empty", "messages");
  Json result = Json::array();
  for (const Json& message : *messages) {
    ASSIGN_OR_RETURN(Json copy, message_for_template(
                                    message, fmt::format("messages.{}", result.size()), manners));
    result.push_back(std::move(copy));
  }
  return result;
}

// What the template can be given.
Result<void> check_tool_list(Fields& fields) {
  const Json* tools = fields.find("tools");
  if (tools != nullptr && !tools->is_array()) {
    fields.refuse("tools", "must be an array, not " + describe(*tools));
  }
  return fields.status();
}

bool chooses_no_tool(const Fields& fields) {
  const Json* choice = fields.find("tool_choice");
  return choice != nullptr && *choice == Json("none");
}

// A chat may show tools to the model, but its calls of them would not be recognized. A model that
// may choose never need call one.
void check_tool_use(Fields& fields, bool ignores_tools) {
  const Json* tools = fields.find("tools");
  const Json* choice = fields.find("tool_choice");
  const bool none = chooses_no_tool(fields);
  if (tools != nullptr && !tools->empty() && !none && !ignores_tools) {
    fields.refuse("tools",
                  R"(tool calls are not supported by this build; tool_choice "none" is, and a )"
                  R"(server with --ignore-tools answers without them)");
  } else if (choice != nullptr && !none && *choice != Json("auto")) {
    fields.refuse("tool_choice",
                  quote(*choice) + R"(: tool calls are not supported by this build; "none" is)");
  }
}

// Cuts the prompt behind the last message's text, so that the model goes on with it.
Result<std::string> cut_after_final_message(std::string prompt, const Json& messages) {
  const Json& content = messages.back()["content"];
  std::string_view last;
  if (content.is_string()) last = content.get_ref<const std::string&>();
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = last.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) {
    return invalid_argument("continue_final_message: the last message has no text", "messages");
  }
  last = last.substr(begin, last.find_last_not_of(kSpace) - begin + 1);
  const size_t at = prompt.rfind(last);
  if (at == std::string::npos) {
    return invalid_argument(
        "continue_final_message: the chat template changes the last message's text", "messages");
  }
  prompt.resize(at + last.size());
  return prompt;
}

void add_template_arguments(Fields& fields, Json& variables) {
  const Json* arguments = fields.find("chat_template_kwargs");
  if (arguments == nullptr) return;
  if (!arguments->is_object()) {
    fields.refuse("chat_template_kwargs", "must be an object, not " + describe(*arguments));
    return;
  }
  // Each is looked for among all; no template has more than a few.
  constexpr size_t kMaxArguments = 256;
  if (arguments->size() > kMaxArguments) {
    fields.refuse("chat_template_kwargs", "has " + std::to_string(arguments->size()) +
                                              " members, at most " + std::to_string(kMaxArguments) +
                                              " are taken");
    return;
  }
  for (const auto& [key, value] : arguments->items()) {
    if (key == "messages" || key == "chat_template" || key == "tokenize") {
      fields.refuse("chat_template_kwargs." + key, "cannot be set here");
      return;
    }
    variables[key] = value;
  }
}

// The request's own template where the operator trusts those, else the model's.
Result<std::shared_ptr<const ChatTemplate>> template_of(Fields& fields,
                                                        const Deployment& deployment) {
  constexpr const char* kKey = "chat_template";
  if (fields.find(kKey) == nullptr) return deployment.model.chat_template;
  if (!deployment.trusts_request_templates) {
    fields.refuse(kKey, "is not taken from requests; see --trust-request-chat-template");
  }
  const std::string source = fields.string(kKey);
  RETURN_IF_ERROR(fields.status());
  auto made = ChatTemplate::create(source);
  if (!made.ok()) return Error{made.error().code, "chat_template: " + made.error().message, kKey};
  return made;
}

// What cannot fit is refused before the template spends its budget on it.
Result<void> check_message_sizes(const Json& messages, const Deployment& deployment) {
  const auto limit = static_cast<size_t>(deployment.model.max_model_len);
  if (messages.size() > limit) {
    return invalid_argument(fmt::format("{} messages cannot fit the model's context of {} tokens",
                                        messages.size(), limit),
                            "messages");
  }
  size_t num_bytes = 0;
  for (const Json& message : messages) {
    const auto content = message.find("content");
    if (content == message.end() || !content->is_string()) continue;
    num_bytes += content->get_ref<const std::string&>().size();
  }
  if (num_bytes <= deployment.max_prompt_bytes) return {};
  return invalid_argument(
      fmt::format("messages: a text of {} bytes cannot fit the model's context of {} tokens",
                  num_bytes, limit),
      "messages");
}

// Open WebUI asks for titles, tags and follow-ups like this, beside what its user waits for.
// `messages`: as the template gets them.
bool is_background_task(const Json& messages) {
  size_t first = 0;
  const auto content = [&messages](size_t i) -> std::string_view {
    const auto it = messages[i].find("content");
    if (it == messages[i].end() || !it->is_string()) return {};
    return it->get_ref<const std::string&>();
  };
  if (messages.size() == 2 && messages[0]["role"] == "system" && content(0).empty()) first = 1;
  return messages.size() == first + 1 && content(first).starts_with("### Task:");
}

// Nobody waits for the answer, so it is rather cut short than refused, and never fills the context.
// The result fits if one token does.
std::optional<int32_t> limit_of_task(std::optional<int32_t> asked, const PromptJob& prompt,
                                     const Deployment& deployment) {
  int32_t limit = deployment.model.max_model_len - static_cast<int32_t>(prompt.token_ids.size());
  if (deployment.max_task_tokens > 0) limit = std::min(limit, deployment.max_task_tokens);
  if (!asked) asked = deployment.model.default_max_tokens;
  return std::max(std::min(limit, asked.value_or(limit)), 1);
}

}  // namespace

Result<std::string> render_prompt(const Json& body, Fields& fields, const Deployment& deployment,
                                  bool* is_background) {
  const ServedModel& model = deployment.model;
  ASSIGN_OR_RETURN(const auto chat_template, template_of(fields, deployment));
  if (chat_template == nullptr) {
    return invalid_argument("this model has no chat template; use /v1/completions", "messages");
  }
  const bool continues = fields.boolean("continue_final_message", false);
  const bool adds_prompt = fields.boolean("add_generation_prompt", !continues);
  if (continues && adds_prompt) {
    fields.refuse("continue_final_message", "cannot go with add_generation_prompt: true");
  }
  const TemplateManners manners = manners_of(chat_template->source());
  RETURN_IF_ERROR(fields.status());

  Json variables = Json::object();
  ASSIGN_OR_RETURN(variables["messages"], messages_for_template(fields, manners));
  RETURN_IF_ERROR(check_message_sizes(variables["messages"], deployment));
  if (is_background != nullptr) *is_background = is_background_task(variables["messages"]);
  variables["add_generation_prompt"] = adds_prompt;
  if (!model.bos_token.empty()) variables["bos_token"] = model.bos_token;
  if (!model.eos_token.empty()) variables["eos_token"] = model.eos_token;
  for (const char* key : {"tools", "documents"}) {
    const auto it = body.find(key);
    variables[key] = it == body.end() || it->empty() ? Json() : *it;
  }
  // Shown to the model, they would make it write calls that nobody reads.
  if (deployment.ignores_tools && !chooses_no_tool(fields)) variables["tools"] = Json();
  const std::string effort = fields.string("reasoning_effort");
  if (!effort.empty()) variables["reasoning_effort"] = effort;
  add_template_arguments(fields, variables);
  RETURN_IF_ERROR(check_tool_list(fields));
  RETURN_IF_ERROR(fields.status());

  auto rendered = chat_template->render(variables);
  if (!rendered.ok()) {
    return Error{rendered.error().code, "chat template: " + rendered.error().message, "messages"};
  }
  std::string prompt = std::move(rendered).value();
  if (continues) {
    ASSIGN_OR_RETURN(prompt, cut_after_final_message(std::move(prompt), variables["messages"]));
  }
  return prompt;
}

Result<std::vector<TokenId>> render_chat(const Json& body, Fields& fields,
                                         const Deployment& deployment, bool* is_background) {
  const bool adds_special = fields.boolean("add_special_tokens", false);
  ASSIGN_OR_RETURN(const std::string prompt,
                   render_prompt(body, fields, deployment, is_background));
  return encode_text(prompt, {.add_special_tokens = adds_special, .parse_special_tokens = true},
                     deployment, "messages");
}

Result<GenerationJob> prepare_chat(std::string_view body, const Deployment& deployment,
                                   std::optional<ContextOverflow>& overflow) {
  ASSIGN_OR_RETURN(const Json json, parse_body(body));
  Fields fields(json);
  GenerationJob job;
  job.kind = ReplyKind::kChat;
  ASSIGN_OR_RETURN(job.model, deployment.resolve_model(fields));
  read_common(fields, deployment, job);
  if (fields.boolean("echo", false)) fields.refuse("echo", "is for /v1/completions only");

  const bool wants_logprobs = fields.boolean("logprobs", false);
  const int64_t top = fields.integer("top_logprobs", {.min = 0, .max = kMaxTopLogprobs}, 0);
  if (top > 0 && !wants_logprobs) fields.refuse("top_logprobs", "needs logprobs: true");
  job.sampling.num_logprobs = wants_logprobs ? static_cast<int32_t>(top) : -1;

  // The newer name wins, as at OpenAI.
  std::optional<int32_t> asked;
  for (const char* key : {"max_tokens", "max_completion_tokens"}) {
    if (fields.find(key) == nullptr) continue;
    constexpr IntegerRange kRange = {.min = 1, .max = std::numeric_limits<int32_t>::max()};
    asked = static_cast<int32_t>(fields.integer(key, kRange, 1));
  }
  RETURN_IF_ERROR(fields.status());

  check_tool_use(fields, deployment.ignores_tools);
  PromptJob prompt;
  bool is_background = false;
  ASSIGN_OR_RETURN(prompt.token_ids, render_chat(json, fields, deployment, &is_background));
  if (is_background && fields.find("priority") == nullptr) {
    job.priority = Priority::kBackground;
    asked = limit_of_task(asked, prompt, deployment);
  }
  RETURN_IF_ERROR(fit_context(prompt, asked, job, deployment, overflow));
  job.prompts.push_back(std::move(prompt));
  return job;
}

}  // namespace pagoda::openai
