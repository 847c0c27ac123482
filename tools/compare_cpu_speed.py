#!/usr/bin/env python3
"""Speed beside llama.cpp and ik_llama.cpp on this CPU: same GGUF files, same threads, in turns.

usage: compare_cpu_speed.py --pagoda BINARY --probe KERNEL_BENCH --models FOLDER --peer NAME=FOLDER[,ARG...] ...
                            [--pairs N] [--threads N] [--only PART] [--json FILE [--resume] [--seconds S]]

A peer's folder holds llama-bench and llama-batched-bench; ARGs are added to both, as `-rtr,1` and `-rtr`
(an ARG that begins with `bench:` or `batched:` goes to one of them, with `server:` to compare_servers.py's).
FOLDER of models holds *.gguf.

One round of a work runs every engine once (several numbers of sequences in one process), in an order that rotates, with the read bandwidth probed before
and after. Every work has its first round before any has its second; --resume adds to the rounds in FILE, which must be of the same binary. The ratio of a round is Pagoda's rate through the best peer's of the same round; the table has the
median of the rounds and its quartiles. Everything runs on this machine and ends by itself.
"""
import argparse
import hashlib
import json
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

BATCH_PROMPT, BATCH_OUTPUT = 128, 64


class Failed(Exception):
    pass


def run(command, with_errors=False):
    try:
        # Elsewhere: ik_llama.cpp writes a log into the folder it is started in.
        done = subprocess.run(command, capture_output=True, text=True, timeout=1800, cwd=tempfile.gettempdir())
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failed(f"{command[0]}: {error}") from None
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise Failed(f"{command[0]}: exit status {done.returncode}: {last}")
    return done.stdout + (done.stderr if with_errors else "")


class Pagoda:
    name = "Pagoda"

    def __init__(self, binary, threads):
        self.binary, self.threads = str(pathlib.Path(binary).resolve()), threads

    def measure(self, model, work):
        out = run([self.binary, "bench", "offline", model, "--json", "--repeat", "1", "--warmup", str(work.warmup),
                   "--threads", str(self.threads), "--prompt-tokens", str(work.prompt),
                   "--output-tokens", str(work.output or 0), "--batch", ",".join(map(str, work.batches))])
        return [result["decode" if work.output else "prefill"]["mean"] for result in json.loads(out)["results"]]


class Peer:
    def __init__(self, spec, threads):
        self.name, _, rest = spec.partition("=")
        folder, *self.args = rest.split(",")
        self.folder, self.threads = pathlib.Path(folder).resolve(), threads

    def args_for(self, tool):
        others = tuple(f"{other}:" for other in ("bench", "batched", "server") if other != tool)
        return [arg.removeprefix(tool + ":") for arg in self.args if not arg.startswith(others)]

    def measure(self, model, work):
        threads = str(self.threads)
        if work.batches == [1] and work.warmup:
            out = run([str(self.folder / "llama-bench"), "-m", model, "-t", threads, "-r", "1", "-o", "json",
                       "-p", str(0 if work.output else work.prompt), "-n", str(work.output or 0),
                       *self.args_for("bench")])
            return [json.loads(out[out.index("["):])[0]["avg_ts"]]
        output = work.output or 1
        context = max(work.batches) * (work.prompt + output) + 64
        out = run([str(self.folder / "llama-batched-bench"), "-m", model, "-t", threads, "-c", str(context),
                   "-b", "2048", "-ub", "512", "-npp", str(work.prompt), "-ntg", str(output),
                   "-npl", ",".join(map(str, work.batches)), *self.args_for("batched")], with_errors=True)
        rates = {}
        for line in out.splitlines():
            # | PP | TG | B | N_KV | T_PP s | S_PP t/s | T_TG s | S_TG t/s | T s | S t/s |
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if len(cells) == 10 and re.fullmatch(r"\d+", cells[0]):
                rates[int(cells[2])] = float(cells[7 if work.output else 5])
        if set(rates) != set(work.batches):
            raise Failed(f"{self.name}: llama-batched-bench printed rows for {sorted(rates)} sequences")
        return [rates[batch] for batch in work.batches]


class Work:
    """One process of each engine, which measures so many sequences at once, one number after the other."""

    def __init__(self, prompt, output, batches, warmup=1):
        self.prompt, self.output, self.batches, self.warmup = prompt, output, batches, warmup

    def name(self, batch):
        if not self.output:
            return f"prefill {self.prompt}"
        return f"decode, {batch} sequence{'s' if batch > 1 else ''}"

    def matching(self, model, pattern):
        batches = [batch for batch in self.batches if re.search(pattern, f"{model} {self.name(batch)}")]
        return Work(self.prompt, self.output, batches, self.warmup)


# What comes first warms the several sequences up; a long prompt needs no warming up.
WORKS = [Work(512, None, [1]), Work(4096, None, [1], warmup=0), Work(16, BATCH_OUTPUT, [1]),
         Work(BATCH_PROMPT, BATCH_OUTPUT, [2, 4, 8, 16], warmup=0)]


def probe(binary):
    return float(run([str(pathlib.Path(binary).resolve()), "--probe"]).split()[0])


def quartiles(values):
    if len(values) < 2:
        return values * 3
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return [low, middle, high]


def measure_round(engines, model, work, number, probe_binary):
    """One round: rates by engine of each number of sequences, and the bandwidth around it."""
    got = {}
    bandwidth = [probe(probe_binary)]
    first = number % len(engines)
    for engine in engines[first:] + engines[:first]:
        got[engine.name] = engine.measure(str(model), work)
    bandwidth.append(probe(probe_binary))
    return got, bandwidth


def add_round(rows, model, work, got, bandwidth):
    for at, batch in enumerate(work.batches):
        row = rows.setdefault(key_of(model, work, batch),
                              {"model": model.stem, "work": work.name(batch), "rates": {name: [] for name in got},
                               "ratios": [], "bandwidth": []})
        for name, rates in got.items():
            row["rates"].setdefault(name, []).append(rates[at])
        row["ratios"].append(got["Pagoda"][at] / max(rates[at] for name, rates in got.items() if name != "Pagoda"))
        row["bandwidth"] += bandwidth


def key_of(model, work, batch):
    return f"{model.stem} {work.name(batch)}"


def rounds_of(rows, model, work):
    return min(len(rows[key]["ratios"]) if key in rows else 0
               for key in (key_of(model, work, batch) for batch in work.batches))


def load(file, binary_hash):
    saved = json.loads(file.read_text())
    if saved["binary"] != binary_hash:
        raise Failed(f"{file}: its rounds are of another binary, {saved['binary']}, not {binary_hash}")
    return {f"{row['model']} {row['work']}": row for row in saved["rows"]}


def print_table(rows, names):
    header = ["model", "work", *(f"{name} tok/s" for name in names), "ratio to the better peer (quartiles)", "rounds",
              "read GB/s"]
    print("| " + " | ".join(header) + " |\n|" + "---|" * len(header))
    for row in rows:
        low, middle, high = quartiles(row["ratios"])
        cells = [row["model"], row["work"], *(f"{statistics.median(row['rates'][name]):.1f}" for name in names),
                 f"**{middle:.2f}** ({low:.2f} to {high:.2f})", str(len(row["ratios"])),
                 f"{statistics.median(row['bandwidth']):.1f}"]
        print("| " + " | ".join(cells) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pagoda", required=True)
    parser.add_argument("--probe", required=True)
    parser.add_argument("--models", required=True, type=pathlib.Path)
    parser.add_argument("--peer", action="append", required=True)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="", help="works whose 'MODEL WORK' matches this regular expression")
    parser.add_argument("--json", type=pathlib.Path, help="where every round is kept")
    parser.add_argument("--resume", action="store_true", help="go on with the rounds in --json's file, if it is there")
    parser.add_argument("--seconds", type=float, help="start no round after so long")
    options = parser.parse_args()
    if options.resume and not options.json:
        parser.error("--resume needs --json")
    peers = [Peer(spec, options.threads) for spec in options.peer]
    engines = [Pagoda(options.pagoda, options.threads), *peers]
    binary_hash = hashlib.sha256(pathlib.Path(options.pagoda).read_bytes()).hexdigest()[:16]
    try:
        rows = load(options.json, binary_hash) if options.resume and options.json.exists() else {}
    except Failed as error:
        sys.exit(str(error))
    works = [(model, matching) for model in sorted(options.models.resolve().glob("*.gguf")) for work in WORKS
             if (matching := work.matching(model.stem, options.only)).batches]
    failed = set()
    end = time.monotonic() + options.seconds if options.seconds else float("inf")
    for number in range(options.pairs):
        for model, work in works:
            name = f"{model.stem}, {work.name(work.batches[0])}"
            if rounds_of(rows, model, work) > number or name in failed or time.monotonic() > end:
                continue
            try:
                add_round(rows, model, work, *measure_round(engines, model, work, number, options.probe))
            except Failed as error:
                failed.add(name)
                print(f"{name}: {error}", file=sys.stderr)
            if options.json:
                options.json.write_text(json.dumps({"binary": binary_hash, "rows": list(rows.values())}, indent=1))
    names = [engine.name for engine in engines]
    print_table([row for row in rows.values() if re.search(options.only, f"{row['model']} {row['work']}")], names)
    return 1 if failed or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
