// How fast tokenizers encode each kind of text, in MB/s of one thread: a table in Markdown.
//   tokenizer_bench MEGABYTES NAME=tokenizer.json...
#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/tokenizer.h"
#include "text/unicode.h"

namespace pagoda {
namespace {

using Samples = std::vector<std::pair<const char*, std::string>>;

constexpr std::string_view kProse =
    "The committee didn't say when it would meet again, and nobody in the room (there were 27 of "
    "them) seemed to mind. \"We'll see,\" she wrote; then, after a while, she crossed it out.\n\n";
constexpr std::string_view kCode =
    "  for (size_t i = 0; i < values.size(); ++i) {\n    total += values[i] * 0x1F;  // widen\n  "
    "}\n";

// `text` again and again, whole characters of it, up to `size` bytes.
std::string repeated(std::string_view text, size_t size) {
  std::string out;
  out.reserve(size + text.size());
  while (out.size() + text.size() <= size) out += text;
  return out;
}

std::string letters(std::string_view alphabet, size_t size) {
  std::mt19937 random(1);  // the same text each time
  std::string out(size, ' ');
  for (char& c : out) c = alphabet[random() % alphabet.size()];
  return out;
}

std::string characters(char32_t first, char32_t last, size_t size) {
  std::mt19937 random(2);  // the same text each time
  std::string out;
  while (out.size() + 4 <= size) {
    append_utf8(out, first + static_cast<char32_t>(random() % (last - first + 1)));
  }
  return out;
}

std::string random_bytes(size_t size) {
  std::mt19937 random(3);  // the same text each time
  std::string bytes(size / 2, ' ');
  for (char& c : bytes) c = static_cast<char>(random());
  std::string out;
  append_utf8_lossy(bytes, out);
  return out;
}

Samples make_samples(size_t size) {
  const std::string lower = "abcdefghijklmnopqrstuvwxyz", upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  return {{"prose", repeated(kProse, size)},
          {"code", repeated(kCode, size)},
          {"one letter", repeated("a", size)},
          {"`ab`", repeated("ab", size)},
          {"spaces", repeated(" ", size)},
          {"newlines", repeated("\n", size)},
          {"digits", letters("0123456789", size)},
          {"punctuation", letters("!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~", size)},
          {"one sign", repeated("=", size)},
          {"long word", letters(lower, size)},
          {"mixed case", letters(lower + upper, size)},
          {"base64", letters(lower + upper + "0123456789+/", size)},
          {"CJK", characters(0x4E00, 0x9FA5, size)},
          {"one CJK", repeated("\u4E00", size)},
          {"Hangul", characters(0xAC00, 0xD7A3, size)},
          {"emoji", characters(0x1F600, 0x1F64F, size)},
          {"joined emoji", repeated("👩\u200d👩\u200d👧", size)},
          {"marks", repeated("a\u0301\u0323", size)},
          {"random bytes", random_bytes(size)}};
}

// Of the thread's own time, which other programs disturb less than time on the wall.
double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// The best of three; 0 when the text is refused.
double megabytes_per_second(const Tokenizer& tokenizer, std::string_view text) {
  double best = 0;
  for (int run = 0; run < 3; ++run) {
    const double start = thread_seconds();
    const auto ids = tokenizer.encode(text, {});
    const double seconds = thread_seconds() - start;
    if (!ids.ok()) {
      fmt::print(stderr, "{}\n", ids.error().message);
      return 0;
    }
    best = std::max(best, static_cast<double>(text.size()) / seconds / 1e6);
  }
  return best;
}

int run(const std::vector<std::string>& arguments) {
  double megabytes = 0;
  if (arguments.size() < 2 ||
      std::from_chars(arguments[0].data(), arguments[0].data() + arguments[0].size(), megabytes)
              .ec != std::errc() ||
      !(megabytes > 0 && megabytes <= 64)) {
    fmt::print(stderr, "usage: tokenizer_bench MEGABYTES NAME=tokenizer.json...\n");
    return 2;
  }
  std::string header = "| text |", rule = "|---|";
  std::vector<std::shared_ptr<const Tokenizer>> tokenizers;
  for (size_t i = 1; i < arguments.size(); ++i) {
    const size_t equals = arguments[i].find('=');
    if (equals == std::string::npos) continue;
    std::ifstream file(arguments[i].substr(equals + 1), std::ios::binary);
    const std::string json{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    auto data = parse_tokenizer_json(json);
    auto tokenizer = data.ok() ? Tokenizer::create(*std::move(data)) : data.error();
    if (!tokenizer.ok()) {
      fmt::print(stderr, "{}: {}\n", arguments[i], tokenizer.error().message);
      return 1;
    }
    tokenizers.push_back(*std::move(tokenizer));
    header += fmt::format(" {} |", arguments[i].substr(0, equals));
    rule += "---|";
  }
  fmt::print("{}\n{}\n", header, rule);
  for (const auto& [name, text] : make_samples(static_cast<size_t>(megabytes * 1e6))) {
    std::string line = fmt::format("| {} |", name);
    for (const auto& tokenizer : tokenizers) {
      line += fmt::format(" {:.1f} |", megabytes_per_second(*tokenizer, text));
    }
    fmt::print("{}\n", line);
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace
}  // namespace pagoda

int main(int argc, char** argv) {
  return pagoda::run(std::vector<std::string>(argv + 1, argv + argc));
}
