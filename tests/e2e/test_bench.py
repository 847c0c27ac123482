"""`pagoda bench` against the real server, and against servers that misbehave."""

import csv
import http.server
import json
import signal
import subprocess
import threading
import time

import pytest

import harness


def event(text=None, finish=None, **more):
    delta = {} if text is None else {"content": text}
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
                                   **more}).encode() + b"\n\n"


# What GET /v1/models answers, by what stands in the path.
MODELS = {"garbage": b"<html>\x1b[31mhello</html>", "array": b"[1, 2]", "none": b'{"data": []}', "nameless": b'{"data": [{}]}',
          "steering": b'{"data": [{"id": "a\\u001b[31m"}]}'}


class Misbehaving(http.server.BaseHTTPRequestHandler):
    """What it does stands first in the path: http://host/HOW/v1."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        body = MODELS.get(self.how(), b'{"data": [{"id": "fake"}]}')
        status = 401 if self.how() == "key" else 200
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        self.server.bodies.append(json.loads(self.rfile.read(length)))
        try:
            getattr(self, self.how())()
        except (BrokenPipeError, ConnectionResetError):
            pass

    def how(self):
        return self.path.split("/")[1]

    def stream(self, *pieces):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for piece in pieces:
            self.wfile.write(piece)
            self.wfile.flush()
        self.close_connection = True

    def good(self):
        self.stream(event(""), event("a"), event("b", "stop"),
                    event(None, None, usage={"prompt_tokens": 9, "completion_tokens": 2}), b"data: [DONE]\n\n")

    def nousage(self):
        self.stream(event("a"), event("b", "stop"), b"data: [DONE]\n\n")

    def busy(self):
        body = b'{"error": {"message": "too many requests"}}'
        self.send_response(429)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def html(self):
        body = b"<html>maintenance</html>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def midstream(self):
        self.stream(event("a"), b'data: {"error": {"message": "out of blocks", "code": 500}}\n\n')

    def usage0(self):
        self.stream(event("a"), event("b", "stop"), event(None, None, usage={"prompt_tokens": 9, "completion_tokens": 0}),
                    b"data: [DONE]\n\n")

    def returns(self):
        """Lines that end with CR, an event of two lines, a byte order mark, and cuts at odd places."""
        parts = (b"\xef\xbb\xbf" + event("a").replace(b"\n", b"\r") + b': ping\r\rdata: {"choices": [\r\n'
                 b'data: {"index": 0, "delta": {"content": "b"}, "finish_reason": "stop"}]}\r\n\r\ndata: [DONE]\r\r')
        self.stream(*(parts[i:i + 5] for i in range(0, len(parts), 5)))

    def longheader(self):
        self.send_response(200)
        self.send_header("X-Long", "x" * 200_000)
        self.end_headers()
        self.close_connection = True

    def nohttp(self):
        self.wfile.write(b"hello\r\n")
        self.close_connection = True

    def malformed(self):
        self.stream(event("a"), b"data: {not json\n\n")

    def zero(self):
        self.stream(event(""), event(None, "stop"), b"data: [DONE]\n\n")

    def cut(self):
        self.stream(event("a"), event("b"))

    def never(self):
        self.stream(event("a"))
        self.close_connection = False
        time.sleep(30 * harness.PATIENCE)

    def flaky(self):
        with self.server.lock:
            self.server.count += 1
            odd = self.server.count % 2
        if odd:
            self.good()
        else:
            self.busy()


@pytest.fixture(scope="module")
def fake():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Misbehaving)
    server.daemon_threads = True
    server.lock, server.count, server.bodies = threading.Lock(), 0, []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield server
    server.shutdown()


def bench(*arguments, **options):
    return harness.run_pagoda("bench", *arguments, timeout=60, **options)


def results_of(tmp_path, *arguments):
    out = tmp_path / "results.json"
    done = bench("serve", *arguments, "-o", out)
    return done, json.loads(out.read_text())


def test_a_closed_loop_sends_what_was_asked_and_reports_it(server, tmp_path):
    done, results = results_of(tmp_path, "--base-url", server.url, "-c", 3, "-n", 9, "--output-tokens", 12,
                               "--csv", tmp_path / "r.csv")
    assert done.returncode == 0, done.stderr
    assert "9 sent, 9 succeeded, 0 failed" in done.stdout
    run = results["runs"][0]
    assert results["schema"] == "pagoda-bench/1" and run["requests"]["succeeded"] == 9
    assert len(run["records"]) == 9
    for record in run["records"]:
        times = [record["intended_s"], record["sent_s"], *record["piece_s"], record["end_s"]]
        assert times == sorted(times)
        assert record["output_tokens"] <= 12 and record["http_status"] == 200
    assert run["server"]["samples"], "the server's own metrics"
    rows = list(csv.DictReader((tmp_path / "r.csv").open()))
    assert len(rows) == 9 and {row["failure"] for row in rows} == {""}


def test_an_open_loop_sends_at_its_own_times(server, tmp_path):
    done, results = results_of(tmp_path, "--base-url", server.url, "--rate", 10, "--arrival", "constant", "-n", 11,
                               "--output-tokens", 4)
    assert done.returncode == 0, done.stderr
    intended = [record["intended_s"] for record in results["runs"][0]["records"]]
    assert intended == pytest.approx([i / 10 for i in range(11)], abs=1e-6)


def test_random_prompts_reach_the_server_with_their_exact_length(server, tmp_path):
    done, results = results_of(tmp_path, "--base-url", server.url, "--endpoint", "completions", "--workload", "random",
                               "--tokenizer", harness.MODEL, "--input-tokens", 77, "--output-tokens", 5,
                               "--ignore-eos", "-n", 4)
    assert done.returncode == 0, done.stderr
    for record in results["runs"][0]["records"]:
        assert record["input_tokens"] == 77 + 1  # BOS
        assert record["output_tokens"] == 5


def test_the_turns_of_a_conversation_follow_each_other(server, tmp_path):
    done, results = results_of(tmp_path, "--base-url", server.url, "-n", 2, "--turns", 3, "--input-tokens", 20,
                               "--output-tokens", 5)
    assert done.returncode == 0, done.stderr
    records = results["runs"][0]["records"]
    assert len(records) == 6
    first = [record for record in records if record["conversation"] == 0]
    assert [record["input_tokens"] for record in first] == sorted(record["input_tokens"] for record in first)
    assert first[2]["cached_tokens"] > 0


def test_several_servers_take_turns(fake, tmp_path):
    _, results = results_of(tmp_path, "--base-url", f"{fake.url}/good/v1;{fake.url}/nousage/v1", "-n", 6,
                            "--warmup", 0)
    assert [record["server"] for record in results["runs"][0]["records"]] == [0, 1, 0, 1, 0, 1]


def test_headers_keys_and_further_fields_are_sent(fake):
    fake.bodies.clear()
    done = bench("serve", "--base-url", f"{fake.url}/good/v1", "-n", 1, "--warmup", 0, "--api-key", "k",
                 "--extra-body", '{"temperature": 0.25, "model": "other"}')
    assert done.returncode == 0, done.stderr
    body = fake.bodies[-1]
    assert body["temperature"] == 0.25 and body["model"] == "other" and body["stream"] is True


@pytest.mark.parametrize("how, cause", [
    ("busy", "HTTP status"), ("html", "no event stream"), ("midstream", "error in the stream"),
    ("malformed", "malformed event"), ("zero", "no tokens"), ("cut", "connection cut"), ("never", "timeout"),
    ("longheader", "no event stream"), ("nohttp", "no event stream")])
def test_a_failure_is_counted_by_its_cause_and_makes_the_run_invalid(fake, tmp_path, how, cause):
    done, results = results_of(tmp_path, "--base-url", f"{fake.url}/{how}/v1", "-n", 2, "-c", 2, "--warmup", 0,
                               "--request-timeout", 1)
    assert done.returncode == 1
    assert "the run is not valid: 2 of 2 requests failed" in done.stderr
    assert results["runs"][0]["requests"]["failures"] == {cause: 2}
    assert f"2 x {cause}" in done.stdout


def test_a_header_beyond_measure_is_called_so(fake):
    done = bench("serve", "--base-url", f"{fake.url}/longheader/v1", "-n", 1, "--warmup", 0)
    assert "a header of the answer is over 100 KiB" in done.stdout and "memory)" in done.stdout
    harness.assert_fails_clearly(bench("serve", "--base-url", f"{fake.url}/good/v1", "--header", "X: " + "x" * 70_000),
                                 "header: 'X' has 70003 bytes, over the limit of 65536")


def test_streams_are_read_by_the_grammar_of_the_standard(fake, tmp_path):
    done, results = results_of(tmp_path, "--base-url", f"{fake.url}/returns/v1", "-n", 1, "--warmup", 0)
    assert done.returncode == 0, done.stderr
    assert len(results["runs"][0]["records"][0]["piece_s"]) == 2


def test_a_usage_of_nought_beside_text_is_a_warning(fake, tmp_path):
    done, results = results_of(tmp_path, "--base-url", f"{fake.url}/usage0/v1", "-n", 3, "--warmup", 0)
    assert done.returncode == 0, done.stderr
    assert "WARNING: 3 answers held text while the server's usage said 0 output tokens" in done.stdout
    assert results["runs"][0]["requests"]["text_with_usage_of_0"] == 3
    assert [record["output_tokens"] for record in results["runs"][0]["records"]] == [2, 2, 2]


@pytest.mark.parametrize("how, wanted", [
    ("garbage", "/garbage/v1/models answers no JSON: '<html>\\x1b[31mhello</html>'"), ("array", "answers no list of models"),
    ("none", "lists no model"), ("nameless", 'lists a model without an "id"'), ("steering", "cannot be printed")])
def test_a_server_that_does_not_say_its_model_is_told_apart_from_one_that_has_none(fake, how, wanted):
    done = bench("serve", "--base-url", f"{fake.url}/{how}/v1")
    harness.assert_fails_clearly(done, wanted, "give --model")
    assert done.returncode == 1


def test_more_users_than_files_may_be_open_are_refused_at_once(fake):
    done = subprocess.run(["bash", "-c", 'ulimit -n 100; exec "$@"', "bash", harness.BINARY, "bench", "serve", "--base-url",
                           f"{fake.url}/good/v1", "-c", "50"], capture_output=True, text=True, timeout=60,
                          env=harness.CLEAN_ENVIRONMENT)
    harness.assert_fails_clearly(done, "concurrency: 50 users need as many connections", "may open 100 files")
    assert done.returncode == 2


def test_some_failures_may_be_allowed(fake):
    done = bench("serve", "--base-url", f"{fake.url}/flaky/v1", "-n", 6, "--warmup", 0, "--max-failed", 0.6)
    assert done.returncode == 0, done.stderr
    assert "3 x HTTP status: 429" in done.stdout


def test_without_usage_pieces_of_text_are_counted(fake, tmp_path):
    _, results = results_of(tmp_path, "--base-url", f"{fake.url}/nousage/v1", "-n", 1, "--warmup", 0)
    assert results["runs"][0]["records"][0]["output_tokens"] == 2


def test_a_server_that_is_not_there_or_wants_a_key_ends_the_run_at_once(fake):
    for url, wanted in ((f"http://127.0.0.1:{harness.free_port()}", "Connection refused"), (f"{fake.url}/key/v1", "401")):
        done = bench("serve", "--base-url", url)
        harness.assert_fails_clearly(done, url, wanted)
        assert done.returncode == 1


@pytest.mark.parametrize("arguments, wanted", [
    (["--base-url", "ftp://x"], "base-url"), (["--base-url", ";"], "base-url"), (["--slo", "ttft=5"], "slo"),
    (["--slo", "p50=5ms"], "slo"), (["--arrival", "sometimes", "--rate", "1"], "arrival"),
    (["--rate", "nan"], "rate"), (["--workload", "poems"], "workload"), (["--extra-body", "[]"], "extra-body"),
    (["--sweep", "2"], "sweep"), (["--endpoint", "x"], "endpoint"), (["--header", "no colon"], "header"),
    (["--workload", "random"], "--tokenizer"), (["--arrival", "trace"], "timestamp"),
    (["--compat", "other"], "compat"), (["-n", "-1"], "-1"), (["--unknown"], "unknown"),
    (["--arrival", "gamma:0", "--rate", "1"], "from 0.001 to 1000000"), (["--arrival", "constant"], "give --rate"),
    (["--arrival", "trace", "--rate", "1"], "leave --rate out"), (["--sweep", "3", "-n", "9"], "leave --requests out"),
    (["--sweep", "3", "--repeat", "2"], "leave --repeat out"), (["--sweep", "3", "-c", "2"], "leave --concurrency out"),
    (["--sweep", "3", "--rate", "2"], "leave --rate out"), (["--timeout", "5"], "--timeout: is a flag of LLMPerf's"),
    (["--compat", "llmperf", "-c", "5"], "--concurrency: LLMPerf has no such setting"),
    (["--workload-file", "/nowhere"], "/nowhere"), (["-o", "/dev/null"], "/dev/null"), (["--tokenizer", "/nowhere"], "/nowhere")])
def test_bad_settings_are_named_and_exit_with_2(fake, arguments, wanted):
    base = [] if "--base-url" in arguments else ["--base-url", f"{fake.url}/good/v1"]
    done = bench("serve", *base, *arguments)
    harness.assert_fails_clearly(done, wanted)
    assert done.returncode == 2


def test_an_interrupted_run_prints_what_was_measured(server, tmp_path):
    out = tmp_path / "results.json"
    process = subprocess.Popen([harness.BINARY, "bench", "serve", "--base-url", server.url, "-d", "60",
                                "--output-tokens", "4", "-o", out], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True, env=harness.CLEAN_ENVIRONMENT)
    time.sleep(2 * harness.PATIENCE)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=20 * harness.PATIENCE)
    assert process.returncode == 1 and "interrupted" in stderr
    assert "time to first token" in stdout
    assert json.loads(out.read_text())["runs"][0]["requests"]["succeeded"] > 0


def test_a_limit_of_concurrency_hides_waiting_from_the_sent_time_alone(fake, tmp_path):
    _, results = results_of(tmp_path, "--base-url", f"{fake.url}/never/v1", "--rate", 20, "--arrival", "constant",
                            "-n", 4, "-c", 1, "--warmup", 0, "--request-timeout", 0.3)
    delays = [r["sent_s"] - r["intended_s"] for r in results["runs"][0]["records"]]
    assert delays[0] < 0.2 and delays[3] > 0.6


LLMPERF = ["--compat", "llmperf", "--tokenizer", harness.MODEL, "--mean-input-tokens", 100, "--stddev-input-tokens", 5,
           "--mean-output-tokens", 8, "--stddev-output-tokens", 2, "--num-concurrent-requests", 2,
           "--max-num-completed-requests", 5]


@pytest.mark.parametrize("kind", ["llmperf", "llmperf-aws"])
def test_compatible_runs_write_both_files_of_llmperf(server, model, tmp_path, kind):
    arguments = [kind if a == "llmperf" else a for a in LLMPERF]
    done = bench("serve", "--base-url", server.url, *arguments, "--results-dir", tmp_path / "a/b",
                 "--metadata", "run=one")
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / f"a/b/{model}_100_8_summary.json").read_text())
    responses = json.loads((tmp_path / f"a/b/{model}_100_8_individual_responses.json").read_text())
    assert summary["results_num_completed_requests"] == 5 == len(responses)
    assert list(summary)[0] == "version" and list(summary)[-2:] == ["run", "timestamp"]
    assert done.stdout.startswith("\\Results for token benchmark for " + model + " queried with the openai api.\n")
    assert "The same requests, corrected" in done.stdout
    assert all(response["error_code"] is None for response in responses)


def test_correctness_counts_right_and_wrong_numbers(server, model, tmp_path):
    done = bench("correctness", "--base-url", server.url, "--max-num-completed-requests", 3,
                 "--num-concurrent-requests", 1, "--extra-body", '{"max_tokens": 8}', "--results-dir", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Completed without errors: 3" in done.stdout
    summary = json.loads((tmp_path / f"{model}_correctness_summary.json").read_text())
    assert summary["num_completed_requests"] == 3


def simulated(spec):
    return harness.Server("--simulate", spec)


def test_figures_of_a_simulated_server_equal_the_known_truth(tmp_path):
    with simulated("ttft=300ms,itl=40ms") as server:
        done, results = results_of(tmp_path, "--base-url", server.url, "-c", 4, "-n", 16, "--output-tokens", 20)
    assert done.returncode == 0, done.stderr
    metrics = results["runs"][0]["metrics"]
    truth = {"ttft_s": 0.3, "tpot_s": 0.04, "itl_s": 0.04, "e2el_s": 0.3 + 19 * 0.04}
    for name, true in truth.items():
        # A busy machine makes each of them later; nothing makes them earlier.
        assert metrics[name]["p50"] == pytest.approx(true, rel=0.15 * harness.PATIENCE, abs=0.02), name
    assert metrics["output_tokens"]["min"] == metrics["output_tokens"]["max"] == 20


def test_a_closed_loop_hides_a_stall_and_intended_times_show_it(tmp_path):
    spec = "ttft=20ms,itl=2ms,stall=2s@6s"
    with simulated(spec) as server:
        _, closed = results_of(tmp_path, "--base-url", server.url, "-c", 1, "-d", 8, "--output-tokens", 4)
    with simulated(spec) as server:
        _, open_loop = results_of(tmp_path, "--base-url", server.url, "--rate", 15, "--arrival", "constant", "-c", 1,
                                  "-n", 120, "--output-tokens", 4)
    closed, open_loop = closed["runs"][0]["metrics"], open_loop["runs"][0]["metrics"]
    # Of whole requests: the one that meets the stall may wait for its first token or for a later one.
    assert closed["e2el_s"]["max"] > 1.5, "the stall was there"
    # Ratios, as a busy machine makes all of them longer.
    assert closed["e2el_s"]["p90"] < 0.7 * closed["e2el_s"]["max"], "and one request in hundreds met it"
    assert open_loop["ttft_s"]["p90"] < 0.7 * open_loop["ttft_from_intended_s"]["max"]
    assert open_loop["ttft_from_intended_s"]["p90"] > 0.7, "but those that were due meanwhile waited too"


def test_a_sweep_runs_from_one_user_to_the_rate_of_many(tmp_path):
    with simulated("ttft=30ms,itl=5ms") as server:
        done, results = results_of(tmp_path, "--base-url", server.url, "--sweep", 4, "-d", 2,
                                   "--sweep-max-concurrency", 4, "--output-tokens", 5)
    assert done.returncode == 0, done.stderr
    loads = [run["run"]["load"] for run in results["runs"]]
    assert [load["kind"] for load in loads] == ["closed", "closed", "open", "open"]
    assert loads[2]["rate"] < loads[3]["rate"]
