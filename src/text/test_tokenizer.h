// The small tokenizers of tests/golden/text, for tests.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/json.h"
#include "text/tokenizer.h"

namespace pagoda {

// What tests/golden/text/tokenizer_cases.json holds: {"tokenizer": ..., "cases": [...]}.
inline const Json& golden_tokenizer() {
  static const Json golden = [] {
    std::ifstream file("tests/golden/text/tokenizer_cases.json", std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    auto json = parse_json(text);
    EXPECT_TRUE(json.ok()) << "run the tests from the repository's root";
    return json.ok() ? *std::move(json) : Json::object();
  }();
  return golden;
}

// What tests/golden/text/component_cases.json holds (tools/text_golden_components.py).
inline const Json& golden_components() {
  static const Json golden = [] {
    std::ifstream file("tests/golden/text/component_cases.json", std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    auto json = parse_json(text);
    EXPECT_TRUE(json.ok()) << "run the tests from the repository's root";
    return json.ok() ? *std::move(json) : Json::object();
  }();
  return golden;
}

inline std::shared_ptr<const Tokenizer> make_tokenizer_of(const Json& json) {
  auto data = parse_tokenizer_json(dump_json(json));
  EXPECT_TRUE(data.ok()) << (data.ok() ? "" : data.error().message);
  auto tokenizer = Tokenizer::create(*std::move(data));
  EXPECT_TRUE(tokenizer.ok()) << (tokenizer.ok() ? "" : tokenizer.error().message);
  return *std::move(tokenizer);
}

inline std::shared_ptr<const Tokenizer> make_golden_tokenizer() {
  return make_tokenizer_of(golden_tokenizer()["tokenizer"]);
}

// All 256 bytes as tokens 0..255, then `more`.
inline std::vector<std::string> byte_tokens(const std::vector<std::string>& more = {}) {
  std::vector<std::string> tokens;
  for (int byte = 0; byte < 256; ++byte) tokens.emplace_back(1, static_cast<char>(byte));
  tokens.insert(tokens.end(), more.begin(), more.end());
  return tokens;
}

}  // namespace pagoda
