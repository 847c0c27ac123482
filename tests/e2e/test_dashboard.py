"""The dashboard's data from a running server: it is what /metrics shows, and it holds nobody's text."""

import http.server
import json
import os
import re
import socket
import sys
import threading
import time

import httpx

import harness

sys.path.append(str(harness.ROOT / "tools"))
import measure_monitoring  # noqa: E402

SECRET = "xylophone-marmalade"


def get(server, path, **params):
    reply = server.http.get(f"/dashboard/api/{path}", params=params)
    assert reply.status_code == 200, reply.text
    return reply.json()


def wait_for(condition, seconds=10):
    deadline = time.monotonic() + seconds * harness.PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def quantile_of_buckets(server, name, share):
    """The bucket of /metrics in which a quantile lies: (above, up to)."""
    buckets = [(float(bound), float(count)) for bound, count in re.findall(
        rf'^{name}_bucket{{.*le="([^"]+)".*}} (\S+)$', server.http.get("/metrics").text, re.MULTILINE)]
    wanted = share * buckets[-1][1]
    low = 0.0
    for bound, count in buckets:
        if count >= wanted:
            return low, bound
        low = bound


def test_its_numbers_are_those_of_metrics():
    with harness.Server("--slo", "ttft=60s") as server:
        wait_for(lambda: get(server, "history")["t"])  # the first sample is shorter than a second
        for _ in range(5):
            server.chat(harness.COUNT, temperature=0, max_tokens=60)
        server.http.post("/v1/chat/completions", json={"messages": []})
        server.wait_idle()
        minute = wait_for(lambda: (m := get(server, "summary")["minute"])["requests"] == 5 and m)
        totals = get(server, "summary")["totals"]
        assert totals["requests"] == server.metric("pagoda_requests_ended_total") == 5
        assert totals["generation_tokens"] == server.metric("vllm:generation_tokens_total")
        assert totals["prompt_tokens"] == server.metric("vllm:prompt_tokens_total")
        assert totals["cached_prompt_tokens"] == server.metric("vllm:prompt_tokens_cached_total")
        assert totals["refused"] == {"invalid": 1}
        assert minute["goodput"] == 1
        for member, name in (("ttft_s", "time_to_first_token"), ("itl_s", "inter_token_latency")):
            assert minute[member]["count"] == server.metric(f"vllm:{name}_seconds_count")
            mean = server.metric(f"vllm:{name}_seconds_sum") / minute[member]["count"]
            assert abs(minute[member]["mean"] / mean - 1) < 1e-4
            low, high = quantile_of_buckets(server, f"pagoda_{name}_seconds", 0.5)
            assert low <= minute[member]["p50"] <= high
        charts = get(server, "history", range=300)
        seconds = charts["step_s"]
        shown = sum(rate for rate in charts["series"]["generation_tokens_per_s"]) * seconds
        assert abs(shown / totals["generation_tokens"] - 1) < 0.1
        assert {len(column) for column in charts["series"].values()} == {len(charts["t"])}
        lengths = get(server, "lengths", range=300)
        assert sum(map(sum, lengths["output_tokens"]["counts"])) == 5


def test_a_request_in_flight_is_shown_cancelled_and_listed(server):
    stream = server.stream(harness.STORY, max_tokens=1900, ignore_eos=True)
    next(stream)
    shown = wait_for(lambda: [each for each in get(server, "requests")["requests"] if each["phase"] == "decode"])[-1]
    assert shown["kind"] == "chat" and shown["stream"]
    reply = server.http.post(f"/dashboard/api/requests/{shown['id']}/cancel")
    assert reply.status_code == 202 and reply.json() == {"id": shown["id"], "cancelled": True}
    last = [chunk for chunk in stream][-1]
    assert last["error"]["message"] == "the request was cancelled by the operator"
    ended = wait_for(lambda: [each for each in get(server, "recent", show="newest")["requests"]
                              if each["id"] == shown["id"]])[0]
    assert ended["end"] == "cancelled"
    assert abs(ended["queue_s"] + ended["prefill_s"] + ended["decode_s"] - ended["total_s"]) < 1e-6
    assert server.http.post(f"/dashboard/api/requests/{shown['id']}/cancel").status_code == 404
    server.wait_idle()


def test_events_come_each_second_with_the_names_of_history(server):
    names = set(get(server, "history")["series"])
    times = []
    with server.http.stream("GET", "/dashboard/api/events", timeout=20) as reply:
        kind = None
        for line in reply.iter_lines():
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: ") and kind == "sample":
                sample = json.loads(line.removeprefix("data: "))
                assert set(sample["series"]) == names
                times.append(sample["t"])
            if len(times) == 3:
                break
    assert times[2] - times[0] in (2, 3)


def test_neither_the_dashboard_nor_the_log_has_text_of_a_request():
    with harness.Server("--log-level", "debug") as server:
        messages = [{"role": "user", "content": f"Say {SECRET} twice"}]
        server.chat(messages, max_tokens=20)
        list(server.stream(messages, max_tokens=20))
        server.http.post("/v1/completions", json={"prompt": SECRET, "max_tokens": 5, "stop": [SECRET]})
        server.http.post("/v1/chat/completions", json={"messages": messages, "temperature": -1, "user": SECRET})
        server.http.post("/v1/chat/completions", content='{"messages": "' + SECRET)
        server.wait_idle()
        for path in ("summary", "history", "requests", "recent?show=newest", "recent", "lengths", "config",
                     "logs?level=debug", "replicas"):
            assert SECRET not in server.http.get(f"/dashboard/api/{path}").text, path
        assert SECRET not in server.http.get("/metrics").text
        assert SECRET not in server.log()


def test_the_log_is_json_by_a_switch():
    with harness.Server("--log-format", "json") as server:
        server.chat(harness.CAPITAL, max_tokens=5)

        def requests():
            lines = [json.loads(line) for line in server.log().split("\n") if line.startswith("{")]
            return [line for line in lines if line["event"] == "request"]

        request = wait_for(requests)[0]  # the line follows the reply
    assert request["level"] == "info" and request["status"] == "200" and request["output_tokens"] == "5"


class Collector:
    """Takes spans as an OpenTelemetry collector does."""

    def __init__(self):
        bodies = self.bodies = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                bodies.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def spans(self):
        return [span for _, body in self.bodies for resource in body["resourceSpans"]
                for scope in resource["scopeSpans"] for span in scope["spans"]]


def test_spans_reach_a_collector_in_the_trace_of_their_caller():
    collector = Collector()
    endpoint = f"http://127.0.0.1:{collector.server.server_port}/v1/traces"
    trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    with harness.Server("--otlp-traces-endpoint", endpoint) as server:
        body = {"messages": [{"role": "user", "content": SECRET}], "max_tokens": 7, "ignore_eos": True}
        for flags in ("01", "00"):
            httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=30,
                       headers={"traceparent": f"00-{trace}-{parent}-{flags}", "tracestate": "a=b"})
        httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=30)
        wait_for(lambda: len(collector.spans()) >= 2)
        assert server.metric("pagoda_spans_exported_total") == 2
    assert {path for path, _ in collector.bodies} == {"/v1/traces"}
    first, second = collector.spans()  # that with flags 00 is not wanted
    assert (first["traceId"], first["parentSpanId"], first["traceState"]) == (trace, parent, "a=b")
    assert second["traceId"] != trace and "parentSpanId" not in second
    attributes = {each["key"]: each["value"] for each in first["attributes"]}
    assert attributes["gen_ai.usage.output_tokens"] == attributes["gen_ai.usage.completion_tokens"] == {"intValue": "7"}
    assert attributes["gen_ai.operation.name"] == {"stringValue": "chat"}
    assert attributes["gen_ai.latency.e2e"]["doubleValue"] > 0
    assert SECRET not in json.dumps(collector.bodies)


def test_watching_takes_less_than_a_hundredth_of_the_processors():
    """Of processor time, not of the clock: what else runs on the machine does not count."""
    with harness.Server("--simulate", "ttft=10ms,itl=60s", "--drain-timeout", "1", "--served-model-name", "m") as server:
        body = {"model": "m", "prompt": "x", "max_tokens": 50, "ignore_eos": True}
        for _ in range(16):
            threading.Thread(target=lambda: httpx.post(f"{server.url}/v1/completions", timeout=60, json=body), daemon=True).start()
        wait_for(lambda: get(server, "requests")["count"] == 16)
        time.sleep(0.5)  # all have their first token: from now on the engine has nothing to do
        with measure_monitoring.Watchers(server.port, dashboards=2, scrape_s=1):
            time.sleep(1)
            used = measure_monitoring.cores(server.process.pid, 4)
        assert 0 < used < 0.01 * max(os.cpu_count(), 2), f"{1000 * used:.1f} ms/s"


class FakeRay(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        replicas = [{"replica_id": "r1", "state": "RUNNING", "pid": 5, "node_ip": "10.0.0.7", "start_time_s": 1.0},
                    {"replica_id": "r2", "state": "STARTING", "pid": None, "node_ip": None}]
        body = json.dumps({"applications": {"llm": {"deployments": {"Pagoda": {"replicas": replicas}}}}}).encode()
        self.send_response(200 if self.path == "/api/serve/applications/" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_rays_replicas_are_listed_and_a_peer_that_never_answers_holds_nobody_up():
    ray = http.server.ThreadingHTTPServer(("127.0.0.1", 0), FakeRay)
    threading.Thread(target=ray.serve_forever, daemon=True).start()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        flags = ("--ray-dashboard", f"http://127.0.0.1:{ray.server_port}", "--peers", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with harness.Server(*flags) as server:
            def asked():
                rows = get(server, "replicas")["replicas"]
                return rows if "not asked yet" not in [row["error"] for row in rows] else None
            assert get(server, "replicas")["replicas"][1]["error"] == "not asked yet"
            own, peer, first, second = wait_for(asked)
            assert own["id"] == "self" and own["state"] == "RUNNING"
            assert peer["state"] == "UNHEALTHY" and "imeout" in peer["error"]
            assert (first["id"], first["state"], first["address"], first["pid"]) == ("llm/r1", "RUNNING", "10.0.0.7", 5)
            assert first["error"] is None and first["last_seen_s"] < 60
            assert second["state"] == "STARTING"
    ray.shutdown()
    ray.server_close()
