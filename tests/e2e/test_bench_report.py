"""Reports of `pagoda bench`, as a browser shows them, and comparisons of two results files."""

import json
import pathlib
import shutil
import subprocess

import pytest

import bench_results
import harness
from harness import assert_fails_clearly, run_pagoda

FOLDER = pathlib.Path(__file__).parent
EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Results files by name."""
    folder = tmp_path_factory.mktemp("results")
    made = {
        "single": bench_results.single(),
        "sweep": bench_results.results(*(bench_results.one_run(3 + n, users=n, seconds=10.0) for n in (1, 4, 16))),
        "repeats": bench_results.results(*(bench_results.one_run(n, users=4, seconds=10.0) for n in (1, 2, 3))),
        "faster": bench_results.results(*(bench_results.one_run(n, users=4, seconds=10.0, speed=1.5) for n in (4, 5, 6))),
        "quantiles": bench_results.single(with_records=False),
        "evil": bench_results.results(bench_results.one_run(1, users=2, seconds=5.0, model=EVIL)),
    }
    for run in made["evil"]["runs"]:
        run["warnings"] = [EVIL]
        run["run"][EVIL] = {EVIL: EVIL}
        run["requests"]["failures"] = {EVIL: 1}
        run["requests"]["failure_examples"] = {EVIL: f'"{EVIL}'}
    for name, content in made.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


def browse(files, name, *options):
    """What a browser sees in the report of a results file."""
    page = files / f"{name}.html"
    done = run_pagoda("bench", "report", files / f"{name}.json", "--output", page)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(page)
    seen = subprocess.run(["node", "open_report.mjs", str(page), "--browser", shutil.which("chromium"), *options],
                          cwd=FOLDER, capture_output=True, text=True, timeout=60 * harness.PATIENCE)
    assert seen.returncode == 0, seen.stderr
    return json.loads(seen.stdout)


def assert_drawn(seen):
    """Charts stand there with data in them, and the page is quiet and alone."""
    assert seen["errors"] == seen["requests"] == seen["dialogs"] == []
    assert not seen["broken"]
    assert seen["charts"]
    for chart in seen["charts"]:
        assert chart["width"] > 150 and chart["height"] > 80, chart["title"]
        assert chart["name"] == chart["title"] and chart["description"]
        assert chart["marks"], chart["title"]
        assert not any(mark["broken"] for mark in chart["marks"]), chart["title"]
        assert any(mark["length"] > 10 and mark["width"] > 0 for mark in chart["marks"]), chart["title"]


def titles(seen):
    return [chart["title"] for chart in seen["charts"]]


@pytest.mark.parametrize("options", [(), ("--dark",), ("--width", "400")])
def test_a_run_is_drawn_in_light_in_dark_and_on_a_telephone(files, options):
    seen = browse(files, "single", *options)
    assert_drawn(seen)
    assert seen["overflow"] <= 0
    for title in ("TTFT · Time to first token", "TPOT · Time per output token", "ITL · Inter-token latency",
                  "E2E · End-to-end latency", "Requests", "Output", "Time to first token", "Server: queue", "Server: cache"):
        assert title in titles(seen)
    assert "pagoda-demo-1b" in seen["title"]
    assert "share up to" in seen["tip"]


def test_a_sweep_is_drawn_against_its_loads(files):
    for options in ((), ("--width", "400")):
        seen = browse(files, "sweep", *options)
        assert_drawn(seen)
        assert seen["overflow"] <= 0
        assert titles(seen)[:3] == ["Output throughput by load", "TTFT against throughput", "TPOT against throughput"]
        for text in ("1 user", "4 users", "16 users", "Load sweep"):
            assert text in seen["text"]


def test_repeats_of_one_load_have_a_page_each(files):
    seen = browse(files, "repeats")
    assert_drawn(seen)
    assert "4 users #1" in seen["text"] and "4 users #3" in seen["text"]


def test_without_records_distributions_are_drawn_from_quantiles(files):
    seen = browse(files, "quantiles")
    assert_drawn(seen)
    assert "drawn from its quantiles" in seen["text"]


def test_texts_of_a_file_are_shown_as_text(files):
    seen = browse(files, "evil")
    assert_drawn(seen)
    assert seen["heading"] == EVIL
    assert EVIL in seen["title"]
    assert seen["images"] == 0
    assert seen["overflow"] <= 0


def test_the_report_lies_beside_its_results_by_default(files):
    done = run_pagoda("bench", "report", files / "single.json")
    assert done.returncode == 0, done.stderr
    assert (files / "single.html").read_text().startswith("<!DOCTYPE html>")


def test_a_faster_server_compares_as_better(files):
    done = run_pagoda("bench", "compare", files / "repeats.json", files / "faster.json")
    assert done.returncode == 0, done.stderr
    rows = {line[:24].strip(): line for line in done.stdout.split("\n")}
    for name in ("output tokens/s", "TPOT mean", "TPOT p50"):
        assert " better " in rows[name], done.stdout
    done = run_pagoda("bench", "compare", files / "faster.json", files / "repeats.json", "--json")
    figures = {f["name"]: f for f in json.loads(done.stdout)["loads"][0]["figures"]}
    assert figures["TPOT mean"]["verdict"] == "worse"
    assert figures["TPOT mean"]["ratio_95"][0] > 1


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"schema": "pagoda-bench/1"}',
                                     '{"schema": "pagoda-bench/1", "runs": [3]}', "[" * 5000,
                                     '{"schema": "pagoda-bench/1", "runs": [{}]}', '{"results_num_requests_started": 1}'])
def test_what_is_no_results_file_is_said_with_its_name(files, tmp_path, content):
    bad = tmp_path / "bad.json"
    bad.write_text(content)
    done = run_pagoda("bench", "report", bad)
    assert_fails_clearly(done, "bad.json")
    assert done.returncode == 2
    assert not (tmp_path / "bad.html").exists()
    assert_fails_clearly(run_pagoda("bench", "compare", files / "single.json", bad), "bad.json")
    assert_fails_clearly(run_pagoda("bench", "report", tmp_path / "none.json"), "none.json")


def test_a_file_of_another_program_is_called_by_its_name(files, tmp_path):
    other = tmp_path / "other.json"
    for content, wanted in (({"results_num_requests_started": 1}, "is LLMPerf's summary"), ([], "is an empty array"),
                            ({"schema": "pagoda-bench/9"}, 'is of the schema "pagoda-bench/9"')):
        other.write_text(json.dumps(content))
        for command in (("report", other), ("compare", files / "single.json", other), ("compare", other, files / "single.json")):
            assert_fails_clearly(run_pagoda("bench", *command), f"other.json: {wanted}; expected is a results file")


def test_verdicts_and_ranks_stand_apart(files):
    done = run_pagoda("bench", "compare", files / "single.json", files / "single.json")
    assert done.returncode == 0, done.stderr
    assert "verdict: by the 95 % interval of B/A and nothing else" in done.stdout
    ranks = done.stdout[done.stdout.index("rank test"):]
    assert ranks.split("\n")[1].split()[0] == "TTFT"
    assert "better " not in done.stdout.split("verdict: by")[0]


def test_a_report_does_not_replace_its_results(files, tmp_path):
    same = tmp_path / "results.html"
    shutil.copy(files / "single.json", same)
    assert_fails_clearly(run_pagoda("bench", "report", same), "--output")
    assert json.loads(same.read_text())["schema"] == "pagoda-bench/1"
