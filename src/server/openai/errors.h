// Errors as OpenAI clients expect them: one table from ErrorCode to HTTP.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/json.h"
#include "base/result.h"
#include "server/http/message.h"

namespace pagoda::openai {

// Numbers of a prompt that does not fit, shown beside the message (as llama-server does).
struct ContextOverflow {
  int64_t num_prompt_tokens = 0;
  int32_t max_model_len = 0;
};

int http_status(ErrorCode code);

// {"error": {"message", "type", "param", "code"}}, vLLM's shape; `code` is the HTTP status.
Json error_json(const Error& error, const std::optional<ContextOverflow>& overflow = {});

// The same as a response; 429 and 503 carry Retry-After, 401 WWW-Authenticate.
HttpResponse error_response(const Error& error,
                            const std::optional<ContextOverflow>& overflow = {});

// For a status that no ErrorCode stands for (405, 408, 431, ...).
HttpResponse status_response(int status, std::string_view message);

}  // namespace pagoda::openai
