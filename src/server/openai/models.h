// The small endpoints: model list, tokenize, detokenize and apply-template.
#pragma once

#include <string_view>

#include "base/result.h"
#include "server/http/message.h"
#include "server/openai/job.h"

namespace pagoda::openai {

// GET /v1/models: one card for each name.
HttpResponse list_models(const Deployment& deployment);
// GET /v1/models/{id}; `encoded_id` as in the path.
HttpResponse show_model(const Deployment& deployment, std::string_view encoded_id);

// POST /tokenize: {"prompt"} (or "content", "messages") to {"tokens", "count", "max_model_len"}.
// Thread-safe; the time grows with the body.
Result<HttpResponse> tokenize(std::string_view body, const Deployment& deployment);
// POST /apply-template: the members of a chat request that its template sees to {"prompt"}.
// Thread-safe; the time grows with the body.
Result<HttpResponse> apply_template(std::string_view body, const Deployment& deployment);
// POST /detokenize: {"tokens"} to {"prompt", "content"}, the same text under vLLM's name and
// llama-server's.
Result<HttpResponse> detokenize(std::string_view body, const Deployment& deployment);

}  // namespace pagoda::openai
