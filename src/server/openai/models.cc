// Model cards, tokenize, detokenize and apply-template.
#include "server/openai/models.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

namespace pagoda::openai {
namespace {

Json model_card(const Deployment& deployment, const std::string& name) {
  Json card = Json::object();
  card["id"] = name;
  card["object"] = "model";
  card["created"] = deployment.model.created;
  card["owned_by"] = "pagoda";
  card["root"] = deployment.model.names.front();
  card["parent"] = nullptr;
  card["max_model_len"] = deployment.model.max_model_len;
  return card;
}

HttpResponse json_response(const Json& body) {
  HttpResponse response;
  response.body = dump_json(body);
  return response;
}

}  // namespace

HttpResponse list_models(const Deployment& deployment) {
  Json body = Json::object();
  body["object"] = "list";
  body["data"] = Json::array();
  for (const std::string& name : deployment.model.names) {
    body["data"].push_back(model_card(deployment, name));
  }
  return json_response(body);
}

HttpResponse show_model(const Deployment& deployment, std::string_view encoded_id) {
  std::string id;
  const auto& names = deployment.model.names;
  if (!percent_decode(encoded_id, id) || std::ranges::find(names, id) == names.end()) {
    return error_response(
        {ErrorCode::kNotFound, "The model `" + id.substr(0, 100) + "` does not exist.", "model"});
  }
  return json_response(model_card(deployment, id));
}

Result<HttpResponse> tokenize(std::string_view body, const Deployment& deployment) {
  ASSIGN_OR_RETURN(const Json json, parse_body(body));
  Fields fields(json);
  ASSIGN_OR_RETURN(const std::string model, deployment.resolve_model(fields));
  std::vector<TokenId> ids;
  if (fields.find("messages") != nullptr) {
    ASSIGN_OR_RETURN(ids, render_chat(json, fields, deployment, nullptr));
  } else {
    // llama-server's name for the text, with its default.
    const bool is_content = fields.find("prompt") == nullptr && fields.find("content") != nullptr;
    const char* key = is_content ? "content" : "prompt";
    if (fields.find(key) == nullptr) fields.refuse(key, "is missing");
    const std::string text = fields.string(key);
    const bool adds_special = is_content ? fields.boolean("add_special", false)
                                         : fields.boolean("add_special_tokens", true);
    const bool parses_special = fields.boolean("parse_special", true);
    RETURN_IF_ERROR(fields.status());
    ASSIGN_OR_RETURN(
        ids, encode_text(
                 text, {.add_special_tokens = adds_special, .parse_special_tokens = parses_special},
                 deployment, key));
  }
  Json reply = Json::object();
  reply["count"] = ids.size();
  reply["max_model_len"] = deployment.model.max_model_len;
  reply["tokens"] = ids;
  return json_response(reply);
}

Result<HttpResponse> apply_template(std::string_view body, const Deployment& deployment) {
  ASSIGN_OR_RETURN(const Json json, parse_body(body));
  Fields fields(json);
  RETURN_IF_ERROR(deployment.resolve_model(fields));
  Json reply = Json::object();
  ASSIGN_OR_RETURN(reply["prompt"], render_prompt(json, fields, deployment, nullptr));
  return json_response(reply);
}

Result<HttpResponse> detokenize(std::string_view body, const Deployment& deployment) {
  ASSIGN_OR_RETURN(const Json json, parse_body(body));
  Fields fields(json);
  ASSIGN_OR_RETURN(const std::string model, deployment.resolve_model(fields));
  if (fields.find("tokens") == nullptr) fields.refuse("tokens", "is missing");
  const auto ids = fields.token_ids("tokens", deployment.model.tokenizer->vocab_size(),
                                    std::numeric_limits<int32_t>::max());
  RETURN_IF_ERROR(fields.status());
  Json reply = Json::object();
  reply["prompt"] = deployment.model.tokenizer->decode(ids, false);
  reply["content"] = reply["prompt"];
  return json_response(reply);
}

}  // namespace pagoda::openai
