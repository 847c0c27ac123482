// OutputProcessor: detokenizing, and the search for stop strings across token borders.
#include "engine/output_processor.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace pagoda {

namespace {

struct StopMatch {
  size_t begin = std::string::npos;
  size_t end = std::string::npos;
  const std::string* stop = nullptr;
};

// The stop string that is complete first when the text is read from the left, the longest of those
// complete at once. So the answer does not depend on how the text was cut into tokens.
StopMatch find_stop(std::string_view text, const std::vector<std::string>& stops) {
  StopMatch best;
  for (const std::string& stop : stops) {
    const size_t begin = text.find(stop);
    if (begin == std::string_view::npos) continue;
    const size_t end = begin + stop.size();
    if (best.stop == nullptr || end < best.end || (end == best.end && begin < best.begin)) {
      best = {begin, end, &stop};
    }
  }
  return best;
}

// Bytes at the end of `text` that may be the start of a stop string.
size_t num_bytes_to_hold(std::string_view text, const std::vector<std::string>& stops) {
  size_t longest = 0;
  for (const std::string& stop : stops) {
    for (size_t n = std::min(text.size(), stop.size() - 1); n > longest; --n) {
      if (text.substr(text.size() - n) == std::string_view(stop).substr(0, n)) longest = n;
    }
  }
  return longest;
}

}  // namespace

OutputProcessor::OutputProcessor(std::shared_ptr<const Tokenizer> tokenizer, TextOptions options)
    : tokenizer_(std::move(tokenizer)),
      options_(std::move(options)),
      detokenizer_(tokenizer_, options_.skip_special_tokens, options_.continues_text) {
}

TextDelta OutputProcessor::process(const ChoiceOutput& output) {
  TextDelta delta;
  if (done_) return delta;
  for (size_t i = 0; i < output.tokens.size() && !done_; ++i) {
    const SampledToken& token = output.tokens[i];
    ++num_tokens_;
    delta.tokens.push_back(token);
    // The token that ends a choice is no text, as a stop string is none.
    const bool ends = output.stop_token_id.has_value() && i + 1 == output.tokens.size();
    if (ends && !options_.include_stop_str_in_output) continue;
    add_text(detokenizer_.add(token.token), delta);
  }
  if (output.finish_reason && !done_) add_text(detokenizer_.flush(), delta);
  if (done_) {
    delta.stop_string_just_matched = !output.finish_reason.has_value();
  } else if (output.finish_reason) {
    delta.text += std::exchange(held_back_, {});
    delta.finish_reason = output.finish_reason;
    delta.stop_token_id = output.stop_token_id;
    done_ = true;
  }
  return delta;
}

void OutputProcessor::add_text(const std::string& text, TextDelta& delta) {
  held_back_ += text;
  const StopMatch match = find_stop(held_back_, options_.stop);
  if (match.stop != nullptr) {
    delta.text +=
        held_back_.substr(0, options_.include_stop_str_in_output ? match.end : match.begin);
    delta.finish_reason = FinishReason::kStop;
    delta.stop_string = *match.stop;
    held_back_.clear();
    done_ = true;
    return;
  }
  const size_t num_ready = held_back_.size() - num_bytes_to_hold(held_back_, options_.stop);
  delta.text.append(held_back_, 0, num_ready);
  held_back_.erase(0, num_ready);
}

int32_t OutputProcessor::num_tokens() const {
  return num_tokens_;
}

}  // namespace pagoda
