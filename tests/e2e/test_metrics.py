"""What /metrics shows: the names, types, labels and buckets that boards, autoscalers and routers rely on."""

import re
import shutil
import subprocess

import pytest

import harness

GOLDEN = harness.ROOT / "tests/golden/metrics.txt"


def shape(scrape):
    """One line a series of a name: its type, labels and the bounds of its buckets; values left out.

    Label values are kept where they are a closed set.
    """
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", scrape, re.MULTILINE))
    lines = {}
    for name, labels in re.findall(r"^([\w:]+)(?:\{(.*)\})? \S+$", scrape, re.MULTILINE):
        family = name if name in kinds else re.sub(r"_(bucket|sum|count)$", "", name)
        pairs = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        bound = pairs.pop("le", None)
        for open_label in ("model_name", "block_size", "num_gpu_blocks", "cache_dtype"):
            if open_label in pairs:
                pairs[open_label] = "*"
        if family.startswith("http_"):
            pairs = dict.fromkeys(pairs, "*")
        key = f"{family} {kinds[family]} " + ",".join(f"{k}={v}" for k, v in sorted(pairs.items()))
        bounds = lines.setdefault(key.strip(), [])
        if bound and bound not in bounds:
            bounds.append(bound)
    return "".join(f"{key} {' '.join(bounds)}".strip() + "\n" for key, bounds in sorted(lines.items()))


def test_the_scrape_has_the_agreed_names_types_labels_and_buckets():
    with harness.Server() as server:
        server.answer(harness.CAPITAL)
        got = shape(server.http.get("/metrics").text)
    assert got == GOLDEN.read_text(), f"if that is meant, the new content of {GOLDEN.name} is:\n{got}"


def test_each_end_of_a_request_is_counted(server):
    def ended(reason):
        return server.metric("pagoda_requests_ended_total", f'reason="{reason}"')

    before = {reason: ended(reason) for reason in ("stop", "length", "stop_string", "client_left")}
    server.chat(harness.CAPITAL, max_tokens=100, temperature=0)
    server.chat(harness.CAPITAL, max_tokens=2)
    server.chat(harness.COUNT, temperature=0, max_tokens=100, stop=["5"])
    stream = server.stream(harness.STORY, max_tokens=1500, ignore_eos=True)
    next(stream)
    stream.close()
    server.wait_idle()
    assert {reason: ended(reason) - was for reason, was in before.items()} == dict.fromkeys(before, 1)


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is in Debian's package prometheus")
def test_promtool_objects_to_nothing_but_vllms_own_names(server):
    done = subprocess.run(["promtool", "check", "metrics"], input=server.http.get("/metrics").text, text=True,
                          capture_output=True)
    objections = (done.stdout + done.stderr).strip().split("\n")
    ours = [line for line in objections if line and not line.startswith("vllm:")]
    assert ours == []
    # And to those for their colon, and for one histogram that vLLM called a total.
    kinds = {line.split(" ", 1)[1] for line in objections}
    assert kinds <= {"metric names should not contain ':'", 'non-counter metrics should not have "_total" suffix'}
