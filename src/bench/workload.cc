// The kinds of workloads.
#include "bench/workload.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string_view>
#include <utility>

#include "bench/verses.h"

namespace pagoda {
namespace {

constexpr size_t kMaxFileBytes = size_t{2} << 30;
constexpr int64_t kMostTokens = 1'000'000'000;
constexpr double kLatestSeconds = 1e11;

Result<std::string> read_text(const std::string& file) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(file, error)) {
    return Error{ErrorCode::kNotFound, fmt::format("{}: is no file", file)};
  }
  std::ifstream in(file, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (!in.good() && !in.eof()) {
    return Error{ErrorCode::kNotFound, fmt::format("{}: cannot be read", file)};
  }
  if (text.size() > kMaxFileBytes) {
    return Error{ErrorCode::kTooLarge, fmt::format("{}: over 2 GiB", file)};
  }
  if (text.empty()) return invalid_argument(fmt::format("{}: is empty", file));
  return text;
}

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string line(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty()) lines.push_back(std::move(line));
  }
  return lines;
}

int64_t count_words(std::string_view text) {
  int64_t count = 0;
  bool in_word = false;
  for (const char c : text) {
    const bool space = c == ' ' || c == '\n' || c == '\t';
    if (!space && !in_word) ++count;
    in_word = !space;
  }
  return count;
}

class Maker {
 public:
  Maker(const WorkloadOptions& options, const Tokenizer* tokenizer)
      : options_(options), tokenizer_(tokenizer), random_(options.seed) {}

  // Tokens without BOS; words when there is no tokenizer.
  Result<int64_t> count(const std::string& text) const {
    if (tokenizer_ == nullptr) return count_words(text);
    ASSIGN_OR_RETURN(const auto ids, encode(text));
    return static_cast<int64_t>(ids.size());
  }

  int64_t draw(int64_t mean, double stddev) {
    if (stddev <= 0.0) return std::max<int64_t>(1, mean);
    std::normal_distribution<double> lengths(static_cast<double>(mean), stddev);
    for (int i = 0; i < 1000; ++i) {
      const double drawn = lengths(random_);
      if (drawn >= 1.0 && drawn < 1e9) return static_cast<int64_t>(drawn);
    }
    return std::max<int64_t>(1, mean);
  }

  // A text of words of the vocabulary which the tokenizer cuts into exactly so many tokens, if it
  // can be found; `tokens` is what it has.
  Result<std::string> random_text(int64_t num_tokens, int64_t& tokens) {
    if (words_.empty()) find_words();
    if (words_.empty()) return invalid_argument("the tokenizer has no words of ASCII letters");
    const auto wanted = static_cast<size_t>(num_tokens);
    std::vector<int32_t> ids;
    std::string text;
    // Neighbours may join, or come apart, when the text is read again.
    for (int round = 0; round < 64; ++round) {
      while (ids.size() < wanted) ids.push_back(words_[random_() % words_.size()]);
      ids.resize(wanted);
      text = tokenizer_->decode(ids, true);
      ASSIGN_OR_RETURN(ids, encode(text));
      if (ids.size() == wanted) break;
    }
    tokens = static_cast<int64_t>(ids.size());
    return text;
  }

  // Lines in random order until the next would go over; at least one.
  Result<std::string> some_lines(const std::vector<std::string>& lines, int64_t num_tokens,
                                 int64_t& tokens) {
    std::string text;
    tokens = 0;
    while (tokens < num_tokens) {
      const std::string& line = lines[random_() % lines.size()];
      std::string longer = text.empty() ? line : text + "\n" + line;
      ASSIGN_OR_RETURN(const int64_t of_line, count(line));
      if (!text.empty() && tokens + of_line > num_tokens) break;
      text = std::move(longer);
      tokens += of_line + 1;
    }
    ASSIGN_OR_RETURN(tokens, count(text));
    return text;
  }

  uint64_t random() { return random_(); }
  Turn turn(std::string prompt, int64_t tokens) {
    return {std::move(prompt), tokens, draw(options_.output_tokens, options_.output_stddev)};
  }
  int64_t draw_input() { return draw(options_.input_tokens, options_.input_stddev); }

 private:
  Result<std::vector<int32_t>> encode(const std::string& text) const {
    return tokenizer_->encode(text, {.add_special_tokens = false, .parse_special_tokens = false});
  }

  // Tokens that are a space and letters: they seldom join with their neighbours.
  void find_words() {
    for (int32_t id = 0; id < tokenizer_->vocab_size(); ++id) {
      const std::string_view bytes = tokenizer_->token_bytes(id);
      if (tokenizer_->is_special(id) || bytes.size() < 3 || bytes[0] != ' ') continue;
      const bool letters = std::all_of(bytes.begin() + 1, bytes.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
      });
      if (letters) words_.push_back(id);
    }
  }

  const WorkloadOptions& options_;
  const Tokenizer* tokenizer_;
  std::mt19937_64 random_;
  std::vector<int32_t> words_;
};

Result<std::vector<Conversation>> random_workload(const WorkloadOptions& options, size_t count,
                                                  const Tokenizer* tokenizer) {
  if (tokenizer == nullptr) {
    return invalid_argument(
        fmt::format("workload {}: needs the model's tokenizer for exact lengths; give --tokenizer",
                    options.kind));
  }
  Maker maker(options, tokenizer);
  std::vector<std::string> prefixes;
  std::vector<int64_t> prefix_tokens;
  if (options.kind == "prefix") {
    for (int64_t i = 0; i < options.num_prefixes; ++i) {
      int64_t tokens = 0;
      ASSIGN_OR_RETURN(std::string text, maker.random_text(options.prefix_tokens, tokens));
      prefixes.push_back(std::move(text));
      prefix_tokens.push_back(tokens);
    }
  }
  std::vector<Conversation> out(count);
  for (Conversation& conversation : out) {
    for (int64_t t = 0; t < options.num_turns; ++t) {
      int64_t tokens = 0;
      ASSIGN_OR_RETURN(std::string text, maker.random_text(maker.draw_input(), tokens));
      if (t == 0 && !prefixes.empty()) {
        const size_t group = maker.random() % prefixes.size();
        text = prefixes[group] + text;
        ASSIGN_OR_RETURN(tokens, maker.count(text));
      }
      conversation.turns.push_back(maker.turn(std::move(text), tokens));
    }
  }
  return out;
}

Result<std::vector<Conversation>> line_workload(const WorkloadOptions& options, size_t count,
                                                const Tokenizer* tokenizer) {
  std::string text(kVerses);
  if (!options.file.empty()) {
    ASSIGN_OR_RETURN(text, read_text(options.file));
  }
  const std::vector<std::string> lines = lines_of(text);
  if (lines.empty()) return invalid_argument(fmt::format("{}: has no line", options.file));
  Maker maker(options, tokenizer);
  std::vector<Conversation> out(count);
  for (Conversation& conversation : out) {
    for (int64_t t = 0; t < options.num_turns; ++t) {
      int64_t tokens = 0;
      ASSIGN_OR_RETURN(std::string prompt, maker.some_lines(lines, maker.draw_input(), tokens));
      conversation.turns.push_back(maker.turn(std::move(prompt), tokens));
    }
  }
  return out;
}

// The pairs of one conversation as ShareGPT's files have them; none where it starts otherwise.
Result<Conversation> sharegpt_conversation(const Json& entry, const WorkloadOptions& options,
                                           Maker& maker, const Tokenizer* tokenizer) {
  Conversation out;
  if (!entry.is_object() || !entry.contains("conversations")) return out;
  const Json& messages = entry["conversations"];
  if (!messages.is_array()) return out;
  for (size_t i = 0; i + 1 < messages.size(); i += 2) {
    const Json& user = messages[i];
    const Json& answer = messages[i + 1];
    const bool good = user.is_object() && answer.is_object() && user.contains("value") &&
                      answer.contains("value") && user["value"].is_string() &&
                      answer["value"].is_string();
    if (!good || static_cast<int64_t>(out.turns.size()) == options.num_turns) break;
    const auto prompt = user["value"].get<std::string>();
    if (prompt.empty()) break;
    ASSIGN_OR_RETURN(const int64_t tokens, maker.count(prompt));
    Turn turn = maker.turn(prompt, tokens);
    if (tokenizer != nullptr) {
      // As long as the answer was.
      ASSIGN_OR_RETURN(const int64_t length, maker.count(answer["value"].get<std::string>()));
      turn.output_tokens = std::max<int64_t>(1, length);
    }
    out.turns.push_back(std::move(turn));
  }
  return out;
}

Result<std::vector<Conversation>> sharegpt_workload(const WorkloadOptions& options, size_t count,
                                                    const Tokenizer* tokenizer) {
  ASSIGN_OR_RETURN(const std::string text, read_text(options.file));
  auto json = parse_json(text, {.max_bytes = kMaxFileBytes});
  if (!json.ok()) {
    return invalid_argument(fmt::format("{}: {}", options.file, json.error().message));
  }
  if (!json->is_array()) return invalid_argument(fmt::format("{}: is no array", options.file));
  Maker maker(options, tokenizer);
  std::vector<Conversation> found;
  for (const Json& entry : *json) {
    if (found.size() == count) break;
    ASSIGN_OR_RETURN(Conversation conversation,
                     sharegpt_conversation(entry, options, maker, tokenizer));
    if (!conversation.turns.empty()) found.push_back(std::move(conversation));
  }
  if (found.empty()) {
    return invalid_argument(
        fmt::format("{}: has no conversation of ShareGPT's form", options.file));
  }
  return found;
}

// {"prompt": ...} or {"messages": [...]}, with "max_tokens" and "timestamp" (seconds) if there.
Result<Conversation> jsonl_conversation(const Json& entry, Maker& maker) {
  Conversation out;
  Turn turn = maker.turn("", -1);
  if (!entry.is_object()) return invalid_argument("is no object");
  if (entry.contains("prompt") && entry["prompt"].is_string()) {
    turn.prompt = entry["prompt"].get<std::string>();
  } else if (entry.contains("messages") && entry["messages"].is_array() &&
             !entry["messages"].empty()) {
    const Json& last = entry["messages"].back();
    if (!last.is_object() || !last.contains("content") || !last["content"].is_string()) {
      return invalid_argument("the content of the last message is no text");
    }
    turn.prompt = last["content"].get<std::string>();
    for (size_t i = 0; i + 1 < entry["messages"].size(); ++i) {
      out.before.push_back(entry["messages"][i]);
    }
  } else {
    return invalid_argument("has neither \"prompt\" nor \"messages\"");
  }
  ASSIGN_OR_RETURN(turn.input_tokens, maker.count(turn.prompt));
  for (const char* key : {"max_tokens", "output_tokens"}) {
    if (!entry.contains(key)) continue;
    if (!entry[key].is_number_integer() || entry[key] < 1 || entry[key] > kMostTokens) {
      return invalid_argument(fmt::format("{} is no number of 1 to {}", key, kMostTokens));
    }
    turn.output_tokens = entry[key].get<int64_t>();
  }
  if (entry.contains("timestamp")) {
    const Json& at = entry["timestamp"];
    if (!at.is_number() || !(at >= 0) || !(at <= kLatestSeconds)) {
      return invalid_argument(
          fmt::format("timestamp is no number of seconds from 0 to {:.0f}", kLatestSeconds));
    }
    out.due_s = at.get<double>();
  }
  out.turns.push_back(std::move(turn));
  return out;
}

Result<std::vector<Conversation>> jsonl_workload(const WorkloadOptions& options, size_t count,
                                                 const Tokenizer* tokenizer) {
  ASSIGN_OR_RETURN(const std::string text, read_text(options.file));
  const std::vector<std::string> lines = lines_of(text);
  Maker maker(options, tokenizer);
  std::vector<Conversation> out;
  for (size_t i = 0; i < lines.size() && out.size() < count; ++i) {
    const auto json = parse_json(lines[i]);
    auto made = json.ok() ? jsonl_conversation(*json, maker) : Result<Conversation>(json.error());
    if (!made.ok()) {
      return invalid_argument(
          fmt::format("{}: entry {}: {}", options.file, i + 1, made.error().message));
    }
    out.push_back(std::move(made).value());
  }
  if (out.empty()) return invalid_argument(fmt::format("{}: has no line", options.file));
  return out;
}

}  // namespace

Result<std::vector<Conversation>> make_workload(const WorkloadOptions& options, size_t count,
                                                const Tokenizer* tokenizer) {
  const std::string& kind = options.kind;
  if (kind == "random" || kind == "prefix") return random_workload(options, count, tokenizer);
  if (kind == "lines") return line_workload(options, count, tokenizer);
  if ((kind == "sharegpt" || kind == "jsonl") && options.file.empty()) {
    return invalid_argument(fmt::format("workload {}: needs --workload-file", kind));
  }
  if (kind == "sharegpt") return sharegpt_workload(options, count, tokenizer);
  if (kind == "jsonl") return jsonl_workload(options, count, tokenizer);
  return invalid_argument(
      fmt::format("workload '{:.40}': is none of random, lines, prefix, sharegpt, jsonl", kind));
}

}  // namespace pagoda
