// tokenizer_from_gguf: what becomes of the metadata, and what is refused.
#include "text/tokenizer_gguf.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

namespace pagoda {
namespace {

using Ids = std::vector<int32_t>;

GgufVocabulary small_gpt2() {
  GgufVocabulary vocabulary;
  vocabulary.model = "gpt2";
  vocabulary.pre = "gpt-2";
  vocabulary.tokens = {"a", "\u0120", "\u0120a", "<|end|>"};
  vocabulary.token_types = {1, 1, 1, 3};
  vocabulary.merges = {"\u0120 a"};
  vocabulary.bos_id = vocabulary.eos_id = 3;
  return vocabulary;
}

TEST(TokenizerGguf, ReadsAByteLevelVocabulary) {
  auto data = tokenizer_from_gguf(small_gpt2());
  ASSERT_TRUE(data.ok()) << data.error().message;
  const auto tokenizer = Tokenizer::create(*std::move(data));
  ASSERT_TRUE(tokenizer.ok());
  EXPECT_EQ(*(*tokenizer)->encode("a a<|end|>", {}), (Ids{0, 2, 3}));
  EXPECT_TRUE((*tokenizer)->is_special(3));
}

TEST(TokenizerGguf, PutsBosAndEosWhereTheFileSays) {
  GgufVocabulary vocabulary = small_gpt2();
  vocabulary.add_bos = true;
  vocabulary.add_eos = true;
  const auto data = tokenizer_from_gguf(vocabulary);
  ASSERT_TRUE(data.ok());
  EXPECT_EQ(data->prefix_ids, Ids{3});
  EXPECT_EQ(data->suffix_ids, Ids{3});
}

GgufVocabulary small_llama() {
  GgufVocabulary vocabulary;
  vocabulary.model = "llama";
  vocabulary.tokens = {"<unk>", "<s>", "<0x0A>", "\u2581a", "\u2581", "a", "b", "ab"};
  vocabulary.scores = {0, 0, 0, -1, -3, -4, -5, -2};
  vocabulary.token_types = {2, 3, 6, 1, 1, 1, 1, 1};
  vocabulary.unk_id = 0;
  vocabulary.bos_id = 1;
  return vocabulary;
}

TEST(TokenizerGguf, ReadsASentencePieceVocabulary) {
  auto data = tokenizer_from_gguf(small_llama());
  ASSERT_TRUE(data.ok()) << data.error().message;
  const auto tokenizer = Tokenizer::create(*std::move(data));
  ASSERT_TRUE(tokenizer.ok());
  EXPECT_EQ(*(*tokenizer)->encode("ab a\nab", {}), (Ids{1, 3, 6, 3, 2, 7}));
  EXPECT_EQ((*tokenizer)->decode({1, 3, 6, 3, 2, 7}, true), "ab a\nab");
  GgufVocabulary bare = small_llama();
  bare.add_space_prefix = false;
  bare.add_bos = false;
  data = tokenizer_from_gguf(bare);
  ASSERT_TRUE(data.ok());
  EXPECT_EQ(*Tokenizer::create(*std::move(data)).value()->encode("ab", {}), Ids{7});
}

TEST(TokenizerGguf, RefusesListsAndIdsThatDoNotFit) {
  const auto refused = [](const auto& change, GgufVocabulary vocabulary) {
    change(vocabulary);
    const auto data = tokenizer_from_gguf(vocabulary);
    return !data.ok() && data.error().code == ErrorCode::kInvalidArgument;
  };
  EXPECT_TRUE(refused([](auto& v) { v.scores.pop_back(); }, small_llama()));
  EXPECT_TRUE(refused([](auto& v) { v.token_types.push_back(1); }, small_llama()));
  EXPECT_TRUE(refused([](auto& v) { v.bos_id = 8; }, small_llama()));
  EXPECT_TRUE(refused([](auto& v) { v.tokens[3] = "\xFF"; }, small_llama()));
  EXPECT_TRUE(refused([](auto& v) { v.tokens.clear(); }, small_llama()));
  EXPECT_TRUE(refused([](auto& v) { v.merges.push_back("x y"); }, small_gpt2()));
  EXPECT_TRUE(refused([](auto& v) { v.merges.push_back("a"); }, small_gpt2()));
}

// The vocabularies and answers that llama.cpp tests with.

// Reads the keys of a GGUF file that a vocabulary needs; the file is one we trust.
class VocabularyFile {
 public:
  explicit VocabularyFile(const std::string& path) : in_(path, std::ios::binary) {}

  GgufVocabulary read() {
    GgufVocabulary v;
    number<uint64_t>();  // magic and version
    number<uint64_t>();  // tensors
    const auto num_keys = number<uint64_t>();
    for (uint64_t i = 0; i < num_keys && in_; ++i) {
      const std::string key = text();
      const auto type = number<uint32_t>();
      const std::string name = key.starts_with(kPrefix) ? key.substr(kPrefix.size()) : "";
      if (type == 9) {
        const auto element = number<uint32_t>();
        const auto count = number<uint64_t>();
        for (uint64_t j = 0; j < count && in_; ++j) {
          if (name == "tokens") {
            v.tokens.push_back(text());
          } else if (name == "merges") {
            v.merges.push_back(text());
          } else if (name == "scores") {
            v.scores.push_back(number<float>());
          } else if (name == "token_type") {
            v.token_types.push_back(number<int32_t>());
          } else {
            skip(element);
          }
        }
      } else if (name == "model" || name == "pre") {
        (name == "pre" ? v.pre : v.model) = text();
      } else if (name == "add_bos_token" || name == "add_space_prefix" || name == "add_eos_token") {
        const bool value = number<uint8_t>() != 0;
        if (name == "add_space_prefix") v.add_space_prefix = value;
      } else if (name == "unknown_token_id") {
        v.unk_id = number<int32_t>();
      } else {
        skip(type);
      }
    }
    return v;
  }

 private:
  static constexpr std::string_view kPrefix = "tokenizer.ggml.";
  template <typename T>
  T number() {
    T value{};
    in_.read(reinterpret_cast<char*>(&value), sizeof(value));
    return value;
  }
  std::string text() {
    std::string value(static_cast<size_t>(number<uint64_t>()), '\0');
    in_.read(value.data(), static_cast<std::streamsize>(value.size()));
    return value;
  }
  void skip(uint32_t type) {
    constexpr int kSizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    if (type == 8) {
      text();
    } else {
      in_.ignore(kSizes[type]);
    }
  }
  std::ifstream in_;
};

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

class PublishedVocabulary : public testing::TestWithParam<const char*> {};

TEST_P(PublishedVocabulary, GivesTheIdsThatLlamaCppExpects) {
  const std::string path =
      std::string("../shared/data/tokenizer-vectors/ggml-vocab-") + GetParam() + ".gguf";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path;
  auto data = tokenizer_from_gguf(VocabularyFile(path).read());
  ASSERT_TRUE(data.ok()) << data.error().message;
  const auto tokenizer = Tokenizer::create(*std::move(data));
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  const std::string input = read_file(path + ".inp");
  std::istringstream answers(read_file(path + ".out"));
  constexpr std::string_view kBorder = "\n__ggml_vocab_test__\n";
  size_t num_texts = 0;
  for (size_t from = 0; from < input.size(); ++num_texts) {
    const size_t end = std::min(input.find(kBorder, from), input.size());
    const std::string text = input.substr(from, end - from);
    std::string line;
    std::getline(answers, line);
    std::istringstream numbers(line);
    const Ids wanted{std::istream_iterator<int32_t>(numbers), std::istream_iterator<int32_t>()};
    EXPECT_EQ(*(*tokenizer)->encode(text, {.add_special_tokens = false}), wanted) << text;
    from = end + kBorder.size();
  }
  EXPECT_GT(num_texts, 30U);
}

INSTANTIATE_TEST_SUITE_P(TokenizerGguf, PublishedVocabulary,
                         testing::Values("gpt-2", "deepseek-llm", "llama-spm", "phi-3"));

TEST(TokenizerGguf, NamesWhatItDoesNotSupport) {
  GgufVocabulary vocabulary = small_gpt2();
  vocabulary.pre = "martian";
  auto data = tokenizer_from_gguf(vocabulary);
  ASSERT_FALSE(data.ok());
  EXPECT_EQ(data.error().code, ErrorCode::kUnsupported);
  EXPECT_NE(data.error().message.find("martian"), std::string::npos);
  vocabulary.model = "bert";
  data = tokenizer_from_gguf(vocabulary);
  ASSERT_FALSE(data.ok());
  EXPECT_NE(data.error().message.find("bert"), std::string::npos);
}

}  // namespace
}  // namespace pagoda
