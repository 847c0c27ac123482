// Tests of what chat and completions share: parameters, limits, the context.
#include "server/openai/job.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/test_support.h"

namespace pagoda::openai {
namespace {

class Job : public testing::Test {
 protected:
  // A completion of the prompt "hi", which is 3 tokens, with more fields.
  Result<GenerationJob> prepare(const std::string& fields) {
    return prepare_completion(R"({"prompt": "hi")" + (fields.empty() ? "" : ", " + fields) + "}",
                              deployment_, overflow_);
  }
  GenerationJob accepted(const std::string& fields) {
    auto job = prepare(fields);
    EXPECT_TRUE(job.ok()) << fields << ": " << (job.ok() ? "" : job.error().message);
    return job.ok() ? *job : GenerationJob{};
  }

  ScriptRunner runner_;
  AsyncEngine engine_{runner_, make_engine_config(), nullptr, "test-model"};
  Deployment deployment_{make_served_model(), engine_, {}};
  std::optional<ContextOverflow> overflow_;
};

TEST_F(Job, TheModelsDefaultsHoldWhereTheRequestSaysNothing) {
  ServedModel model = make_served_model();
  model.default_sampling.temperature = 0.25F;
  model.default_sampling.top_k = 20;
  const Deployment deployment(model, engine_, {});
  const auto job = prepare_completion(R"({"prompt": "hi", "top_k": -1})", deployment, overflow_);
  ASSERT_TRUE(job.ok());
  EXPECT_EQ(job->sampling.temperature, 0.25F);
  EXPECT_EQ(job->sampling.top_k, 0);
  EXPECT_THAT(job->sampling.eos_token_ids, testing::ElementsAre(kEosToken));
  EXPECT_EQ(job->model, "test-model");
}

TEST_F(Job, EveryParameterReachesTheEngine) {
  const GenerationJob job = accepted(
      R"("temperature": 0.5, "top_p": 0.9, "top_k": 5, "min_p": 0.1, "presence_penalty": 1,
         "frequency_penalty": -1, "repetition_penalty": 1.5, "seed": 7, "n": 3, "max_tokens": 9,
         "min_tokens": 2, "ignore_eos": true, "stop": ["x", "y"], "stop_token_ids": [65],
         "logit_bias": {"66": -100}, "allowed_token_ids": [65, 66], "logprobs": 2,
         "skip_special_tokens": false, "include_stop_str_in_output": true, "stream": true,
         "stream_options": {"include_usage": true, "continuous_usage_stats": true})");
  EXPECT_EQ(job.sampling.temperature, 0.5F);
  EXPECT_EQ(job.sampling.top_p, 0.9F);
  EXPECT_EQ(job.sampling.top_k, 5);
  EXPECT_EQ(job.sampling.min_p, 0.1F);
  EXPECT_EQ(job.sampling.presence_penalty, 1);
  EXPECT_EQ(job.sampling.frequency_penalty, -1);
  EXPECT_EQ(job.sampling.repetition_penalty, 1.5F);
  EXPECT_EQ(job.seed, 7U);
  EXPECT_EQ(job.n, 3);
  EXPECT_EQ(job.prompts.at(0).max_tokens, 9);
  EXPECT_EQ(job.sampling.min_tokens, 2);
  EXPECT_TRUE(job.sampling.ignore_eos);
  EXPECT_THAT(job.text.stop, testing::ElementsAre("x", "y"));
  EXPECT_THAT(job.sampling.stop_token_ids, testing::ElementsAre(65));
  EXPECT_THAT(job.sampling.logit_bias, testing::ElementsAre(testing::Pair(66, -100.0F)));
  EXPECT_THAT(job.sampling.allowed_token_ids, testing::ElementsAre(65, 66));
  EXPECT_EQ(job.sampling.num_logprobs, 2);
  EXPECT_FALSE(job.text.skip_special_tokens);
  EXPECT_TRUE(job.text.include_stop_str_in_output);
  EXPECT_TRUE(job.stream && job.include_usage && job.continuous_usage_stats);
}

TEST_F(Job, WrongValuesAreRefusedByName) {
  const std::pair<const char*, const char*> cases[] = {
      {"temperature", R"("temperature": -1)"},
      {"temperature", R"("temperature": 1e30)"},
      {"temperature", R"("temperature": "hot")"},
      {"top_p", R"("top_p": 5)"},
      {"top_p", R"("top_p": 0)"},
      {"top_k", R"("top_k": -5)"},
      {"top_k", R"("top_k": 1.5)"},
      {"min_p", R"("min_p": 2)"},
      {"presence_penalty", R"("presence_penalty": 3)"},
      {"frequency_penalty", R"("frequency_penalty": -3)"},
      {"repetition_penalty", R"("repetition_penalty": 0)"},
      {"max_tokens", R"("max_tokens": 0)"},
      {"max_tokens", R"("max_tokens": -1)"},
      {"max_tokens", R"("max_tokens": 1000000000000)"},
      {"min_tokens", R"("min_tokens": 10, "max_tokens": 5)"},
      {"n", R"("n": 0)"},
      {"n", R"("n": 1000000)"},
      {"stop", R"("stop": [""])"},
      {"stop.0", R"("stop": [5])"},
      {"stop_token_ids.0", R"("stop_token_ids": [258])"},
      {"logit_bias", R"("logit_bias": {"abc": 1})"},
      {"logit_bias", R"("logit_bias": {"258": 1})"},
      {"logit_bias.1", R"("logit_bias": {"1": 1000})"},
      {"allowed_token_ids", R"("allowed_token_ids": [])"},
      {"allowed_token_ids",
       R"("allowed_token_ids": [65], "stop_token_ids": [65], "min_tokens": 1)"},
      {"seed", R"("seed": 1.5)"},
      {"stream", R"("stream": "yes")"},
      {"stream_options", R"("stream_options": {"include_usage": true})"},
      {"model", R"("model": 5)"},
  };
  for (const auto& [param, fields] : cases) {
    const auto job = prepare(fields);
    ASSERT_FALSE(job.ok()) << fields;
    EXPECT_EQ(job.error().code, ErrorCode::kInvalidArgument) << fields;
    EXPECT_EQ(job.error().param, param) << job.error().message;
  }
}

TEST_F(Job, WhatThisBuildLacksIsRefusedByNameButNotItsHarmlessForms) {
  const std::pair<const char*, const char*> refused[] = {
      {"best_of", R"("best_of": 2)"},
      {"suffix", R"("suffix": "x")"},
      {"response_format", R"("response_format": {"type": "json_object"})"},
      {"structured_outputs", R"("structured_outputs": {"regex": "a"})"},
      {"guided_json", R"("guided_json": "{}")"},
      {"prompt_logprobs", R"("prompt_logprobs": 0)"},
      {"use_beam_search", R"("use_beam_search": true)"},
      {"truncate_prompt_tokens", R"("truncate_prompt_tokens": 5)"},
  };
  for (const auto& [param, fields] : refused) {
    const auto job = prepare(fields);
    ASSERT_FALSE(job.ok()) << fields;
    EXPECT_EQ(job.error().param, param);
  }
  accepted(R"("best_of": 1, "suffix": "", "response_format": {"type": "text"}, "guided_json": null,
              "use_beam_search": false, "priority": 0, "user": "me", "metadata": {}, "store": false,
              "service_tier": "auto", "parallel_tool_calls": true, "some_new_field": [1])");
}

TEST_F(Job, TheModelIsCheckedUnlessAnyIsServed) {
  EXPECT_EQ(accepted(R"("model": "alias")").model, "alias");
  const auto unknown = prepare(R"("model": "other")");
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.error().code, ErrorCode::kNotFound);
  const Deployment any(make_served_model(), engine_, {.any_model = true});
  const auto job = prepare_completion(R"({"prompt": "hi", "model": "other"})", any, overflow_);
  ASSERT_TRUE(job.ok());
  EXPECT_EQ(job->model, "other");
}

TEST_F(Job, WhatCannotFitTheContextIsRefusedWithBothNumbers) {
  EXPECT_EQ(accepted(R"("max_tokens": 4093)").prompts.at(0).max_tokens, 4093);
  ASSERT_FALSE(prepare(R"("max_tokens": 4094)").ok());
  EXPECT_EQ(overflow_->num_prompt_tokens, 3);
  EXPECT_EQ(overflow_->max_model_len, 4096);
  const std::string text(5000, 'x');
  const auto job = prepare_completion(R"({"prompt": ")" + text + R"("})", deployment_, overflow_);
  ASSERT_FALSE(job.ok());
  EXPECT_EQ(overflow_->num_prompt_tokens, 5001);
  EXPECT_THAT(job.error().message, testing::HasSubstr("4096"));
}

TEST_F(Job, ATextThatCanNeverFitIsRefusedBeforeItIsTokenised) {
  const std::string text(deployment_.max_prompt_bytes + 1, 'x');
  const auto job = prepare_completion(R"({"prompt": ")" + text + R"("})", deployment_, overflow_);
  ASSERT_FALSE(job.ok());
  EXPECT_THAT(job.error().message, testing::HasSubstr("4096"));
  EXPECT_FALSE(overflow_.has_value());
}

TEST_F(Job, DrawnSeedsDifferAndRepeatWithTheServersSeed) {
  EXPECT_NE(deployment_.draw_seed(), deployment_.draw_seed());
  const Deployment first(make_served_model(), engine_, {.seed = 5});
  const Deployment again(make_served_model(), engine_, {.seed = 5});
  const uint64_t seed = first.draw_seed();
  EXPECT_EQ(seed, again.draw_seed());
  EXPECT_NE(seed, first.draw_seed());
}

TEST_F(Job, PriorityAndCacheSaltAreReadWithinTheirLimits) {
  EXPECT_EQ(prepare("")->priority, Priority::kInteractive);
  EXPECT_EQ(prepare(R"("priority": 1)")->priority, Priority::kBackground);
  EXPECT_EQ(prepare(R"("priority": -1)")->priority, Priority::kInteractive);
  EXPECT_EQ(prepare(R"("priority": "background")")->priority, Priority::kBackground);
  EXPECT_EQ(prepare(R"("cache_salt": "mine")")->cache_salt, "mine");
  EXPECT_EQ(prepare(R"("cache_salt": ")" + std::string(128, 'x') + "\"")->cache_salt.size(), 128U);
  for (const char* fields : {R"("priority": "high")", R"("priority": 1.5)", R"("priority": [])"}) {
    ASSERT_FALSE(prepare(fields).ok()) << fields;
    EXPECT_EQ(prepare(fields).error().param, "priority");
  }
  const auto too_long = prepare(R"("cache_salt": ")" + std::string(129, 'x') + "\"");
  ASSERT_FALSE(too_long.ok());
  EXPECT_EQ(too_long.error().param, "cache_salt");
  EXPECT_FALSE(prepare(R"("cache_salt": 5)").ok());
}

TEST_F(Job, ErrorsShowTheWordThatIsWrong) {
  const auto message = [this](const std::string& fields) {
    const auto job = prepare(fields);
    return job.ok() ? std::string() : job.error().message;
  };
  EXPECT_NE(message(R"("logit_bias": {"abc": 1})").find("'abc'"), std::string::npos);
  EXPECT_NE(message(R"("response_format": {"type": "json_object"})").find("'json_object'"),
            std::string::npos);
  const auto options = prepare(R"("stream": true, "stream_options": {"include_usage": "yes"})");
  ASSERT_FALSE(options.ok());
  EXPECT_EQ(options.error().param, "stream_options.include_usage");
}

}  // namespace
}  // namespace pagoda::openai
