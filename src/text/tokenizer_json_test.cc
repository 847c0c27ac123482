// parse_tokenizer_json: what is read, refused, and survived.
#include <gtest/gtest.h>

#include <string>

#include "text/test_tokenizer.h"
#include "text/tokenizer.h"

namespace pagoda {
namespace {

// A minimal tokenizer.json as a value, for tests to change.
Json small() {
  return *parse_json(R"({
    "added_tokens": [{"id": 3, "content": "<s>", "special": true}],
    "normalizer": null,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
    "post_processor": null,
    "decoder": {"type": "ByteLevel"},
    "model": {"type": "BPE", "vocab": {"a": 0, "\u0120": 1, "\u0120a": 2}, "merges": ["\u0120 a"]}})");
}

Result<TokenizerData> parse(const Json& json) {
  return parse_tokenizer_json(dump_json(json));
}

TEST(TokenizerJson, ReadsVocabularyMergesAndAddedTokens) {
  const auto data = parse(small());
  ASSERT_TRUE(data.ok()) << data.error().message;
  EXPECT_EQ(data->tokens, (std::vector<std::string>{"a", " ", " a"}));
  EXPECT_EQ(data->merges, (std::vector<std::pair<int32_t, int32_t>>{{1, 0}}));
  ASSERT_EQ(data->added_tokens.size(), 1U);
  EXPECT_EQ(data->added_tokens[0].content, "<s>");
  EXPECT_EQ(data->splits.size(), 2U);
}

TEST(TokenizerJson, ReadsMergesAsPairsAndTablesInAnyOrder) {
  Json json = small();
  json["model"] = Json{{"merges", Json::array({Json::array({"\u0120", "a"})})},
                       {"ignore_merges", true},
                       {"vocab", {{"a", 0}, {"\u0120", 1}, {"\u0120a", 2}}},
                       {"type", "BPE"}};
  const auto data = parse(json);
  ASSERT_TRUE(data.ok()) << data.error().message;
  EXPECT_EQ(data->merges, (std::vector<std::pair<int32_t, int32_t>>{{1, 0}}));
  EXPECT_TRUE(data->ignore_merges);
}

TEST(TokenizerJson, ReadsPrefixAndSuffixFromTheTemplate) {
  Json json = small();
  json["post_processor"] = *parse_json(R"({"type": "Sequence", "processors": [
    {"type": "ByteLevel"}, {"type": "TemplateProcessing",
     "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                {"SpecialToken": {"id": "<s>", "type_id": 0}}],
     "special_tokens": {"<s>": {"id": "<s>", "ids": [3], "tokens": ["<s>"]}}}]})");
  const auto data = parse(json);
  ASSERT_TRUE(data.ok()) << data.error().message;
  EXPECT_EQ(data->prefix_ids, std::vector<int32_t>{3});
  EXPECT_EQ(data->suffix_ids, std::vector<int32_t>{3});
}

TEST(TokenizerJson, NamesTheComponentItDoesNotSupport) {
  const auto message = [](const char* part, const char* value) {
    Json json = small();
    json[part] = *parse_json(value);
    const auto data = parse(json);
    EXPECT_FALSE(data.ok()) << part;
    if (data.ok()) return std::string();
    EXPECT_EQ(data.error().code, ErrorCode::kUnsupported) << data.error().message;
    return data.error().message;
  };
  EXPECT_NE(message("normalizer", R"({"type": "Precompiled"})").find("Precompiled"),
            std::string::npos);
  EXPECT_NE(message("pre_tokenizer", R"({"type": "UnicodeScripts"})").find("UnicodeScripts"),
            std::string::npos);
  EXPECT_NE(message("post_processor", R"({"type": "Martian"})").find("Martian"), std::string::npos);
  EXPECT_NE(message("decoder", R"({"type": "WordPiece"})").find("WordPiece"), std::string::npos);
  EXPECT_NE(message("model", R"({"type": "Unigram", "vocab": [["a", 0.5]]})").find("Unigram"),
            std::string::npos);
  EXPECT_NE(message("model", R"({"type": "BPE", "dropout": 0.5, "vocab": {"a": 0},
                                 "merges": []})")
                .find("dropout"),
            std::string::npos);
}

TEST(TokenizerJson, ReadsVocabulariesOfCharacters) {
  const char* text = R"({"model": {"type": "BPE", "vocab": {"<unk>": 0, "\u0120": 1, "a": 2,
      "a\u0120": 3}, "merges": ["a \u0120"], "unk_token": "<unk>", "fuse_unk": true,
      "byte_fallback": true}, "pre_tokenizer": null})";
  const auto data = parse_tokenizer_json(text);
  ASSERT_TRUE(data.ok()) << data.error().message;
  EXPECT_EQ(data->model, TokenizerData::Model::kCharacterMerges);
  EXPECT_EQ(data->tokens[3], "a\u0120");
  EXPECT_EQ(data->unk_id, 0);
  EXPECT_TRUE(data->fuse_unk);
  EXPECT_TRUE(data->byte_fallback);
}

TEST(TokenizerJson, ATokenSpelledOutsideTheByteAlphabetIsNotFoundInText) {
  // "\u2122" as itself, and its three bytes in the alphabet: only the second is what text becomes.
  Json json = small();
  json["model"] = *parse_json(R"({"type": "BPE", "ignore_merges": true, "merges": [],
      "vocab": {"\u2122": 0, "\u00e2\u0126\u00a2": 1, "a": 2}})");
  auto data = parse(json);
  ASSERT_TRUE(data.ok()) << data.error().message;
  const auto tokenizer = Tokenizer::create(*std::move(data));
  ASSERT_TRUE(tokenizer.ok());
  EXPECT_EQ((*tokenizer)->encode("\u2122", {}).value(), std::vector<int32_t>{1});
  EXPECT_EQ((*tokenizer)->decode({0}, false), "\u2122");
}

TEST(TokenizerJson, ReadsTheEndsOfARobertaTokenizer) {
  Json json = small();
  json["post_processor"] =
      *parse_json(R"({"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0]})");
  const auto data = parse(json);
  ASSERT_TRUE(data.ok()) << data.error().message;
  EXPECT_EQ(data->prefix_ids, std::vector<int32_t>{0});
  EXPECT_EQ(data->suffix_ids, std::vector<int32_t>{2});
}

TEST(TokenizerJson, ReadsAddedTokensWithWhatElseTheySay) {
  const auto with = [&](const std::string& entry) {
    Json json = small();
    json.erase("added_tokens");
    std::string text = dump_json(json);
    text.insert(1, "\"added_tokens\": [" + entry + "],");
    return parse_tokenizer_json(text);
  };
  const auto data =
      with(R"({"note": {"a": [1, "}"]}, "id" : 7, "content": "<\u00e9>", "special": true,
      "lstrip": false, "rstrip": true, "normalized": "true", "single_word": null})");
  ASSERT_TRUE(data.ok()) << data.error().message;
  ASSERT_EQ(data->added_tokens.size(), 1U);
  const auto& token = data->added_tokens[0];
  EXPECT_EQ(token.id, 7);
  EXPECT_EQ(token.content, "<é>");
  EXPECT_TRUE(token.special && token.rstrip);
  EXPECT_FALSE(token.lstrip || token.normalized || token.single_word);
  for (const char* entry :
       {"{}", "5", R"({"content": "a"})", R"({"id": -1, "content": "a"})", R"({"id": 1.5})",
        R"({"id": 9999999999})", R"({"id": "1"})", R"({"id": 1, "content": "a", "special": tru})",
        R"({"id": 1, "content": 5})", R"({"id": 1,})", R"({"id": 1} {"id": 2})"}) {
    const auto refused = with(entry);
    ASSERT_FALSE(refused.ok()) << entry;
    EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument) << entry;
  }
}

TEST(TokenizerJson, RefusesWhatIsMalformed) {
  for (const char* model :
       {R"({"vocab": {"a": -1}, "merges": []})", R"({"vocab": {"a": 2000000000}, "merges": []})",
        R"({"vocab": {"a": 1.5}, "merges": []})", R"({"vocab": {"a": 0, "b": 0}, "merges": []})",
        R"({"vocab": {"a": 0}, "merges": ["a"]})", R"({"vocab": {"a": 0}, "merges": ["a b"]})",
        R"({"vocab": {"a": 0}, "merges": [["a"]]})", R"({"vocab": {"a": 0}, "merges": [5]})",
        R"({"vocab": {"a": 0}})", R"({"merges": []})", "{}"}) {
    Json json = small();
    json["model"] = *parse_json(model);
    const auto data = parse(json);
    ASSERT_FALSE(data.ok()) << model;
    EXPECT_EQ(data.error().code, ErrorCode::kInvalidArgument) << model;
  }
  EXPECT_FALSE(parse_tokenizer_json("").ok());
  EXPECT_FALSE(parse_tokenizer_json("{\"\xFF\": 1}").ok());
  EXPECT_FALSE(parse_tokenizer_json(dump_json(small()) + "x").ok());
}

TEST(TokenizerJson, SurvivesEveryTruncationAndFlippedByte) {
  const std::string text = dump_json(small());
  for (size_t i = 0; i < text.size(); ++i) {
    EXPECT_FALSE(parse_tokenizer_json(text.substr(0, i)).ok()) << i;
    std::string flipped = text;
    for (const char c : {'"', '{', ']', '9', '\\', '\0'}) {
      flipped[i] = c;
      auto data = parse_tokenizer_json(flipped);
      if (data.ok()) static_cast<void>(Tokenizer::create(*std::move(data)).ok());
    }
  }
}

}  // namespace
}  // namespace pagoda
