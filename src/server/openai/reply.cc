// JSON of completions. Streamed chunks are written as text: they are the hot path.
#include "server/openai/reply.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

namespace pagoda::openai {
namespace {

// vLLM's floor: JSON has no minus infinity.
constexpr double kMinLogprob = -9999.0;

double shown_logprob(float logprob) {
  return std::isfinite(logprob) ? std::max<double>(logprob, kMinLogprob) : kMinLogprob;
}

int64_t num_characters(std::string_view text) {
  return std::ranges::count_if(text, [](char c) { return (c & 0xC0) != 0x80; });
}

void append_string(std::string& out, std::string_view text) {
  out += '"';
  append_json_escaped(out, text);
  out += '"';
}

Json usage_json(const Usage& usage) {
  Json json = Json::object();
  json["prompt_tokens"] = usage.num_prompt_tokens;
  json["total_tokens"] = usage.num_prompt_tokens + usage.num_completion_tokens;
  json["completion_tokens"] = usage.num_completion_tokens;
  json["prompt_tokens_details"] = Json{{"cached_tokens", usage.num_cached_tokens}};
  return json;
}

Json timings_json(const Usage& usage, const Timings& timings) {
  const auto put = [](Json& json, const std::string& name, int64_t count, double seconds) {
    const double ms = seconds * 1000;
    json[name + "_n"] = count;
    json[name + "_ms"] = ms;
    json[name + "_per_token_ms"] = count > 0 ? ms / static_cast<double>(count) : 0.0;
    json[name + "_per_second"] = seconds > 0 ? static_cast<double>(count) / seconds : 0.0;
  };
  Json json = Json::object();
  json["cache_n"] = usage.num_cached_tokens;
  put(json, "prompt", usage.num_prompt_tokens - usage.num_cached_tokens, timings.prompt_s);
  put(json, "predicted", usage.num_completion_tokens, timings.predicted_s);
  return json;
}

Json ids_json(std::span<const TokenId> ids) {
  Json json = Json::array();
  for (const TokenId id : ids) json.push_back(id);
  return json;
}

Json stop_reason_json(const ChoiceEnd& end) {
  if (end.stop_string.has_value()) return *end.stop_string;
  if (end.stop_token_id.has_value()) return *end.stop_token_id;
  return nullptr;
}

}  // namespace

ReplyWriter::ReplyWriter(const GenerationJob& job, const std::string& request_id,
                         const Deployment& deployment, int64_t created)
    : chat_(job.kind == ReplyKind::kChat),
      wants_logprobs_(job.sampling.num_logprobs >= 0),
      wants_ids_(job.return_token_ids),
      logprobs_by_id_(job.logprobs_by_id),
      tokenizer_(deployment.model.tokenizer),
      id_((chat_ ? "chatcmpl-" : "cmpl-") + request_id),
      model_(job.model),
      fingerprint_(deployment.system_fingerprint),
      created_(created) {
  chunk_head_ = "data: {\"id\":";
  append_string(chunk_head_, id_);
  chunk_head_ += fmt::format(",\"object\":\"{}\",\"created\":{},\"model\":",
                             chat_ ? "chat.completion.chunk" : "text_completion", created_);
  append_string(chunk_head_, model_);
  chunk_head_ += ",\"system_fingerprint\":";
  append_string(chunk_head_, fingerprint_);
  chunk_head_ += ",\"choices\":[";
}

void ReplyWriter::append_end(std::string& out, const ChoiceEnd* end) const {
  out += ",\"finish_reason\":";
  if (end == nullptr) {
    out += "null";
    return;
  }
  append_string(out, to_string(end->reason));
  out += ",\"stop_reason\":" + dump_json(stop_reason_json(*end));
}

void ReplyWriter::close_chunk(std::string& out, const Usage* usage) const {
  out += "}]";
  if (usage != nullptr) out += ",\"usage\":" + dump_json(usage_json(*usage));
  out += "}\n\n";
}

void ReplyWriter::append_role(std::string& out, int32_t index) const {
  out += chunk_head_;
  out += fmt::format(
      "{{\"index\":{},\"delta\":{{\"role\":\"assistant\",\"content\":\"\"}},\"logprobs\":null",
      index);
  append_end(out, nullptr);
  close_chunk(out, nullptr);
}

void ReplyWriter::append_text(std::string& out, int32_t index, std::string_view text,
                              std::span<const SampledToken> tokens,
                              std::span<const TokenId> token_ids, int64_t& text_offset,
                              const ChoiceEnd* end, const Usage* usage) const {
  out += chunk_head_;
  out += fmt::format("{{\"index\":{},{}", index, chat_ ? "\"delta\":{\"content\":" : "\"text\":");
  append_string(out, text);
  if (chat_) out += '}';
  out += ",\"logprobs\":";
  out += wants_logprobs_ ? dump_json(logprobs_json(tokens, text_offset)) : "null";
  if (wants_ids_) out += ",\"token_ids\":" + dump_json(ids_json(token_ids));
  append_end(out, end);
  close_chunk(out, usage);
}

void ReplyWriter::append_finish(std::string& out, int32_t index, const ChoiceEnd& end,
                                const Usage* usage) const {
  out += chunk_head_;
  out += fmt::format("{{\"index\":{},\"delta\":{{}},\"logprobs\":null", index);
  append_end(out, &end);
  close_chunk(out, usage);
}

void ReplyWriter::append_usage(std::string& out, const Usage& usage, const Timings& timings) const {
  out += chunk_head_;
  out += "],\"usage\":" + dump_json(usage_json(usage));
  out += ",\"timings\":" + dump_json(timings_json(usage, timings));
  out += "}\n\n";
}

std::string ReplyWriter::whole(std::span<const WholeChoice> choices,
                               std::span<const PromptJob> prompts, const Usage& usage,
                               const Timings& timings) const {
  Json head = Json::object();
  head["id"] = id_;
  head["object"] = chat_ ? "chat.completion" : "text_completion";
  head["created"] = created_;
  head["model"] = model_;
  std::string out = dump_json(head);
  out.back() = ',';
  out += "\"choices\":[";
  // Choice by choice: as one tree, the logprobs of many would take ten times the reply's size.
  for (const WholeChoice& choice : choices) {
    Json json = Json::object();
    json["index"] = choice.index;
    if (chat_) {
      json["message"] = Json{{"role", "assistant"}, {"content", choice.text}, {"refusal", nullptr}};
    } else {
      json["text"] = choice.text;
    }
    int64_t text_offset = choice.text_offset;
    json["logprobs"] = wants_logprobs_ ? logprobs_json(choice.tokens, text_offset) : Json();
    json["finish_reason"] = std::string(to_string(choice.end.reason));
    json["stop_reason"] = stop_reason_json(choice.end);
    if (wants_ids_) {
      json["token_ids"] = ids_json(choice.token_ids);
      if (!chat_) {
        const size_t choices_each = choices.size() / prompts.size();
        const size_t prompt = static_cast<size_t>(choice.index) / choices_each;
        json["prompt_token_ids"] = ids_json(prompts[prompt].token_ids);
      }
    }
    if (out.back() != '[') out += ',';
    out += dump_json(json);
  }
  Json tail = Json::object();
  tail["usage"] = usage_json(usage);
  tail["system_fingerprint"] = fingerprint_;
  tail["timings"] = timings_json(usage, timings);
  if (wants_ids_ && chat_) tail["prompt_token_ids"] = ids_json(prompts.front().token_ids);
  std::string end = dump_json(tail);
  end.front() = ',';
  return out + "]" + end;
}

std::string ReplyWriter::token_text(TokenId id) const {
  const bool known = id >= 0 && id < tokenizer_->vocab_size();
  return known ? std::string(tokenizer_->token_bytes(id)) : std::string();
}

std::string ReplyWriter::token_name(TokenId id) const {
  return logprobs_by_id_ ? fmt::format("token_id:{}", id) : token_text(id);
}

Json ReplyWriter::token_json(const TokenLogprob& token) const {
  const std::string text = token_text(token.token);
  Json bytes = Json::array();
  for (const char c : text) bytes.push_back(static_cast<unsigned char>(c));
  Json json = Json::object();
  json["token"] = token_name(token.token);
  json["logprob"] = shown_logprob(token.logprob);
  json["bytes"] = std::move(bytes);
  return json;
}

Json ReplyWriter::chat_logprobs(std::span<const SampledToken> tokens) const {
  Json content = Json::array();
  for (const SampledToken& token : tokens) {
    Json entry = token_json({.token = token.token, .logprob = token.logprob});
    entry["top_logprobs"] = Json::array();
    for (const TokenLogprob& top : token.top_logprobs) {
      entry["top_logprobs"].push_back(token_json(top));
    }
    content.push_back(std::move(entry));
  }
  Json json = Json::object();
  json["content"] = std::move(content);
  return json;
}

Json ReplyWriter::completion_logprobs(std::span<const SampledToken> tokens,
                                      int64_t& text_offset) const {
  Json json = Json::object();
  for (const char* key : {"text_offset", "token_logprobs", "tokens", "top_logprobs"}) {
    json[key] = Json::array();
  }
  for (const SampledToken& token : tokens) {
    const std::string text = token_text(token.token);
    json["text_offset"].push_back(text_offset);
    json["token_logprobs"].push_back(shown_logprob(token.logprob));
    json["tokens"].push_back(token_name(token.token));
    Json top = Json::object();
    for (const TokenLogprob& entry : token.top_logprobs) {
      top[token_name(entry.token)] = shown_logprob(entry.logprob);
    }
    // As in vLLM the chosen token is always among them.
    top[token_name(token.token)] = shown_logprob(token.logprob);
    json["top_logprobs"].push_back(std::move(top));
    text_offset += num_characters(text);
  }
  return json;
}

Json ReplyWriter::logprobs_json(std::span<const SampledToken> tokens, int64_t& text_offset) const {
  return chat_ ? chat_logprobs(tokens) : completion_logprobs(tokens, text_offset);
}

}  // namespace pagoda::openai
