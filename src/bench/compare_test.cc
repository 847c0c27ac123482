// Tests of comparisons: the words follow the data, and no file can break them.
#include "bench/compare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <string>
#include <vector>

namespace pagoda {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// A run whose requests take about `slower` times 100 ms to the first token, and 10 ms for each
// after it.
Json run_of(unsigned seed, double slower, bool with_records,
            Json load = {{"kind", "closed"}, {"concurrency", 4}}) {
  std::mt19937 random(seed);
  std::lognormal_distribution<double> noise(0.0, 0.2);
  Json records = Json::array();
  double sum = 0.0;
  for (int i = 0; i < 200; ++i) {
    const double sent = i * 0.1;
    const double first = sent + 0.1 * slower * noise(random);
    const double step = 0.01 * slower * noise(random);
    sum += first - sent;
    records.push_back({{"sent_s", sent},
                       {"intended_s", sent},
                       {"end_s", first + 2 * step},
                       {"piece_s", {first, first + step, first + 2 * step}},
                       {"output_tokens", 3},
                       {"failure", nullptr}});
  }
  Json run = {{"run", {{"model", "m"}, {"load", std::move(load)}}},
              {"window", {{"whole_run", true}}},
              {"requests", {{"failed", 0}}},
              {"throughput", {{"output_tokens_per_s", 30.0 / slower * noise(random)}}},
              {"metrics",
               {{"ttft_s", {{"mean", sum / 200}, {"p50", sum / 200}, {"p99", sum / 100}}},
                {"itl_s", {{"mean", 0.01 * slower * (1 + seed % 10 * 0.001)}}}}}};
  if (with_records) run["records"] = std::move(records);
  return run;
}
Json results_of(std::vector<Json> runs) {
  return {{"schema", "pagoda-bench/1"}, {"runs", runs}};
}

const ComparedFigure& figure(const Comparison& comparison, const std::string& name) {
  for (const ComparedFigure& f : comparison.loads.at(0).figures) {
    if (f.name == name) return f;
  }
  static const ComparedFigure none;
  ADD_FAILURE() << "no figure " << name;
  return none;
}

const ComparedRanks& rank_test(const Comparison& comparison, const std::string& name) {
  for (const ComparedRanks& ranks : comparison.loads.at(0).ranks) {
    if (ranks.name == name) return ranks;
  }
  static const ComparedRanks none;
  ADD_FAILURE() << "no rank test of " << name;
  return none;
}

TEST(Compare, ASlowerServerIsWorseAndAFasterOneBetter) {
  const Json slow = results_of({run_of(1, 1.3, true)});
  const Json fast = results_of({run_of(2, 1.0, true)});
  const auto worse = compare_results(fast, slow);
  ASSERT_TRUE(worse.ok());
  for (const char* name : {"TTFT mean", "TTFT p50", "TPOT mean", "E2E p50"}) {
    EXPECT_EQ(figure(*worse, name).verdict, "worse") << name;
    EXPECT_NEAR(figure(*worse, name).ratio, 1.3, 0.15) << name;
    EXPECT_LT(figure(*worse, name).ratio_95.low, figure(*worse, name).ratio) << name;
    EXPECT_GT(figure(*worse, name).ratio_95.high, figure(*worse, name).ratio) << name;
  }
  EXPECT_EQ(figure(*compare_results(slow, fast), "TTFT p50").verdict, "better");
  EXPECT_LT(rank_test(*worse, "TTFT").p, 0.001);
  EXPECT_EQ(rank_test(*worse, "TTFT").num_a, 200u);
}

TEST(Compare, TheSameServerTwiceShowsNoDifference) {
  const auto same =
      compare_results(results_of({run_of(3, 1.0, true)}), results_of({run_of(4, 1.0, true)}));
  ASSERT_TRUE(same.ok());
  EXPECT_EQ(figure(*same, "TTFT mean").verdict, "no difference shown");
  EXPECT_GT(rank_test(*same, "TTFT").p, 0.05);
  EXPECT_EQ(figure(*same, "TTFT mean").basis, "200 and 200 requests");
}

TEST(Compare, OneRunOfAThroughputHasNoIntervalAndNoWord) {
  const auto one =
      compare_results(results_of({run_of(1, 1.0, true)}), results_of({run_of(2, 2.0, true)}));
  ASSERT_TRUE(one.ok());
  const ComparedFigure& rate = figure(*one, "output tokens/s");
  EXPECT_EQ(rate.basis, "one run, no interval");
  EXPECT_EQ(rate.verdict, "");
  EXPECT_TRUE(std::isnan(rate.ratio_95.low));
}

TEST(Compare, RepeatsGiveIntervalsWithoutRecords) {
  std::vector<Json> a, b;
  for (unsigned i = 0; i < 4; ++i) {
    a.push_back(run_of(10 + i, 1.0, false));
    b.push_back(run_of(20 + i, 3.0, false));
  }
  const auto repeats = compare_results(results_of(a), results_of(b));
  ASSERT_TRUE(repeats.ok());
  EXPECT_EQ(figure(*repeats, "output tokens/s").verdict, "worse");
  EXPECT_EQ(figure(*repeats, "TTFT mean").verdict, "worse");
  EXPECT_EQ(figure(*repeats, "TTFT mean").basis, "4 and 4 runs");
  EXPECT_EQ(figure(*repeats, "ITL mean").verdict, "worse");
  EXPECT_TRUE(repeats->loads[0].ranks.empty());
}

TEST(Compare, GapsOfOneAnswerAreNotResampled) {
  const auto one =
      compare_results(results_of({run_of(1, 1.0, true)}), results_of({run_of(2, 2.0, true)}));
  EXPECT_TRUE(std::isnan(figure(*one, "ITL mean").ratio_95.low));
  EXPECT_EQ(figure(*one, "ITL mean").basis, "one run, no interval");
}

TEST(Compare, SweepsArePairedByLoad) {
  const auto load = [](int users) { return Json{{"kind", "closed"}, {"concurrency", users}}; };
  const Json a = results_of({run_of(1, 1, false, load(1)), run_of(1, 1, false, load(2))});
  const Json b = results_of({run_of(1, 1, false, load(2)), run_of(1, 1, false, load(4))});
  const auto both = compare_results(a, b);
  ASSERT_TRUE(both.ok());
  ASSERT_EQ(both->loads.size(), 1u);
  EXPECT_EQ(both->loads[0].load_a, "2 users");
  const Json c = results_of({run_of(1, 1, false, load(7)), run_of(1, 1, false, load(8))});
  const auto none = compare_results(a, c);
  ASSERT_FALSE(none.ok());
  EXPECT_THAT(none.error().message, HasSubstr("no load in common"));
}

TEST(Compare, DifferentLoadsOfSingleRunsAreComparedAndSaid) {
  const Json a = results_of({run_of(1, 1, false, {{"kind", "closed"}, {"concurrency", 1}})});
  const Json b = results_of({run_of(1, 1, false, {{"kind", "open"}, {"rate", 2.5}})});
  const auto text = compare_runs(a, b);
  ASSERT_TRUE(text.ok());
  EXPECT_THAT(*text, HasSubstr("the loads differ"));
  EXPECT_THAT(*text, HasSubstr("2.5 requests/s"));
}

TEST(Compare, TheTextHasTheFiguresAndTheWords) {
  const auto text =
      compare_runs(results_of({run_of(1, 1.0, true)}), results_of({run_of(2, 1.5, true)}));
  ASSERT_TRUE(text.ok());
  EXPECT_THAT(*text, HasSubstr("TTFT p99"));
  EXPECT_THAT(*text, HasSubstr("worse"));
  EXPECT_THAT(*text, HasSubstr("200 and 200 requests"));
  // Requests were sent when they were due.
  EXPECT_THAT(*text, Not(HasSubstr("from schedule")));
  EXPECT_THAT(*text, Not(HasSubstr("nan")));
}

TEST(Compare, TheTextSaysWhatAVerdictStandsOnAndWhatPIs) {
  const auto text =
      compare_runs(results_of({run_of(1, 1.0, true)}), results_of({run_of(2, 1.5, true)}));
  ASSERT_TRUE(text.ok());
  EXPECT_THAT(*text, HasSubstr("verdict: by the 95 % interval of B/A and nothing else"));
  EXPECT_THAT(*text, HasSubstr("p: chance of ranks so different"));
  // No p stands in a line with a verdict.
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    if (line.find("worse  ") != std::string::npos) {
      EXPECT_THAT(line, Not(HasSubstr("0.0001"))) << line;
    }
  }
  const auto without =
      compare_runs(results_of({run_of(1, 1.0, false)}), results_of({run_of(2, 1.5, false)}));
  ASSERT_TRUE(without.ok());
  EXPECT_THAT(*without, Not(HasSubstr("p: chance")));
  EXPECT_THAT(*without, Not(HasSubstr("verdict: by")));
}

TEST(Compare, TheJsonHasTheSame) {
  const auto comparison =
      compare_results(results_of({run_of(1, 1.0, true)}), results_of({run_of(2, 1.5, true)}));
  const Json json = comparison_json(*comparison);
  const Json& figures = json["loads"][0]["figures"];
  const auto found = std::find_if(figures.begin(), figures.end(),
                                  [](const Json& f) { return f["name"] == "TTFT mean"; });
  ASSERT_NE(found, figures.end());
  EXPECT_EQ((*found)["verdict"], "worse");
  EXPECT_EQ((*found)["unit"], "s");
  EXPECT_EQ((*found)["ratio_95"].size(), 2u);
  EXPECT_FALSE(found->contains("p"));
  const Json& ranks = json["loads"][0]["ranks"];
  ASSERT_FALSE(ranks.empty());
  EXPECT_EQ(ranks[0]["name"], "TTFT");
  EXPECT_LT(ranks[0]["p"].get<double>(), 0.001);
}

TEST(Compare, AFileThatIsNoResultsIsNamed) {
  const Json good = results_of({run_of(1, 1.0, false)});
  EXPECT_THAT(compare_runs(Json(), good).error().message, HasSubstr("A: is null; expected"));
  EXPECT_THAT(compare_runs(good, Json::array()).error().message,
              HasSubstr("B: is an empty array; expected"));
}

TEST(Compare, NamesOfTheFileCannotSteerTheTerminal) {
  Json run = run_of(1, 1.0, false, {{"kind", "\x1b[31m"}});
  run["run"]["model"] = "a\x1b]0;title\x07";
  const auto text = compare_runs(results_of({run}), results_of({run}));
  ASSERT_TRUE(text.ok());
  EXPECT_THAT(*text, Not(HasSubstr("\x1b")));
  EXPECT_THAT(*text, Not(HasSubstr("\x07")));
}

// Each place of a good file in turn holds each odd value.
void spoil_everywhere(Json& at, const Json& odd, const std::function<void()>& check) {
  if (at.is_structured()) {
    for (Json& inner : at) spoil_everywhere(inner, odd, check);
  }
  Json kept = std::move(at);
  at = odd;
  check();
  at = std::move(kept);
}

TEST(Compare, AnyValueInAnyPlaceGivesAnErrorOrAText) {
  Json run = run_of(1, 1.0, true);
  // Two records are resampled as many are, and quickly.
  run["records"].erase(run["records"].begin() + 2, run["records"].end());
  Json results = results_of({run});
  const Json good = results_of({run_of(1, 1.0, false)});
  for (const Json& odd : {Json(), Json::array(), Json::object(), Json("text"), Json(-1), Json(0),
                          Json(1e308), Json(true)}) {
    spoil_everywhere(results, odd, [&] {
      for (const auto& text : {compare_runs(results, good), compare_runs(good, results)}) {
        EXPECT_FALSE(text.ok() ? text->empty() : text.error().message.empty());
        if (!text.ok()) continue;
        EXPECT_THAT(*text, Not(HasSubstr("nan")));
      }
    });
  }
}

TEST(RatioOfRuns, IsWelchsTOnLogarithms) {
  // scipy: ttest_ind(log(b), log(a), equal_var=False).confidence_interval(), as exp().
  const double a[] = {10.0, 11.0, 10.5};
  const double b[] = {12.0, 13.5, 12.6, 12.9};
  const Interval i = ratio_of_runs_interval(a, b);
  EXPECT_NEAR(i.low, 1.101033777547887, 1e-9);
  EXPECT_NEAR(i.high, 1.3387998951872213, 1e-9);
}

TEST(RatioOfRuns, NeedsTwoPositiveFiguresOfEach) {
  const double one[] = {1.0};
  const double two[] = {1.0, 2.0};
  const double zero[] = {0.0, 2.0};
  const double equal[] = {2.0, 2.0};
  EXPECT_TRUE(std::isnan(ratio_of_runs_interval(one, two).low));
  EXPECT_TRUE(std::isnan(ratio_of_runs_interval(two, zero).low));
  EXPECT_TRUE(std::isnan(ratio_of_runs_interval(equal, equal).low));
}

}  // namespace
}  // namespace pagoda
