"""LLMPerf's own program and `pagoda bench serve --compat llmperf` against the same simulated server.

Runs where LLMPERF_DIR holds LLMPerf's source (commit f1d6bed), LLMPERF_PYTHON a Python with what it needs
(ray, transformers, pandas), and the cache of the hub its tokenizer; elsewhere it is skipped.
"""

import json
import os
import pathlib
import subprocess

import pytest

import harness

LLMPERF_DIR = os.environ.get("LLMPERF_DIR")
LLMPERF_PYTHON = os.environ.get("LLMPERF_PYTHON", "python3")
FLAGS = ["--mean-input-tokens", "120", "--stddev-input-tokens", "10", "--mean-output-tokens", "30",
         "--stddev-output-tokens", "5", "--num-concurrent-requests", "2", "--max-num-completed-requests", "6",
         "--timeout", "120", "--additional-sampling-params", '{"seed": 1}']  # the same words from both runs

pytestmark = pytest.mark.skipif(not LLMPERF_DIR, reason="LLMPERF_DIR is not set: LLMPerf's source is not here")


def summary_in(folder):
    (file,) = pathlib.Path(folder).glob("*_summary.json")
    return json.loads(file.read_text())


def responses_in(folder):
    (file,) = pathlib.Path(folder).glob("*_individual_responses.json")
    return json.loads(file.read_text())


def test_both_programs_report_the_same_of_the_same_server(tmp_path):
    environment = {**os.environ, "OPENAI_API_KEY": "none", "PYTHONPATH": f"{LLMPERF_DIR}/src"}
    with harness.Server("--simulate", "ttft=300ms,itl=30ms") as server:
        environment["OPENAI_API_BASE"] = f"{server.url}/v1"
        model = server.http.get("/v1/models").json()["data"][0]["id"]
        subprocess.run([LLMPERF_PYTHON, f"{LLMPERF_DIR}/token_benchmark_ray.py", "--model", model, *FLAGS,
                        "--results-dir", tmp_path / "theirs"], env=environment, check=True, timeout=300)
        ours = subprocess.run([harness.BINARY, "bench", "serve", "--compat", "llmperf", "--model", model,
                               "--text-file", f"{LLMPERF_DIR}/src/llmperf/sonnet.txt", *FLAGS,
                               "--results-dir", tmp_path / "ours"], env=environment, check=False, timeout=300,
                              capture_output=True, text=True)
        assert ours.returncode == 0, ours.stderr
    theirs_all, ours_all = summary_in(tmp_path / "theirs"), summary_in(tmp_path / "ours")
    assert list(theirs_all) == list(ours_all), "the keys and their order"
    for name, theirs in theirs_all.items():
        if name == "timestamp":
            continue
        mine = ours_all[name]
        if name in ("results_mean_output_throughput_token_per_s", "results_num_completed_requests_per_min"):
            # LLMPerf's clock runs while Ray's actors start.
            assert mine > theirs, name
        elif "_s_" in name or "throughput" in name:
            # Times of two runs on a machine that does other things too.
            floor = 0.02 if name.endswith("stddev") else 0.01
            assert mine == pytest.approx(theirs, rel=0.25, abs=floor), name
        else:
            assert mine == theirs, name
    for key in ("number_input_tokens", "number_output_tokens"):
        assert sorted(r[key] for r in responses_in(tmp_path / "theirs")) == sorted(
            r[key] for r in responses_in(tmp_path / "ours")), key
