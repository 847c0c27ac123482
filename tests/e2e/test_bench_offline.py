"""`pagoda bench offline` and `pagoda bench startup`, against a simulated model whose figures are known."""

import json
import os
import signal
import subprocess
import time

import harness
from harness import BINARY, CLEAN_ENVIRONMENT, MODEL, assert_fails_clearly, run_pagoda

SIMULATE = ("--simulate", "ttft=100ms,itl=10ms")


def bench(*arguments, timeout=60):
    done = run_pagoda("bench", *arguments, timeout=timeout)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_offline_measures_what_the_simulated_model_does():
    """A prompt of 200 tokens in 100 ms, and a token each 10 ms for each of a batch."""
    out = bench("offline", MODEL, *SIMULATE, "--prompt-tokens", 200, "--output-tokens", 40, "--batch", "1,4",
                "--repeat", 2, "--json")
    report = json.loads(out)
    assert report["backend"] == "simulated" and report["prompt_tokens"] == 200
    assert [entry["batch"] for entry in report["results"]] == [1, 4]
    for entry in report["results"]:
        assert len(entry["prefill"]["runs"]) == len(entry["decode"]["runs"]) == 2
        # Nothing comes early; how late it comes is the machine's.
        assert 0.5 / harness.PATIENCE <= entry["prefill"]["mean"] / (entry["batch"] * 2000) <= 1.01
        assert 0.5 / harness.PATIENCE <= entry["decode"]["mean"] / (entry["batch"] * 100) <= 1.05
        assert entry["decode"]["stddev"] is not None


def test_offline_measures_the_demo_model_and_prints_a_table():
    lines = bench("offline", MODEL, "--prompt-tokens", 64, "--output-tokens", 16, "--batch", "1,3", "--repeat", 2,
                  timeout=200).splitlines()
    assert "pp64 tok/s" in lines[0] and "tg16 tok/s" in lines[0]
    assert [line.split()[0] for line in lines[1:]] == ["1", "3"]
    for line in lines[1:]:
        _, prefill, _, _, decode, _, _ = line.split()
        assert float(prefill) > 0 and float(decode) > 0


def test_offline_measures_what_guessing_tokens_gains_on_text_that_repeats_itself():
    """The demo model alone, its prompt over again: with guesses a step brings several tokens."""
    rates = {}
    for guesses in (0, 7):
        report = json.loads(bench("offline", MODEL, "--replay", "repeat", "--num-speculative-tokens", guesses,
                                  "--prompt-tokens", 32, "--output-tokens", 64, "--batch", 1, "--repeat", 3,
                                  "--warmup", 0, "--json", timeout=200))
        rates[guesses] = max(report["results"][0]["decode"]["runs"])
    assert rates[7] > 1.2 * rates[0]


def test_offline_refuses_what_cannot_be_measured():
    quick = ("bench", "offline", MODEL, "--simulate", "ttft=0,itl=0")
    for flags, wanted in ((("--batch", "0"), "batch: 0 is not from 1 to 65536"),
                          (("--batch", "1,x"), "batch: 'x' is not a whole number"),
                          (("--batch", "1,"), "batch: '' is not a whole number"),
                          (("--prompt-tokens", "3000"), "the context is 2048"),
                          (("--batch", "5", "--max-num-seqs", "4"), "over max-num-seqs, 4"),
                          (("--batch", "4", "--num-gpu-blocks-override", "50"), "cache blocks, and there are 50")):
        done = run_pagoda(*quick, *flags)
        assert_fails_clearly(done, wanted)
        assert done.returncode == 2
    for flags in (("--repeat", "0"), ("--warmup", "-1"), ("--replay", "x"), ("--prompt-tokens", "0"), ("--batch",)):
        assert run_pagoda(*quick, *flags).returncode == 2, flags
    assert run_pagoda("bench").returncode == 2
    assert run_pagoda("bench", "nothing").returncode == 2


def test_startup_measures_each_stage_of_a_start():
    report = json.loads(bench("startup", MODEL, *SIMULATE, "--repeat", 2, "--json"))
    assert report["arguments"] == ["--simulate=" + SIMULATE[1], f"--model={MODEL}"]
    for i in range(2):
        listening, ready, first, end = (report[f"{name}_ms"]["runs"][i]
                                        for name in ("listening", "ready", "first_token", "exit"))
        assert 0 < listening <= ready <= first - 100
        assert first <= ready + 100 + 1000 * harness.PATIENCE
        assert 0 < end < 20_000 * harness.PATIENCE
    lines = bench("startup", MODEL, "--repeat", 1, timeout=120).splitlines()
    assert [line.split("  ")[0] for line in lines[1:]] == ["listening", "ready", "first token", "exit"]


def test_a_server_that_does_not_start_is_an_error_with_its_last_words(tmp_path):
    done = run_pagoda("bench", "startup", tmp_path / "nothing", "--repeat", "1")
    assert_fails_clearly(done, "start 1 of 1", "nothing")


def test_a_start_that_takes_too_long_is_named_by_its_stage():
    done = run_pagoda("bench", "startup", MODEL, "--simulate", "ttft=1000s", "--repeat", "1", "--timeout", "3")
    assert_fails_clearly(done, "start 1 of 1: the server was ready, and no text came in the time that --timeout gives")
    assert done.returncode == 1


def children_of(pid):
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    return [int(line) for line in listed.stdout.split()]


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_no_server_outlives_a_benchmark_that_is_killed():
    process = subprocess.Popen([BINARY, "bench", "startup", MODEL, "--simulate", "ttft=1000s"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=CLEAN_ENVIRONMENT)
    deadline = time.monotonic() + 20 * harness.PATIENCE
    while not (servers := children_of(process.pid)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    while any(alive(pid) for pid in servers):
        assert time.monotonic() < deadline, "a server is still there"
        time.sleep(0.02)
