// Fuzzes the bodies of chat and completion requests, up to what the engine would be given.
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/check.h"
#include "engine/async_engine.h"
#include "engine/fake_runner.h"
#include "server/openai/job.h"

namespace {

using pagoda::openai::GenerationJob;

// A model of single bytes, with a template that looks at every message.
pagoda::ServedModel make_model() {
  pagoda::TokenizerData data;
  for (int byte = 0; byte < 256; ++byte) data.tokens.emplace_back(1, static_cast<char>(byte));
  auto tokenizer = pagoda::Tokenizer::create(std::move(data));
  auto chat_template = pagoda::ChatTemplate::create(
      "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% if m.tool_calls %}"
      "{{ m.tool_calls | tojson }}{% endif %}{% endfor %}{{ tools | default([]) | tojson }}");
  CHECK(tokenizer.ok() && chat_template.ok());
  pagoda::ServedModel model;
  model.names = {"m"};
  model.tokenizer = *tokenizer;
  model.chat_template = *chat_template;
  model.max_model_len = 512;
  return model;
}

struct World {
  pagoda::FakeRunner runner{{.num_blocks = 64, .block_size = 16, .vocab_size = 256}};
  pagoda::AsyncEngine engine{runner, {.max_model_len = 512, .vocab_size = 256}, nullptr, "m"};
  pagoda::openai::Deployment deployment{make_model(), engine, pagoda::ServerConfig{}};
};

void check_job(const pagoda::Result<GenerationJob>& job) {
  if (!job.ok()) {
    CHECK(!job.error().message.empty() && job.error().message.size() < 1000);
    return;
  }
  CHECK(job->n >= 1 && !job->prompts.empty());
  const pagoda::SamplingParams& sampling = job->sampling;
  CHECK(sampling.temperature >= 0 && sampling.top_p > 0 && sampling.top_p <= 1);
  CHECK(sampling.min_p >= 0 && sampling.min_p <= 1 && sampling.top_k >= 0);
  CHECK(sampling.repetition_penalty > 0);
  for (const auto& prompt : job->prompts) {
    CHECK(!prompt.token_ids.empty());
    CHECK(prompt.max_tokens >= 0);
    CHECK(prompt.token_ids.size() + static_cast<size_t>(prompt.max_tokens) <= 512);
    for (const int32_t id : prompt.token_ids) CHECK(id >= 0 && id < 256);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t num_bytes) {
  static World world;
  const std::string_view body(reinterpret_cast<const char*>(data), num_bytes);
  std::optional<pagoda::openai::ContextOverflow> overflow;
  check_job(pagoda::openai::prepare_chat(body, world.deployment, overflow));
  overflow.reset();
  check_job(pagoda::openai::prepare_completion(body, world.deployment, overflow));
  return 0;
}
