// What LLMPerf computes, with its quirks.
#include "bench/llmperf.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>

#include "bench/python_random.h"
#include "bench/statistics.h"

namespace pagoda {
namespace {

constexpr uint32_t kSeed = 11111;
constexpr int kMaxDraws = 100'000;

// int(random.gauss(mean, stddev)), again until it is above zero.
Result<int64_t> draw_positive(PythonRandom& random, int64_t mean, int64_t stddev) {
  for (int i = 0; i < kMaxDraws; ++i) {
    const double drawn =
        std::trunc(random.gauss(static_cast<double>(mean), static_cast<double>(stddev)));
    if (drawn > 0.0 && drawn < 1e12) return static_cast<int64_t>(drawn);
  }
  return invalid_argument(fmt::format(
      "tokens: a mean of {} with deviation {} does not give lengths above zero", mean, stddev));
}

// Lines with their line breaks, as Python's readlines() has them.
std::vector<std::string> lines_with_breaks(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const size_t size = end == std::string_view::npos ? text.size() : end + 1;
    lines.emplace_back(text.substr(0, size));
    text.remove_prefix(size);
  }
  return lines;
}

// The first `count` characters of UTF-8.
std::string first_characters(const std::string& text, int64_t count) {
  size_t end = 0;
  for (int64_t i = 0; i < count && end < text.size(); ++i) {
    ++end;
    while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) ++end;
  }
  return text.substr(0, end);
}

struct Series {
  const char* name;
  double (*value)(const LlmperfFigures&);
  bool whole = false;
};
constexpr Series kSeries[] = {
    {"inter_token_latency_s", [](const LlmperfFigures& f) { return f.inter_token_latency_s; }},
    {"ttft_s", [](const LlmperfFigures& f) { return f.ttft_s; }},
    {"end_to_end_latency_s", [](const LlmperfFigures& f) { return f.end_to_end_latency_s; }},
    {"request_output_throughput_token_per_s",
     [](const LlmperfFigures& f) { return f.output_throughput; }},
    {"number_input_tokens",
     [](const LlmperfFigures& f) { return static_cast<double>(f.input_tokens); }, true},
    {"number_output_tokens",
     [](const LlmperfFigures& f) { return static_cast<double>(f.output_tokens); }, true},
};

// A flat JSON object as Python's json.dump(indent=4) writes it.
class FlatObject {
 public:
  void text(const std::string& key, const std::string& value) { raw(key, quoted(value)); }
  void whole(const std::string& key, int64_t value) { raw(key, fmt::format("{}", value)); }
  void real(const std::string& key, double value) { raw(key, json_float(value)); }
  void raw(const std::string& key, const std::string& value) {
    body_ += fmt::format("{}{}    {}: {}", body_.empty() ? "" : ",", "\n", quoted(key), value);
  }
  std::string str() const { return body_.empty() ? "{}" : "{" + body_ + "\n}"; }

  static std::string quoted(const std::string& value) {
    return Json(value).dump(-1, ' ', true, Json::error_handler_t::replace);
  }
  static std::string json_float(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
    return python_float(value);
  }

 private:
  std::string body_;
};

std::string pandas_number(double value) {
  return std::isnan(value) ? "nan" : python_float(value);
}

// "a b/c" -> "a-b-c", and runs of "-" made one.
std::string file_stem(const LlmperfOptions& options) {
  const std::string name =
      fmt::format("{}_{}_{}", options.model, options.mean_input_tokens, options.mean_output_tokens);
  std::string stem;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    const bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '_' || byte >= 0x80;
    if (word) {
      stem += c;
    } else if (!stem.ends_with('-')) {
      stem += '-';
    }
  }
  return stem;
}

std::map<int64_t, int64_t> error_codes(const std::vector<LlmperfFigures>& figures) {
  std::map<int64_t, int64_t> codes;
  for (const LlmperfFigures& f : figures) codes[f.error_code] += f.failed ? 1 : 0;
  std::erase_if(codes, [](const auto& entry) { return entry.second == 0; });
  return codes;
}

std::string python_dict(const std::map<int64_t, int64_t>& counts) {
  std::string out = "{";
  for (const auto& [code, count] : counts) {
    out += fmt::format("{}{}: {}", out.size() > 1 ? ", " : "", code, count);
  }
  return out + "}";
}

// The distributions, into the file and onto the console.
void write_series(const std::vector<LlmperfFigures>& figures, FlatObject& summary,
                  std::string& console) {
  for (const Series& series : kSeries) {
    std::vector<double> values;
    for (const LlmperfFigures& f : figures) {
      if (!f.failed) values.push_back(series.value(f));
    }
    const Distribution d = distribution_of(std::move(values));
    const std::string key = fmt::format("results_{}_", series.name);
    console += fmt::format("{}\n", series.name);
    for (size_t i = 0; i < std::size(kQuantiles); ++i) {
      summary.real(key + "quantiles_" + kQuantileNames[i], d.quantiles[i]);
      console += fmt::format("    {} = {}\n", kQuantileNames[i], pandas_number(d.quantiles[i]));
    }
    summary.real(key + "mean", d.mean);
    console += fmt::format("    mean = {}\n", pandas_number(d.mean));
    for (const auto& [name, value] : {std::pair{"min", d.min}, std::pair{"max", d.max}}) {
      const bool as_text = series.whole && std::isfinite(value);
      // numpy's whole numbers pass through json.dump(default=str).
      if (as_text) {
        summary.text(key + name, fmt::format("{:.0f}", value));
      } else {
        summary.real(key + name, value);
      }
      console += fmt::format("    {} = {}\n", name,
                             as_text ? fmt::format("{:.0f}", value) : pandas_number(value));
    }
    summary.real(key + "stddev", d.stddev);
    console += fmt::format("    stddev = {}\n", pandas_number(d.stddev));
  }
}

std::string individual_responses(const std::vector<LlmperfFigures>& figures) {
  std::string out = "[";
  for (const LlmperfFigures& f : figures) {
    const auto line = [&out](const char* key, const std::string& value, bool last = false) {
      out += fmt::format("        \"{}\": {}{}\n", key, value, last ? "" : ",");
    };
    out += out.size() > 1 ? ",\n    {\n" : "\n    {\n";
    line("error_code", f.failed ? fmt::format("{}", f.error_code) : "null");
    line("error_msg", FlatObject::quoted(f.error_message));
    line("inter_token_latency_s", FlatObject::json_float(f.inter_token_latency_s));
    line("ttft_s", FlatObject::json_float(f.ttft_s));
    line("end_to_end_latency_s", FlatObject::json_float(f.end_to_end_latency_s));
    line("request_output_throughput_token_per_s", FlatObject::json_float(f.output_throughput));
    line("number_total_tokens", fmt::format("{}", f.input_tokens + f.output_tokens));
    line("number_output_tokens", fmt::format("{}", f.output_tokens));
    line("number_input_tokens", fmt::format("{}", f.input_tokens), true);
    out += "    }";
  }
  return out + (figures.empty() ? "]" : "\n]");
}

std::string small_words(int64_t n) {
  static constexpr std::string_view kOnes[] = {
      "zero",     "one",     "two",     "three",     "four",     "five",    "six",
      "seven",    "eight",   "nine",    "ten",       "eleven",   "twelve",  "thirteen",
      "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"};
  static constexpr std::string_view kTens[] = {"",      "",      "twenty",  "thirty", "forty",
                                               "fifty", "sixty", "seventy", "eighty", "ninety"};
  if (n < 20) return std::string(kOnes[n]);
  std::string out(kTens[n / 10]);
  if (n % 10 != 0) out += fmt::format("-{}", kOnes[n % 10]);
  return out;
}

std::string words_below_thousand(int64_t n) {
  if (n < 100) return small_words(n);
  std::string out = small_words(n / 100) + " hundred";
  if (n % 100 != 0) out += " and " + small_words(n % 100);
  return out;
}

}  // namespace

std::string python_float(double value) {
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".enia") == std::string::npos) text += ".0";
  return text;
}

Result<std::vector<Conversation>> llmperf_prompts(const LlmperfOptions& options,
                                                  const std::string& text,
                                                  const TokenLength& length) {
  const std::vector<std::string> all_lines = lines_with_breaks(text);
  if (all_lines.empty()) return invalid_argument("the text of prompts has no line");
  PythonRandom random(kSeed);
  std::vector<Conversation> out;
  for (int64_t i = 0; i < options.max_num_completed_requests; ++i) {
    ASSIGN_OR_RETURN(const int64_t output_tokens, draw_positive(random, options.mean_output_tokens,
                                                                options.stddev_output_tokens));
    std::string prompt = fmt::format(
        "Randomly stream lines from the following text with {} output tokens. "
        "Don't generate eos tokens:\n\n",
        output_tokens);
    ASSIGN_OR_RETURN(const int64_t header_tokens, length(prompt));
    int64_t input_tokens = 0;
    for (int draws = 0; input_tokens < header_tokens; ++draws) {
      if (draws == kMaxDraws) {
        return invalid_argument(
            fmt::format("mean-input-tokens: {} gives no prompt of the {} tokens that its heading "
                        "has",
                        options.mean_input_tokens, header_tokens));
      }
      ASSIGN_OR_RETURN(input_tokens, draw_positive(random, options.mean_input_tokens,
                                                   options.stddev_input_tokens));
    }
    std::vector<std::string> lines = all_lines;
    random.shuffle(lines);
    int64_t remaining = input_tokens - header_tokens;
    for (size_t at = 0;; at = (at + 1) % lines.size()) {
      ASSIGN_OR_RETURN(const int64_t line_tokens, length(lines[at]));
      if (remaining - line_tokens < 0) {
        // Cut in characters though the rest is in tokens.
        prompt += first_characters(lines[at], remaining);
        break;
      }
      prompt += lines[at];
      remaining -= std::max<int64_t>(1, line_tokens);
    }
    Conversation conversation;
    conversation.before.push_back({{"role", "system"}, {"content", ""}});
    conversation.turns.push_back({std::move(prompt), input_tokens, output_tokens});
    out.push_back(std::move(conversation));
  }
  return out;
}

Result<LlmperfFigures> llmperf_figures(const RequestRecord& record, LlmperfKind kind,
                                       const TokenLength& length) {
  LlmperfFigures out;
  out.input_tokens = record.asked_input_tokens;
  if (record.cause != FailureCause::kNone) {
    out.failed = true;
    out.error_code =
        record.cause == FailureCause::kHttpStatus ? static_cast<int64_t>(record.http_status) : -1;
    out.error_message = record.message;
    return out;
  }
  const bool aws = kind == LlmperfKind::kAws;
  ASSIGN_OR_RETURN(out.output_tokens,
                   length(aws ? record.reasoning + record.content : record.content));
  const auto since_sent = [&record](int64_t ns) {
    return ns < 0 ? 0.0 : static_cast<double>(ns - record.sent_ns) * 1e-9;
  };
  out.ttft_s = since_sent(aws ? record.piece_ns.front() : record.first_content_ns);
  out.end_to_end_latency_s = since_sent(record.end_ns);
  if (aws) {
    const double gaps = since_sent(record.piece_ns.back()) - out.ttft_s;
    out.inter_token_latency_s =
        out.output_tokens > 1 ? gaps / static_cast<double>(out.output_tokens - 1) : 0.0;
  } else {
    out.inter_token_latency_s = since_sent(record.last_content_ns) /
                                static_cast<double>(std::max<int64_t>(1, record.num_events));
  }
  out.output_throughput = static_cast<double>(out.output_tokens) / out.end_to_end_latency_s;
  return out;
}

LlmperfReport llmperf_report(const LlmperfOptions& options,
                             const std::vector<LlmperfFigures>& figures, double elapsed_s,
                             int64_t unix_time_s, bool timed_out) {
  const auto failed = static_cast<int64_t>(std::count_if(
      figures.begin(), figures.end(), [](const LlmperfFigures& f) { return f.failed; }));
  const auto all = static_cast<int64_t>(figures.size());
  int64_t output_tokens = 0;
  for (const LlmperfFigures& f : figures) output_tokens += f.failed ? 0 : f.output_tokens;
  const double throughput = static_cast<double>(output_tokens) / elapsed_s;
  const double per_minute = static_cast<double>(all - failed) / elapsed_s * 60.0;

  LlmperfReport out;
  out.file_stem = file_stem(options);
  FlatObject summary;
  summary.text("version", "2023-08-31");
  summary.text("name", out.file_stem + "_summary");
  summary.text("model", options.model);
  summary.whole("mean_input_tokens", options.mean_input_tokens);
  summary.whole("stddev_input_tokens", options.stddev_input_tokens);
  summary.whole("mean_output_tokens", options.mean_output_tokens);
  summary.whole("stddev_output_tokens", options.stddev_output_tokens);
  summary.whole("num_concurrent_requests", options.num_concurrent_requests);
  for (const auto& [key, value] : options.additional_sampling_params.items()) {
    summary.raw("additional_sampling_params_" + key,
                value.dump(4, ' ', true, Json::error_handler_t::replace));
  }
  if (timed_out) out.console += "Test timed out before all requests could be completed.\n";
  out.console += fmt::format("\\Results for token benchmark for {} queried with the {} api.\n\n",
                             options.model, options.llm_api);
  write_series(figures, summary, out.console);
  const auto codes = error_codes(figures);
  summary.whole("results_num_requests_started", all);
  summary.real("results_error_rate",
               all == 0 ? 0.0 : static_cast<double>(failed) / static_cast<double>(all));
  summary.whole("results_number_errors", failed);
  summary.text("results_error_code_frequency", python_dict(codes));
  summary.real("results_mean_output_throughput_token_per_s", throughput);
  summary.whole("results_num_completed_requests", all - failed);
  summary.real("results_num_completed_requests_per_min", per_minute);
  for (const auto& [key, value] : options.metadata) summary.text(key, value);
  summary.whole("timestamp", unix_time_s);
  out.summary = summary.str();
  out.individual = individual_responses(figures);
  out.console += fmt::format("Number Of Errored Requests: {}\n", failed);
  if (failed > 0) out.console += fmt::format("Error Code Frequency\n{}\n", python_dict(codes));
  out.console += fmt::format(
      "Overall Output Throughput: {}\nNumber Of Completed Requests: {}\n"
      "Completed Requests Per Minute: {}\n",
      python_float(throughput), all - failed, python_float(per_minute));
  return out;
}

std::string number_words(int64_t number) {
  if (number < 1000) return words_below_thousand(number);
  std::string out = small_words(number / 1000) + " thousand";
  const int64_t rest = number % 1000;
  if (rest == 0) return out;
  return out + (rest < 100 ? " and " : ", ") + words_below_thousand(rest);
}

bool holds_number(const std::string& text, int64_t number) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool between =
        text[i] == ',' && i > 0 && i + 1 < text.size() && digit(text[i - 1]) && digit(text[i + 1]);
    if (!between) plain += text[i];
  }
  const std::string wanted = fmt::format("{}", number);
  for (size_t i = 0; i < plain.size();) {
    size_t end = i;
    while (end < plain.size() && digit(plain[end])) ++end;
    if (plain.compare(i, end - i, wanted) == 0 && end > i) return true;
    i = end + 1;
  }
  return false;
}

}  // namespace pagoda
