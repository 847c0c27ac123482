// Reads events without building a tree of each: a load of thousands of streams is as many events a
// second.
#include "bench/event_reader.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "base/json.h"

namespace pagoda {
namespace {

constexpr size_t kMaxLineBytes = size_t{16} << 20;
constexpr size_t kMaxEventBytes = size_t{16} << 20;
constexpr size_t kMaxMessageBytes = 400;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr size_t kMaxDepth = 64;
// More than that in a usage is no count.
constexpr int64_t kMaxTokens = 1'000'000'000;

// What one event of chat or of completions says.
struct Event {
  std::string content;
  std::string reasoning;
  std::string reasoning_content;  // its older name, which some servers send as well
  std::string arguments;          // of tool calls
  std::string finish_reason;
  std::string error;
  bool has_error = false;
  bool has_choice = false;
  int64_t prompt_tokens = -1;
  int64_t completion_tokens = -1;
  int64_t cached_tokens = -1;
};

// Receives the parts of a JSON text in order; `path_` is where they stand, with "[]" for elements.
class EventHandler : public nlohmann::json_sax<Json> {
 public:
  explicit EventHandler(Event& event) : event_(event) {}

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t value) override { return number(value); }
  bool number_unsigned(number_unsigned_t value) override {
    return number(static_cast<int64_t>(value));
  }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool string(string_t& value) override {
    if (path_.size() >= 2 && path_[0] == "error") {
      if (path_.back() == "message") event_.error = value;
      return true;
    }
    if (path_.size() == 1 && path_[0] == "error") {
      event_.has_error = true;
      event_.error = value;
      return true;
    }
    if (path_.size() < 3 || path_[0] != "choices") return true;
    const std::string& key = path_.back();
    const bool in_delta = path_.size() == 4 && path_[2] == "delta";
    if ((in_delta && key == "content") || (path_.size() == 3 && key == "text")) {
      event_.content += value;
    } else if (in_delta && key == "reasoning") {
      event_.reasoning += value;
    } else if (in_delta && key == "reasoning_content") {
      event_.reasoning_content += value;
    } else if (key == "arguments") {
      event_.arguments += value;
    } else if (path_.size() == 3 && key == "finish_reason") {
      event_.finish_reason = value;
    }
    return true;
  }
  bool start_object(size_t) override {
    if (path_.size() == 1 && path_[0] == "error") event_.has_error = true;
    if (path_.size() == 2 && path_[0] == "choices") event_.has_choice = true;
    return push("");
  }
  bool start_array(size_t) override { return push("[]"); }
  bool key(string_t& value) override {
    path_.back() = value;
    return true;
  }
  bool end_object() override { return pop(); }
  bool end_array() override { return pop(); }
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

 private:
  bool push(const char* place) {
    if (path_.size() == kMaxDepth) return false;
    path_.emplace_back(place);
    return true;
  }
  bool pop() {
    path_.pop_back();
    return true;
  }
  bool number(int64_t value) {
    if (path_.size() < 2 || path_[0] != "usage") return true;
    const std::string& key = path_.back();
    if (path_.size() == 2 && key == "prompt_tokens") event_.prompt_tokens = value;
    if (path_.size() == 2 && key == "completion_tokens") event_.completion_tokens = value;
    if (path_.size() == 3 && key == "cached_tokens") event_.cached_tokens = value;
    return true;
  }

  Event& event_;
  std::vector<std::string> path_;
};

std::string beginning(std::string_view text) {
  return std::string(text.substr(0, kMaxMessageBytes));
}

}  // namespace

const char* to_string(FailureCause cause) {
  switch (cause) {
    case FailureCause::kNone: return "none";
    case FailureCause::kConnect: return "no connection";
    case FailureCause::kHttpStatus: return "HTTP status";
    case FailureCause::kNotEventStream: return "no event stream";
    case FailureCause::kStreamError: return "error in the stream";
    case FailureCause::kMalformedEvent: return "malformed event";
    case FailureCause::kCut: return "connection cut";
    case FailureCause::kTimeout: return "timeout";
    case FailureCause::kNoTokens: return "no tokens";
    case FailureCause::kCancelled: return "cancelled";
  }
  return "unknown";
}

bool EventReader::fail(FailureCause cause, std::string message) {
  record_.cause = cause;
  record_.message = std::move(message);
  return false;
}

bool EventReader::take(std::string_view bytes, int64_t now_ns) {
  if (record_.cause != FailureCause::kNone) return false;
  if (!any_event_ && head_.size() < kMaxMessageBytes) {
    head_ += bytes.substr(0, kMaxMessageBytes - head_.size());
  }
  // The answer ends at [DONE], whatever comes behind it.
  while (!bytes.empty() && !done_) {
    if (std::exchange(after_cr_, false) && bytes.front() == '\n') {
      bytes.remove_prefix(1);
      continue;
    }
    const auto end =
        std::find_if(bytes.begin(), bytes.end(), [](char c) { return c == '\n' || c == '\r'; });
    const auto length = static_cast<size_t>(end - bytes.begin());
    line_ += bytes.substr(0, length);
    if (line_.size() > kMaxLineBytes) {
      return fail(FailureCause::kMalformedEvent, "a line of more than 16 MiB");
    }
    if (end == bytes.end()) return true;
    after_cr_ = *end == '\r';
    bytes.remove_prefix(length + 1);
    const bool good = take_line(line_, now_ns);
    line_.clear();
    if (!good) return false;
  }
  return true;
}

bool EventReader::take_line(std::string_view line, int64_t now_ns) {
  if (std::exchange(first_line_, false) && line.starts_with(kByteOrderMark)) {
    line.remove_prefix(kByteOrderMark.size());
  }
  if (line.empty()) return end_event(now_ns);
  constexpr std::string_view kData = "data";
  if (!line.starts_with(kData)) return true;
  line.remove_prefix(kData.size());
  // A name alone is a field without a value; a longer name is another field.
  if (!line.empty() && line.front() != ':') return true;
  if (!line.empty()) line.remove_prefix(1);
  if (line.starts_with(' ')) line.remove_prefix(1);
  if (std::exchange(has_data_, true)) data_ += '\n';
  data_ += line;
  if (data_.size() <= kMaxEventBytes) return true;
  return fail(FailureCause::kMalformedEvent, "an event of more than 16 MiB");
}

bool EventReader::end_event(int64_t now_ns) {
  if (!std::exchange(has_data_, false)) return true;
  const bool good = take_event(data_, now_ns);
  data_.clear();
  return good;
}

bool EventReader::take_event(std::string_view data, int64_t now_ns) {
  any_event_ = true;
  if (data == "[DONE]") {
    // The answer ends here, whenever the server ends the body.
    done_ = true;
    record_.end_ns = now_ns;
    return true;
  }
  Event event;
  EventHandler handler(event);
  if (!Json::sax_parse(data.begin(), data.end(), &handler)) {
    return fail(FailureCause::kMalformedEvent, "no JSON: " + beginning(data));
  }
  if (event.has_error) {
    return fail(FailureCause::kStreamError, beginning(event.error.empty() ? data : event.error));
  }
  record_.num_events += event.has_choice ? 1 : 0;
  if (!event.content.empty()) {
    if (record_.first_content_ns < 0) record_.first_content_ns = now_ns;
    record_.last_content_ns = now_ns;
  }
  const std::string other_text =
      (event.reasoning.empty() ? event.reasoning_content : event.reasoning) + event.arguments;
  if (!event.content.empty() || !other_text.empty()) record_.piece_ns.push_back(now_ns);
  record_.reasoning += other_text;
  record_.content += event.content;
  if (!event.finish_reason.empty()) record_.finish_reason = event.finish_reason;
  const auto take = [](int64_t given, int64_t& kept) {
    if (given >= 0 && given <= kMaxTokens) kept = given;
  };
  take(event.prompt_tokens, record_.usage_input_tokens);
  take(event.completion_tokens, record_.usage_output_tokens);
  take(event.cached_tokens, record_.usage_cached_tokens);
  return true;
}

void EventReader::finish(int64_t now_ns) {
  if (record_.cause != FailureCause::kNone) return;
  if (!done_ && (line_.empty() || take_line(std::exchange(line_, {}), now_ns)) &&
      !end_event(now_ns) && record_.cause == FailureCause::kMalformedEvent) {
    fail(FailureCause::kCut, "the stream ended within an event");
  }
  if (record_.cause != FailureCause::kNone) return;
  if (!any_event_) {
    fail(FailureCause::kNotEventStream, "no event in: " + beginning(head_));
  } else if (!done_ && record_.finish_reason.empty()) {
    fail(FailureCause::kCut, "the stream ended without [DONE] and without a finish reason");
  } else if (record_.piece_ns.empty()) {
    fail(FailureCause::kNoTokens, "the stream ended and held no text");
  }
}

}  // namespace pagoda
