// Running one completion request.
#include "server/openai/generation.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <nlohmann/json.hpp>

#include "server/monitor/trace_context.h"

namespace pagoda::openai {
namespace {

// What the engine holds of a run.
class RunSink : public OutputSink {
 public:
  RunSink(std::shared_ptr<GenerationRun> run, size_t prompt_index,
          std::shared_ptr<RequestBoard> board, std::shared_ptr<const RequestFacts> facts)
      : run_(std::move(run)),
        prompt_index_(prompt_index),
        board_(std::move(board)),
        facts_(std::move(facts)) {}
  void post(RequestOutput output) override {
    if (output.finished && board_ != nullptr) {
      board_->finished(summarize(output, std::move(facts_), board_->slo(), unix_time()));
    }
    run_->enqueue(prompt_index_, std::move(output));
  }

 private:
  static double unix_time() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration<double>(now).count();
  }

  std::shared_ptr<GenerationRun> run_;
  size_t prompt_index_;
  // May be null; the engine may have its last word when the server is gone.
  std::shared_ptr<RequestBoard> board_;
  std::shared_ptr<const RequestFacts> facts_;
};

int64_t num_characters(const std::string& text) {
  return std::ranges::count_if(text, [](char c) { return (c & 0xC0) != 0x80; });
}

}  // namespace

GenerationRun::GenerationRun(std::shared_ptr<HttpExchange> exchange,
                             std::shared_ptr<const Deployment> deployment,
                             const RequestOrigin& origin)
    : exchange_(std::move(exchange)), deployment_(std::move(deployment)), origin_(origin) {
}

void GenerationRun::watch() {
  exchange_->on_end([self = shared_from_this()](EndCause cause) { self->on_end(cause); });
}

void GenerationRun::refuse(const Error& error, const std::optional<ContextOverflow>& overflow) {
  if (over_) return;
  over_ = true;
  exchange_->log().finish_reason = "refused";
  exchange_->respond(error_response(error, overflow));
}

void GenerationRun::start(GenerationJob job) {
  if (over_) return;
  job_ = std::move(job);
  writer_.emplace(job_, exchange_->request().id, *deployment_,
                  static_cast<int64_t>(std::time(nullptr)));
  exchange_->log().model = job_.model;
  exchange_->log().stream = job_.stream;
  for (const PromptJob& prompt : job_.prompts) {
    for (int32_t i = 0; i < job_.n; ++i) {
      Choice& choice = choices_.emplace_back(deployment_->model.tokenizer, job_.text);
      choice.text = prompt.echo_text;
      choice.text_offset = num_characters(prompt.echo_text);
    }
  }
  num_unfinished_ = choices_.size();
  num_cached_.assign(job_.prompts.size(), 0);
  submit_all();
}

void GenerationRun::submit_all() {
  submitted_ = real_clock().now();
  std::string events;
  for (size_t i = 0; i < job_.prompts.size(); ++i) {
    PromptJob& prompt = job_.prompts[i];
    if (prompt.max_tokens == 0) {
      for (int32_t k = 0; k < job_.n; ++k) {
        Choice& choice = choices_[i * static_cast<size_t>(job_.n) + static_cast<size_t>(k)];
        choice.finished = true;
        choice.end.reason = FinishReason::kLength;
        --num_unfinished_;
        append_events(static_cast<int32_t>(i) * job_.n + k, "", true, events);
      }
      continue;
    }
    Request request;
    request.prompt_token_ids = prompt.token_ids;
    request.sampling = job_.sampling;
    request.sampling.max_tokens = prompt.max_tokens;
    request.sampling.seed = job_.seed.has_value() ? *job_.seed : deployment_->draw_seed();
    request.n = job_.n;
    request.arrival = exchange_->request().received;
    request.priority = origin_.priority.value_or(job_.priority);
    request.tenant = origin_.client.tenant;
    request.cache_salt = cache_salt(origin_.client, job_.cache_salt);
    const auto facts = facts_of(request);
    auto id = deployment_->engine->submit(
        std::move(request),
        std::make_shared<RunSink>(shared_from_this(), i, deployment_->board, facts));
    if (!id.ok()) {
      abort_all();
      return refuse(id.error());
    }
    request_ids_.push_back(*id);
    if (deployment_->board != nullptr) deployment_->board->started(*id, facts);
  }
  if (num_unfinished_ == 0) finish(std::move(events));
}

std::shared_ptr<const RequestFacts> GenerationRun::facts_of(const Request& request) const {
  auto facts = std::make_shared<RequestFacts>();
  facts->request_id = exchange_->request().id;
  const auto trace = parse_traceparent(exchange_->request().header("traceparent"));
  if (trace) {
    facts->trace_id = trace->trace_id;
    facts->parent_id = trace->parent_id;
    facts->trace_state = exchange_->request().header("tracestate");
    facts->is_traced = trace->sampled;
  }
  facts->model = job_.model;
  facts->is_chat = job_.kind == ReplyKind::kChat;
  facts->stream = job_.stream;
  facts->tenant = request.tenant;
  facts->priority = request.priority;
  facts->max_tokens = request.sampling.max_tokens;
  facts->num_choices = request.n;
  facts->temperature = request.sampling.temperature;
  facts->top_p = request.sampling.top_p;
  facts->top_k = request.sampling.top_k;
  return facts;
}

void GenerationRun::enqueue(size_t prompt_index, RequestOutput output) {
  {
    const std::lock_guard lock(inbox_mutex_);
    inbox_.emplace_back(prompt_index, std::move(output));
    if (inbox_.size() > 1) return;  // the post for the first of them takes all
  }
  exchange_->post([self = shared_from_this()] { self->drain(); });
}

void GenerationRun::drain() {
  std::vector<std::pair<size_t, RequestOutput>> outputs;
  {
    const std::lock_guard lock(inbox_mutex_);
    outputs.swap(inbox_);
  }
  std::string events;
  for (const auto& [prompt_index, output] : outputs) {
    if (over_) return;
    process(prompt_index, output, events);
  }
  if (over_) return;
  if (num_unfinished_ == 0) return finish(std::move(events));
  if (!events.empty()) send(std::move(events));
}

void GenerationRun::process(size_t prompt_index, const RequestOutput& output, std::string& events) {
  num_cached_[prompt_index] = std::max(num_cached_[prompt_index], output.num_cached_tokens);
  for (const ChoiceOutput& choice : output.choices) {
    if (choice.index < 0 || choice.index >= job_.n) continue;
    const bool failed = choice.finish_reason == FinishReason::kError ||
                        choice.finish_reason == FinishReason::kAbort;
    const size_t index =
        prompt_index * static_cast<size_t>(job_.n) + static_cast<size_t>(choice.index);
    if (failed && !choices_[index].finished) {
      // What is ready of the others goes out before the error event.
      if (!events.empty()) send(std::exchange(events, {}));
      return fail(output.error.value_or(
          Error{ErrorCode::kUnavailable, "the request was aborted by the server"}));
    }
    process_choice(prompt_index, choice, events);
    if (over_) return;
  }
  if (output.finished && job_.prompts.size() == 1) engine_times_ = output.times;
}

void GenerationRun::process_choice(size_t prompt_index, const ChoiceOutput& output,
                                   std::string& events) {
  const int32_t index = static_cast<int32_t>(prompt_index) * job_.n + output.index;
  Choice& choice = choices_[static_cast<size_t>(index)];
  if (choice.finished) return;
  if (!output.tokens.empty()) {
    last_token_ = real_clock().now();
    if (first_token_ == TimePoint{}) first_token_ = last_token_;
  }
  TextDelta delta = choice.processor.process(output);
  if (delta.stop_string_just_matched) {
    deployment_->engine->stop_choice(request_ids_[prompt_index], output.index);
  }
  if (job_.return_token_ids) {
    for (const SampledToken& token : delta.tokens) choice.token_ids.push_back(token.token);
  }
  if (job_.sampling.num_logprobs >= 0) {
    // The token that ended the choice is no part of its text, unless that was asked for.
    if (delta.stop_token_id.has_value() && !delta.tokens.empty() &&
        !job_.text.include_stop_str_in_output) {
      delta.tokens.pop_back();
    }
    std::move(delta.tokens.begin(), delta.tokens.end(), std::back_inserter(choice.tokens));
  }
  if (delta.finish_reason.has_value() || delta.stop_string_just_matched) {
    choice.finished = true;
    choice.end = end_of(delta);
    --num_unfinished_;
  }
  append_events(index, delta.text, choice.finished, events);
}

ChoiceEnd GenerationRun::end_of(const TextDelta& delta) const {
  ChoiceEnd end;
  end.reason = delta.finish_reason.value_or(FinishReason::kStop);
  end.stop_string = delta.stop_string;
  const auto& own = job_.sampling.stop_token_ids;
  if (delta.stop_token_id.has_value() &&
      std::ranges::find(own, *delta.stop_token_id) != own.end()) {
    end.stop_token_id = delta.stop_token_id;
  }
  return end;
}

// Text is kept for a whole reply, and becomes events of a stream.
void GenerationRun::append_events(int32_t index, const std::string& text, bool finished,
                                  std::string& events) {
  Choice& choice = choices_[static_cast<size_t>(index)];
  choice.text += text;
  if (!job_.stream) return;
  const bool chat = job_.kind == ReplyKind::kChat;
  if (chat && !choice.role_sent) writer_->append_role(events, index);
  choice.role_sent = true;
  const Usage so_far = usage();
  const Usage* shown_usage = job_.continuous_usage_stats ? &so_far : nullptr;
  // A completion's last text shares its chunk with the finish reason; chat's stands before it.
  const bool tokens_wait = !choice.tokens.empty() || !choice.token_ids.empty();
  if (!choice.text.empty() || (finished && (!chat || tokens_wait))) {
    writer_->append_text(events, index, choice.text, choice.tokens, choice.token_ids,
                         choice.text_offset, finished && !chat ? &choice.end : nullptr,
                         shown_usage);
    choice.text.clear();
    choice.tokens.clear();
    choice.token_ids.clear();
  }
  if (finished && chat) writer_->append_finish(events, index, choice.end, shown_usage);
}

void GenerationRun::send(std::string events) {
  if (!exchange_->stream_started()) {
    HttpResponse head;
    head.content_type = "text/event-stream; charset=utf-8";
    head.headers = {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}};
    head.body = std::move(events);
    exchange_->start_stream(std::move(head));
  } else {
    exchange_->write(events);
  }
}

void GenerationRun::finish(std::string events) {
  over_ = true;
  fill_log(std::string(to_string(choices_.front().end.reason)));
  if (job_.stream) {
    if (job_.include_usage) writer_->append_usage(events, usage(), timings());
    events += kStreamDone;
    send(std::move(events));
    exchange_->end_stream();
    return;
  }
  std::vector<WholeChoice> whole;
  for (Choice& choice : choices_) {
    whole.push_back({.index = static_cast<int32_t>(whole.size()),
                     .text = std::move(choice.text),
                     .tokens = std::move(choice.tokens),
                     .token_ids = std::move(choice.token_ids),
                     .text_offset = choice.text_offset,
                     .end = choice.end});
  }
  HttpResponse response;
  response.body = writer_->whole(whole, job_.prompts, usage(), timings());
  exchange_->respond(std::move(response));
}

void GenerationRun::fail(const Error& error, RequestEnd end) {
  if (over_) return;
  over_ = true;
  abort_all(end);
  fill_log("error");
  if (!exchange_->stream_started()) return exchange_->respond(error_response(error));
  exchange_->write(fmt::format("data: {}\n\n{}", dump_json(error_json(error)), kStreamDone));
  exchange_->end_stream();
}

void GenerationRun::abort_all(RequestEnd end) {
  for (const RequestId id : request_ids_) deployment_->engine->abort(id, end);
}

void GenerationRun::on_end(EndCause cause) {
  if (cause == EndCause::kShutdown) {
    return fail({ErrorCode::kUnavailable, "the server is shutting down"}, RequestEnd::kShutdown);
  }
  if (over_) return;
  over_ = true;
  abort_all();
  fill_log("abort");
}

Usage GenerationRun::usage() const {
  Usage usage;
  for (const PromptJob& prompt : job_.prompts) {
    usage.num_prompt_tokens += static_cast<int64_t>(prompt.token_ids.size());
  }
  for (const int32_t cached : num_cached_) usage.num_cached_tokens += cached;
  for (const Choice& choice : choices_) {
    usage.num_completion_tokens += choice.processor.num_tokens();
  }
  return usage;
}

// The engine's own times where there are any, else what was seen from here: with a stop string the
// reply does not wait for the engine's last word.
Timings GenerationRun::timings() const {
  if (first_token_ == TimePoint{}) return {};
  if (engine_times_.has_value() && engine_times_->first_token != TimePoint{}) {
    return {.prompt_s = seconds_between(engine_times_->first_scheduled, engine_times_->first_token),
            .predicted_s = seconds_between(engine_times_->first_token, engine_times_->finished)};
  }
  return {.prompt_s = seconds_between(submitted_, first_token_),
          .predicted_s = seconds_between(first_token_, last_token_)};
}

void GenerationRun::fill_log(std::string finish_reason) {
  RequestLog& log = exchange_->log();
  const Usage total = usage();
  log.num_choices = static_cast<int32_t>(choices_.size());
  log.num_prompt_tokens = static_cast<int32_t>(total.num_prompt_tokens);
  log.num_cached_tokens = static_cast<int32_t>(total.num_cached_tokens);
  log.num_output_tokens = static_cast<int32_t>(total.num_completion_tokens);
  if (first_token_ != TimePoint{}) {
    log.ttft_s = seconds_between(exchange_->request().received, first_token_);
  }
  log.finish_reason = std::move(finish_reason);
}

}  // namespace pagoda::openai
