// Tests of the reports' data and page: what is shown, and that no file can break either.
#include "bench/report_html.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "bench/report_data.h"
#include "bench/results.h"
#include "bench/summary.h"

namespace pagoda {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr int64_t kMs = 1'000'000;

// A run as summarize() writes it: `num_requests` one after the other, each with four pieces.
Json run_of(int num_requests, Json load, bool with_records = true) {
  LoadResult result;
  for (int i = 0; i < num_requests; ++i) {
    RequestRecord r;
    r.index = i;
    r.intended_ns = r.sent_ns = i * 100 * kMs;
    for (int piece = 0; piece < 4; ++piece) {
      r.piece_ns.push_back(r.sent_ns + (20 + i % 7 + piece * 10) * kMs);
    }
    r.end_ns = r.piece_ns.back() + kMs;
    r.output_tokens = 4;
    r.asked_output_tokens = 4;
    r.usage_input_tokens = 50;
    result.records.push_back(r);
  }
  result.elapsed_s = num_requests * 0.1 + 0.1;
  result.sending_s = num_requests * 0.1;
  Json run = summarize({}, result, {}, {{"model", "m"}, {"load", std::move(load)}}, nullptr);
  if (with_records) {
    run["records"] = Json::array();
    for (const RequestRecord& r : result.records) run["records"].push_back(record_json(r));
  }
  return run;
}
Json closed(int users) {
  return {{"kind", "closed"}, {"concurrency", users}};
}
Json results_of(std::vector<Json> runs) {
  return {{"schema", "pagoda-bench/1"}, {"runs", runs}};
}

TEST(Results, RecordsReadBackGiveTheFiguresOfTheRun) {
  const Json run = run_of(40, closed(1));
  const auto records = records_of(run);
  for (const char* name : {"ttft_s", "tpot_s", "e2el_s", "itl_s", "output_tokens"}) {
    const Distribution d = distribution_of(metric_values(records, window_of(run), name));
    EXPECT_EQ(d.count, run["metrics"][name]["count"].get<size_t>()) << name;
    EXPECT_DOUBLE_EQ(d.mean, run["metrics"][name]["mean"].get<double>()) << name;
    EXPECT_DOUBLE_EQ(d.quantiles[5], run["metrics"][name]["p99"].get<double>()) << name;
  }
}

TEST(Results, ARecordThatLacksATimeCountsAsFailed) {
  Json run = run_of(4, closed(1));
  run["records"][0].erase("end_s");
  run["records"][1]["piece_s"] = Json::array();
  run["records"][2]["sent_s"] = -1e300;
  run["records"][3]["failure"] = "cut";
  for (const RequestRecord& r : records_of(run)) EXPECT_NE(r.cause, FailureCause::kNone);
}

TEST(Results, RunsOfOneLoadAreRepeatsAndLoadsAscend) {
  const Json results = results_of(
      {run_of(3, closed(8)), run_of(3, closed(1)), run_of(3, closed(8)), run_of(3, Json())});
  const auto levels = load_levels(*runs_of(results));
  ASSERT_EQ(levels.size(), 3u);
  EXPECT_EQ(levels[0].label, "1 user");
  EXPECT_EQ(levels[1].label, "8 users");
  EXPECT_EQ(levels[1].runs.size(), 2u);
  EXPECT_EQ(levels[2].label, "run");
}

TEST(Results, WhatIsNoResultsFileIsSaidClearly) {
  for (const char* text :
       {"null", "[]", "3", R"({"schema": "other", "runs": []})", R"({"runs": [{}]})"}) {
    const auto runs = runs_of(*parse_json(text));
    ASSERT_FALSE(runs.ok()) << text;
    EXPECT_THAT(runs.error().message, HasSubstr("pagoda bench")) << text;
  }
  for (const char* text : {"null", "[]", "[3, null]", "{}", R"([{"requests": {}}, 3])", "[{}]"}) {
    const auto runs = runs_of({{"schema", "pagoda-bench/1"}, {"runs", *parse_json(text)}});
    ASSERT_FALSE(runs.ok()) << text;
    EXPECT_THAT(runs.error().message, HasSubstr("without a run")) << text;
  }
}

TEST(Results, AFileOfAnotherProgramIsCalledByItsName) {
  const std::pair<const char*, const char*> files[] = {
      {"[]", "is an empty array; expected"},
      {"[1, 2]", "is an array of 2; expected"},
      {"3", "is a number; expected"},
      {R"("x")", "is a text; expected"},
      {"{}", "is an object without a \"schema\"; expected"},
      {R"({"schema": 7})", "is an object without a \"schema\"; expected"},
      {R"({"schema": "pagoda-bench/2", "runs": []})",
       "is of the schema \"pagoda-bench/2\"; expected"},
      {R"({"schema": "pagoda-bench-comparison/2"})", "of `pagoda bench compare`; expected"},
      {R"({"schema": "\u001b[31m"})", "is of the schema \"\\x1b[31m\"; expected"},
      {R"({"version": "2023-08-31", "results_num_requests_started": 2})", "is LLMPerf's summary"},
      {R"([{"error_code": null, "inter_token_latency_s": 0.1}])", "is LLMPerf's list of responses"},
      {R"({"request_throughput": 1.0})", "is a result of vLLM's benchmark"},
      {R"({"listening_ms": {}})", "is of `pagoda bench startup`"},
      {R"({"prompt_tokens": 1, "results": []})", "is of `pagoda bench offline`"}};
  for (const auto& [text, wanted] : files) {
    const auto runs = runs_of(*parse_json(text));
    ASSERT_FALSE(runs.ok()) << text;
    EXPECT_THAT(runs.error().message, HasSubstr(wanted)) << text;
    EXPECT_THAT(runs.error().message, HasSubstr("\"schema\": \"pagoda-bench/1\"")) << text;
  }
}

TEST(Results, ALongTextIsCutBetweenCharacters) {
  std::string text;
  for (int i = 0; i < 400; ++i) text += "é";
  const std::string cut = text_at({{"text", text}}, {"text"});
  EXPECT_LT(cut.size(), 510u);
  EXPECT_TRUE(parse_json("\"" + cut + "\"").ok());
}

TEST(Histogram, EveryValueIsInABarOrBeyond) {
  std::mt19937 random(1);
  std::lognormal_distribution<double> draw(-2.0, 1.5);
  for (const size_t n : {1u, 2u, 10u, 5000u}) {
    std::vector<double> values(n);
    for (double& value : values) value = draw(random);
    const Json h = histogram_of(values);
    size_t sum = h["beyond"].get<size_t>();
    for (const Json& bin : h["bins"]) sum += bin.get<size_t>();
    EXPECT_EQ(sum, n);
    EXPECT_LT(h["from"].get<double>(), h["to"].get<double>());
    EXPECT_EQ(h["cdf"].back()[1], 1.0);
  }
}

TEST(Histogram, StandsOddValues) {
  EXPECT_TRUE(histogram_of({}).is_null());
  for (const std::vector<double>& values : std::vector<std::vector<double>>{{0.0},
                                                                            {0.0, 0.0, 0.0},
                                                                            {5.0, 5.0},
                                                                            {-1.0, 2.0},
                                                                            {1e-300, 2e-300},
                                                                            {1e15, 1e15},
                                                                            {0.0, 0.0, 1e9}}) {
    const Json h = histogram_of(values);
    EXPECT_LT(h["from"].get<double>(), h["to"].get<double>());
    size_t sum = h["beyond"].get<size_t>();
    for (const Json& bin : h["bins"]) sum += bin.get<size_t>();
    EXPECT_EQ(sum, values.size());
  }
}

TEST(ReportData, HoldsTheFiguresOfTheRun) {
  const Json run = run_of(40, closed(2));
  const Json data = report_data(results_of({run}));
  EXPECT_TRUE(data["error"].is_null());
  ASSERT_EQ(data["runs"].size(), 1u);
  const Json& shown = data["runs"][0];
  EXPECT_EQ(shown["label"], "2 users");
  EXPECT_EQ(shown["model"], "m");
  EXPECT_EQ(shown["metrics"]["ttft_s"]["p50"], run["metrics"]["ttft_s"]["p50"]);
  EXPECT_EQ(shown["throughput"]["output_tokens_per_s"], run["throughput"]["output_tokens_per_s"]);
  EXPECT_EQ(shown["distributions"]["ttft_s"]["measured"], true);
  EXPECT_EQ(shown["timeline"]["t"].size(), run["timeline"].size());
}

TEST(ReportData, WithoutRecordsDistributionsComeFromQuantiles) {
  const Json data = report_data(results_of({run_of(40, closed(2), false)}));
  const Json& drawn = data["runs"][0]["distributions"]["ttft_s"];
  EXPECT_EQ(drawn["measured"], false);
  EXPECT_EQ(drawn["cdf"].size(), 8u);
}

TEST(ReportData, ALongRunIsGroupedAndKeepsItsCounts) {
  Json run = run_of(3, closed(1));
  run["timeline"] = Json::array();
  for (int i = 0; i < 7200; ++i) {
    run["timeline"].push_back({{"sent", 2}, {"failed", 1}, {"ttft_max_s", i}});
  }
  const Json timeline = report_data(results_of({run}))["runs"][0]["timeline"];
  EXPECT_LE(timeline["t"].size(), 300u);
  EXPECT_EQ(timeline["sent"][0], 2.0);
  double failed = 0.0;
  for (const Json& n : timeline["failed"]) failed += n.get<double>();
  EXPECT_EQ(failed, 7200.0);
  EXPECT_EQ(timeline["ttft_max"].back(), 7199.0);
}

TEST(ReportData, CountersOfTheServerBecomeRates) {
  Json run = run_of(3, closed(1));
  run["server"] = {
      {"samples",
       Json::array(
           {{{"t_s", 2}, {"prefix_hits", 60}, {"prefix_queries", 200}, {"preemptions", 0}},
            {{"t_s", 1}, {"prefix_hits", 10}, {"prefix_queries", 100}, {"preemptions", 5}}})}};
  const Json server = report_data(results_of({run}))["runs"][0]["server"];
  EXPECT_EQ(server["t"], Json::array({1.0, 2.0}));
  EXPECT_EQ(server["hit_rate"], Json::array({nullptr, 0.5}));
  // The server began again.
  EXPECT_EQ(server["preempted"], Json::array({nullptr, nullptr}));
}

TEST(ReportData, ManyRunsAreLimitedAndSaid) {
  const Json run = run_of(1, closed(1));
  const Json data = report_data(results_of(std::vector<Json>(130, run)));
  EXPECT_EQ(data["runs"].size(), 100u);
  EXPECT_EQ(data["left_out"], 30);
}

TEST(HtmlReport, TextsOfTheFileCannotBecomeMarkup) {
  const std::string evil = "<img src=x onerror=alert(1)></script><!--";
  Json run = run_of(3, closed(1));
  run["run"]["model"] = evil;
  run["run"][evil] = evil;
  run["warnings"] = {evil};
  run["requests"]["failures"][evil] = 1;
  run["requests"]["failure_examples"][evil] = evil;
  run["metrics"][evil] = {{"definition", evil}};
  run["metrics"]["ttft_s"]["definition"] = evil;
  run["run"]["load"]["kind"] = evil;
  const std::string page = html_report(results_of({run}));
  EXPECT_THAT(page, Not(HasSubstr("<img")));
  EXPECT_THAT(page, Not(HasSubstr("<!--")));
  // One of the data, one of the script.
  size_t ends = 0;
  for (size_t at = page.find("</script>"); at != std::string::npos;
       at = page.find("</script>", at + 1)) {
    ++ends;
  }
  EXPECT_EQ(ends, 2u);
}

TEST(HtmlReport, NamesNoOtherPlace) {
  Json run = run_of(3, closed(1));
  const std::string page = html_report(results_of({run}));
  // The name of SVG's elements, which nobody fetches.
  const std::string allowed = "http://www.w3.org/2000/svg";
  for (const char* scheme : {"http://", "https://", "url(", "@import", "src=", "href="}) {
    for (size_t at = page.find(scheme); at != std::string::npos; at = page.find(scheme, at + 1)) {
      EXPECT_EQ(page.substr(at, allowed.size()), allowed);
    }
  }
  EXPECT_THAT(page, HasSubstr("default-src 'none'"));
}

TEST(HtmlReport, WhatIsNoResultsFileGivesAPageThatSaysSo) {
  EXPECT_THAT(html_report(Json()), HasSubstr("expected is a results file"));
}

// Each place of a good file in turn holds each odd value.
void spoil_everywhere(Json& at, const Json& odd, const std::function<void()>& check) {
  if (at.is_structured()) {
    size_t seen = 0;
    for (Json& inner : at) {
      if (++seen > 6) break;
      spoil_everywhere(inner, odd, check);
    }
  }
  Json kept = std::move(at);
  at = odd;
  check();
  at = std::move(kept);
}

// Texts may say anything; numbers are drawn, and none may be beyond what reading lets through.
bool all_numbers_small(const Json& value) {
  if (value.is_number()) return std::fabs(value.get<double>()) <= 2e15;
  return std::all_of(value.begin(), value.end(), [](const Json& inner) {
    return !inner.is_structured() && !inner.is_number() ? true : all_numbers_small(inner);
  });
}

TEST(HtmlReport, AnyValueInAnyPlaceGivesAPage) {
  Json run = run_of(2, closed(1));
  run["server"] = {{"samples", Json::array({{{"t_s", 1}, {"running", 1}, {"prefix_queries", 3}}})}};
  Json results = results_of({run});
  const Json odds[] = {Json(),       Json::array(), Json::object(),
                       Json("text"), Json(-1),      Json(1e308),
                       Json(true),   Json({1, 2}),  Json(18446744073709551615u)};
  for (const Json& odd : odds) {
    spoil_everywhere(results, odd, [&] {
      EXPECT_TRUE(all_numbers_small(report_data(results))) << dump_json(odd);
    });
    EXPECT_FALSE(html_report(odd).empty());
  }
}

}  // namespace
}  // namespace pagoda
