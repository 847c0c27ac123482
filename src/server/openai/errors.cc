// The one table from ErrorCode to HTTP status and error type.
#include "server/openai/errors.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

namespace pagoda::openai {
namespace {

struct Mapping {
  int status;
  const char* type;
};

Mapping mapping_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument: return {400, "BadRequestError"};
    case ErrorCode::kUnauthenticated: return {401, "authentication_error"};
    case ErrorCode::kNotFound: return {404, "NotFoundError"};
    case ErrorCode::kTooLarge: return {413, "BadRequestError"};
    case ErrorCode::kUnsupported: return {400, "BadRequestError"};
    case ErrorCode::kOverloaded: return {429, "overloaded_error"};
    case ErrorCode::kUnavailable: return {503, "unavailable_error"};
    case ErrorCode::kCancelled: return {499, "cancelled_error"};
    case ErrorCode::kInternal: return {500, "InternalServerError"};
  }
  return {500, "InternalServerError"};
}

Json body_of(const Mapping& mapping, std::string_view message, std::string_view param) {
  Json error = Json::object();
  error["message"] = std::string(message);
  error["type"] = mapping.type;
  error["param"] = param.empty() ? Json() : Json(std::string(param));
  error["code"] = mapping.status;
  Json body = Json::object();
  body["error"] = std::move(error);
  return body;
}

HttpResponse response_of(int status, const Json& body, int32_t retry_after_s = 0) {
  HttpResponse response;
  response.status = status;
  response.body = dump_json(body);
  if (status == 429 || status == 503) {
    response.headers.emplace_back("Retry-After", std::to_string(std::max(1, retry_after_s)));
  }
  if (status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
  return response;
}

}  // namespace

int http_status(ErrorCode code) {
  return mapping_of(code).status;
}

Json error_json(const Error& error, const std::optional<ContextOverflow>& overflow) {
  Json body = body_of(mapping_of(error.code), error.message, error.param);
  if (overflow.has_value()) {
    body["error"]["n_prompt_tokens"] = overflow->num_prompt_tokens;
    body["error"]["n_ctx"] = overflow->max_model_len;
  }
  return body;
}

HttpResponse error_response(const Error& error, const std::optional<ContextOverflow>& overflow) {
  return response_of(http_status(error.code), error_json(error, overflow), error.retry_after_s);
}

HttpResponse status_response(int status, std::string_view message) {
  const char* type = status >= 500 ? "InternalServerError" : "BadRequestError";
  if (status == 403) type = "permission_error";
  if (status == 404) type = "NotFoundError";
  if (status == 503) type = "unavailable_error";
  return response_of(status, body_of({status, type}, message, {}));
}

}  // namespace pagoda::openai
