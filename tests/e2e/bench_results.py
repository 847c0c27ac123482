"""Results files of `pagoda bench` for its reports, made from a small simulation of a server.

    bench_results.py single|sweep|repeats OUT.json

The server of the simulation computes prompts one after the other and gives every running answer a
token in each step; steps get longer with what runs. So latencies, queues and throughput hang
together as those of a real one do.
"""

import bisect
import json
import math
import random
import sys

QUANTILES = {"p25": .25, "p50": .5, "p75": .75, "p90": .9, "p95": .95, "p99": .99}
DEFINITIONS = {
    "ttft_s": "time to first token: first piece of text - request sent",
    "tpot_s": "time per output token: (e2el - ttft) / (output tokens - 1)",
    "e2el_s": "end to end: end of the answer - request sent",
    "itl_s": "inter-token latency: each gap between pieces of text, of all requests together",
    "output_tokens": "tokens of the answer, by the server's usage, else by the tokenizer, else pieces",
}


def simulate(seed, users=None, rate=None, seconds=60.0, slots=24, speed=1.0):
    """(records, samples of the server) of a closed loop of `users` or of an open one at `rate`."""
    chance = random.Random(seed)
    due = [0.0] * users if users else []
    at = 0.0
    while rate and at < seconds:
        at += chance.expovariate(rate)
        due.append(at)
    due.sort(reverse=True)
    now, waiting, running, records, samples = 0.0, [], [], [], []
    hits = queries = 0
    while due or waiting or running:
        while due and due[-1] <= now:
            sent = due.pop()
            if sent > seconds:
                continue
            records.append({"index": len(records), "intended_s": sent, "sent_s": sent, "piece_s": [], "end_s": None,
                            "input_tokens": max(16, round(chance.gauss(220, 60))),
                            "output_tokens": max(4, round(chance.lognormvariate(4.2, .45))), "failure": None, "message": ""})
            waiting.append(records[-1])
        if not waiting and not running:
            if not due:
                break
            now = due[-1]
            continue
        step = (.011 + .0011 * len(running)) * chance.lognormvariate(0, .07) / speed
        if waiting and len(running) < slots:
            started = waiting.pop(0)
            cached = chance.random() < .35
            queries += started["input_tokens"]
            hits += started["input_tokens"] // 2 if cached else 0
            step += started["input_tokens"] * (.00012 if cached else .00023) / speed
            running.append(started)
        now += step
        for record in list(running):
            record["piece_s"].append(now)
            broken = chance.random() < .00003
            if broken or len(record["piece_s"]) >= record["output_tokens"]:
                record["end_s"] = now + .0004
                if broken:
                    record.update(failure="connection_cut", message="the connection ended before [DONE]")
                running.remove(record)
                if users:
                    due.append(now + .001)
                    due.sort(reverse=True)
        if not samples or now >= samples[-1]["t_s"] + 1:
            cache = sum(r["input_tokens"] + len(r["piece_s"]) for r in running) / 9000
            samples.append({"t_s": now, "running": len(running), "waiting": len(waiting), "kv_usage": min(1, cache),
                            "prefix_hits": hits, "prefix_queries": queries, "preemptions": 0})
    return records, samples


def quantile(ordered, q):
    place = q * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def distribution(name, values):
    ordered, n = sorted(values), len(values)
    mean = sum(ordered) / n
    deviation = math.sqrt(sum((v - mean) ** 2 for v in ordered) / max(1, n - 1))
    out = {"definition": DEFINITIONS[name], "count": n, "mean": mean, "stddev": deviation, "min": ordered[0], "max": ordered[-1]}
    for key, q in QUANTILES.items():
        out[key] = quantile(ordered, q)
        reach = 1.96 * math.sqrt(q * (1 - q) / n)
        if name != "itl_s" and q - reach > 0 and q + reach < 1:
            out[key + "_95"] = [quantile(ordered, q - reach), quantile(ordered, q + reach)]
    if name != "itl_s":
        out["mean_95"] = [mean - 1.96 * deviation / math.sqrt(n), mean + 1.96 * deviation / math.sqrt(n)]
    return out


def second_by_second(records, length):
    rows = []
    for second in range(length):
        first = sorted(r["piece_s"][0] - r["sent_s"] for r in records if r["piece_s"] and second <= r["piece_s"][0] < second + 1)
        pieces = sum(bisect.bisect_left(r["piece_s"], second + 1) - bisect.bisect_left(r["piece_s"], second) for r in records)
        rows.append({
            "second": second, "sent": sum(second <= r["sent_s"] < second + 1 for r in records),
            "ended": sum(second <= r["end_s"] < second + 1 for r in records),
            "failed": sum(bool(r["failure"]) and second <= r["end_s"] < second + 1 for r in records),
            "mean_running": sum(max(0, min(second + 1, r["end_s"]) - max(second, r["sent_s"])) for r in records),
            "output_tokens": pieces, "ttft_p50_s": quantile(first, .5) if first else None,
            "ttft_max_s": first[-1] if first else None})
    return rows


def one_run(seed, model="pagoda-demo-1b", with_records=True, **load):
    """A run as summarize() of src/bench/summary.cc writes it."""
    records, samples = simulate(seed, **load)
    good = [r for r in records if not r["failure"]]
    failed = len(records) - len(good)
    length = max(r["end_s"] for r in records)
    sending = max(r["sent_s"] for r in records)
    start = min(1.0, sending / 3)
    steady = [r for r in good if start <= r["sent_s"] <= sending]
    tokens = sum(start <= t <= sending for r in good for t in r["piece_s"])
    rows = second_by_second(records, math.ceil(length))
    values = {"ttft_s": [r["piece_s"][0] - r["sent_s"] for r in steady],
              "tpot_s": [(r["end_s"] - r["piece_s"][0]) / (r["output_tokens"] - 1) for r in steady],
              "e2el_s": [r["end_s"] - r["sent_s"] for r in steady],
              "itl_s": [b - a for r in steady for a, b in zip(r["piece_s"], r["piece_s"][1:])],
              "output_tokens": [r["output_tokens"] for r in steady]}
    users, rate = load.get("users"), load.get("rate")
    window = sending - start
    met = sum(t <= .5 and p <= .05 for t, p in zip(values["ttft_s"], values["tpot_s"]))
    run = {
        "schema": "pagoda-bench/1",
        "run": {"model": model, "base_urls": ["http://127.0.0.1:8000/v1"],
                "load": {"kind": "closed", "concurrency": users} if users else {"kind": "open", "rate": rate},
                "workload": {"kind": "lines", "input_tokens": 220, "output_tokens": 70, "seed": seed},
                "started_unix_s": 1790000000.0, "elapsed_s": length, "interrupted": False, "stopped_early": False},
        "window": {"start_s": start, "end_s": sending, "whole_run": False},
        "requests": {"sent": len(records), "succeeded": len(good), "failed": failed, "in_window": len(steady),
                     "never_sent": 0, "ended_before_max_tokens": 0, "cached_input_tokens": samples[-1]["prefix_hits"],
                     "failures": {"connection_cut": failed} if failed else {},
                     "failure_examples": {"connection_cut": "the connection ended before [DONE]"} if failed else {}},
        "throughput": {"definition": "what came within the window / its length",
                       "requests_per_s": sum(start <= r["end_s"] <= sending for r in good) / window,
                       "output_tokens_per_s": tokens / window,
                       "input_tokens_per_s": sum(r["input_tokens"] for r in steady) / window,
                       "total_tokens_per_s": (tokens + sum(r["input_tokens"] for r in steady)) / window,
                       "peak_output_tokens_per_s": max(row["output_tokens"] for row in rows)},
        "metrics": {name: distribution(name, those) for name, those in values.items()},
        "goodput": {"definition": "requests sent in the window that meet every limit / its length; a failed request meets none",
                    "ttft_limit_s": .5, "tpot_limit_s": .05, "e2el_limit_s": None, "met": met, "sent": len(steady),
                    "share": met / len(steady), "requests_per_s": met / window},
        "client": {"cpu_s": 1.0, "cpu_share": .04, "schedule_delay_p50_s": 1e-5, "schedule_delay_p99_s": 1e-4,
                   "limits_the_run": False},
        "timeline": rows, "server": {"samples": samples},
        "warnings": [f"{failed} of {len(records)} requests failed"] if failed else []}
    if with_records:
        run["records"] = records
    return run


def results(*runs):
    return {"schema": "pagoda-bench/1", "runs": list(runs)}


def single(**more):
    return results(one_run(7, rate=5.5, **more))


def sweep(**more):
    return results(*(one_run(11 + users, users=users, seconds=30.0, **more) for users in (1, 2, 4, 8, 16, 32, 48)))


def repeats(**more):
    return results(*(one_run(seed, users=8, seconds=20.0, **more) for seed in (1, 2, 3)))


if __name__ == "__main__":
    with open(sys.argv[2], "w") as out:
        json.dump({"single": single, "sweep": sweep, "repeats": repeats}[sys.argv[1]](), out)
