// Tests of spans.
#include "server/monitor/trace_export.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/json.h"

namespace pagoda {
namespace {

FinishedRequest make_request() {
  auto facts = std::make_shared<RequestFacts>();
  facts->request_id = "req-1";
  facts->trace_id = "0af7651916cd43dd8448eb211c80319c";
  facts->parent_id = "b7ad6b7169203331";
  facts->model = "demo";
  facts->is_chat = true;
  facts->max_tokens = 64;
  facts->temperature = 0.5F;
  FinishedRequest request;
  request.id = 3;
  request.facts = facts;
  request.ended_at = 1000.5;
  request.total_s = 0.5;
  request.queue_s = 0.1;
  request.prefill_s = 0.1;
  request.decode_s = 0.3;
  request.ttft_s = 0.2;
  request.num_prompt_tokens = 10;
  request.num_output_tokens = 20;
  request.end = RequestEnd::kLength;
  return request;
}

Json span_of(const std::string& body) {
  const Json json = parse_json(body).value();
  return json["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
}

Json attribute(const Json& span, const std::string& key) {
  for (const Json& attribute : span["attributes"]) {
    if (attribute["key"] == key) return attribute["value"];
  }
  return nullptr;
}

TEST(TraceExport, ASpanHasBothSetsOfNamesAndItsCallersTrace) {
  const FinishedRequest request = make_request();
  const std::string body = otlp_spans({&request, 1}, "0.1.0");
  const Json span = span_of(body);
  EXPECT_EQ(span["traceId"], "0af7651916cd43dd8448eb211c80319c");
  EXPECT_EQ(span["parentSpanId"], "b7ad6b7169203331");
  EXPECT_EQ(span["spanId"].get<std::string>().size(), 16U);
  EXPECT_EQ(span["kind"], 2);
  EXPECT_EQ(span["startTimeUnixNano"], "1000000000000");
  EXPECT_EQ(span["endTimeUnixNano"], "1000500000000");
  EXPECT_EQ(attribute(span, "gen_ai.operation.name")["stringValue"], "chat");
  EXPECT_EQ(attribute(span, "gen_ai.request.model")["stringValue"], "demo");
  EXPECT_EQ(attribute(span, "gen_ai.usage.input_tokens")["intValue"], "10");
  EXPECT_EQ(attribute(span, "gen_ai.usage.completion_tokens")["intValue"], "20");
  EXPECT_EQ(attribute(span, "gen_ai.latency.time_in_queue")["doubleValue"], 0.1);
  EXPECT_EQ(attribute(span, "gen_ai.latency.time_to_first_token")["doubleValue"], 0.2);
  EXPECT_EQ(
      attribute(span, "gen_ai.response.finish_reasons")["arrayValue"]["values"][0]["stringValue"],
      "length");
  EXPECT_EQ(attribute(span, "error.type"), nullptr);
}

TEST(TraceExport, AFailureIsAnErrorOfItsSpan) {
  FinishedRequest request = make_request();
  request.end = RequestEnd::kStepFailed;
  request.error = "the device is lost";
  const Json span = span_of(otlp_spans({&request, 1}, "0.1.0"));
  EXPECT_EQ(span["status"]["code"], 2);
  EXPECT_EQ(span["status"]["message"], "the device is lost");
  EXPECT_EQ(attribute(span, "error.type")["stringValue"], "step_failed");
}

TEST(TraceExport, WithoutACallersTraceEachSpanBeginsOne) {
  FinishedRequest request = make_request();
  auto facts = std::make_shared<RequestFacts>(*request.facts);
  facts->trace_id.clear();
  facts->parent_id.clear();
  request.facts = facts;
  const Json span = span_of(otlp_spans({&request, 1}, "0.1.0"));
  EXPECT_EQ(span["traceId"].get<std::string>().size(), 32U);
  EXPECT_FALSE(span.contains("parentSpanId"));
}

TEST(TraceExport, ACollectorThatIsAwayCostsSpansAndNoTime) {
  MetricsRegistry metrics;
  const Counter dropped = metrics.counter("pagoda_spans_dropped_total", "");
  {
    TraceExporter exporter("http://127.0.0.1:1/v1/traces", "0.1.0", metrics);
    FinishedRequest untraced = make_request();
    auto facts = std::make_shared<RequestFacts>(*untraced.facts);
    facts->is_traced = false;
    untraced.facts = facts;
    exporter.add(untraced);
    exporter.add(make_request());
  }
  EXPECT_EQ(dropped.value(), 1);
  EXPECT_EQ(metrics.counter("pagoda_spans_exported_total", "").value(), 0);
}

}  // namespace
}  // namespace pagoda
