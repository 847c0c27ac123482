#!/usr/bin/env python3
"""Pagoda's server beside the llama-server of llama.cpp and ik_llama.cpp, under load on this CPU, in turns.

usage: compare_servers.py --pagoda BINARY --models FOLDER --peer NAME=FOLDER[,ARG...] ... [--rounds N]
                          [--threads N] [--only PART] [--json FILE]

A peer's folder holds llama-server; ARGs are added to it, as `server:-rtr` (an ARG that begins with `bench:`
or `batched:` is for compare_cpu_speed.py). FOLDER of models holds *.gguf.

In a round every engine's server is started once, in an order that rotates, and gets the same loads one after
the other: all users send at once, prompts are token ids at random (other ones in each round and load, the same
for every engine), answers are streamed, greedy and of exactly so many tokens. Then Pagoda alone gets users who
share a beginning: with its prefix cache, which has seen that beginning, and from a server without.

What a model with random weights says soon repeats itself, so Pagoda guesses no tokens here.

A time to first token is from the request to the event with the first token. A gap is the time between two
tokens of one answer; tokens that come in one event have gaps of 0 between them. Tokens are counted by what the
events and the end of the stream say. The ratio of a round is to the better peer of the same round.
"""
import argparse
import contextlib
import http.client
import json
import pathlib
import random
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from compare_cpu_speed import Failed, Peer, quartiles

START_TIMEOUT_S = 300
ANSWER_TIMEOUT_S = 900
FIRST_ID, NUM_IDS = 1000, 30000  # in every vocabulary of that size, past the special tokens of most
SHARED_PREFIX = 1000


class Load:
    def __init__(self, name, users, prompt, output, prefix=0):
        self.name, self.users, self.prompt, self.output, self.prefix = name, users, prompt, output, prefix

    def prompts(self, seed):
        draw = random.Random(f"{self.name} {seed}")

        def ids(count):
            return [FIRST_ID + draw.randrange(NUM_IDS) for _ in range(count)]

        prefix = ids(self.prefix)
        return [prefix + ids(self.prompt) for _ in range(self.users + 1)]  # the last is not of a user


LOADS = [Load("16 users, 128 + 64 tokens", 16, 128, 64), Load("16 users, 512 + 64 tokens", 16, 512, 64)]
SHARED = Load(f"16 users, {SHARED_PREFIX} shared + 16 + 16 tokens", 16, 16, 16, prefix=SHARED_PREFIX)
# name, unit, scale, whether more is better
FIGURES = [("time to first token, p50", "s", 1, False), ("time to first token, max", "s", 1, False),
           ("gap, p50", "ms", 1000, False), ("gap, p95", "ms", 1000, False), ("gap, p99", "ms", 1000, False),
           ("gap, max", "ms", 1000, False), ("output", "tok/s", 1, True)]


class PagodaServer:
    name = "Pagoda"
    path = "/v1/completions"

    def __init__(self, binary, threads, *args):
        self.binary, self.threads, self.args = str(pathlib.Path(binary).resolve()), threads, args

    def command(self, model, port):
        return [self.binary, "serve", model, "--port", str(port), "--threads", str(self.threads),
                "--num-speculative-tokens", "0", *self.args]

    @staticmethod
    def body(prompt, output):
        return {"prompt": prompt, "max_tokens": output, "temperature": 0, "ignore_eos": True, "stream": True,
                "stream_options": {"include_usage": True, "continuous_usage_stats": True}}

    @staticmethod
    def num_tokens(event, _):
        """Prompt tokens and output tokens so far."""
        return event["usage"]["prompt_tokens"], event["usage"]["completion_tokens"]


class PeerServer:
    path = "/completion"

    def __init__(self, spec, threads):
        peer = Peer(spec, threads)
        self.name, self.binary, self.args = peer.name, peer.folder / "llama-server", peer.args_for("server")
        self.threads = str(threads)

    def command(self, model, port):
        most = max(load.users * (load.prompt + load.output) for load in LOADS)
        return [str(self.binary), "-m", model, "--host", "127.0.0.1", "--port", str(port), "-t", self.threads,
                "-tb", self.threads, "-c", str(most // 3 * 4), "--parallel", "16", *self.args]

    @staticmethod
    def body(prompt, output):
        return {"prompt": prompt, "n_predict": output, "temperature": 0, "ignore_eos": True, "stream": True,
                "cache_prompt": True, "return_tokens": True}

    @staticmethod
    def num_tokens(event, before):
        if event.get("stop"):
            return event["tokens_evaluated"], event["tokens_predicted"]
        return None, before + (len(event.get("tokens") or []) or (1 if event.get("content") else 0))


@contextlib.contextmanager
def running(engine, model):
    """Port and process id of a server that answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tempfile.NamedTemporaryFile(prefix="compare-servers-", suffix=".log")
    server = subprocess.Popen(engine.command(model, port), stdout=log, stderr=log, cwd=tempfile.gettempdir())
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not answers(port):
            if server.poll() is not None or time.monotonic() > deadline:
                last = pathlib.Path(log.name).read_text(errors="replace").strip().splitlines()[-1:]
                raise Failed(f"{engine.name}: the server did not start: {' '.join(last)}")
            time.sleep(0.1)
        yield port, server.pid
    finally:
        server.terminate()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        log.close()


def answers(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


class User(threading.Thread):
    """Sends one request when all are ready and notes when each token came."""

    def __init__(self, engine, port, prompt, output, start):
        super().__init__(daemon=True)
        self.engine, self.port, self.prompt, self.output, self.start_line = engine, port, prompt, output, start
        self.times, self.sent, self.failure = [], None, None

    def run(self):
        body = json.dumps(self.engine.body(self.prompt, self.output))
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_TIMEOUT_S)
        try:
            connection.connect()
            self.start_line.wait()
            self.sent = time.monotonic()
            connection.request("POST", self.engine.path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            if response.status != 200:
                raise Failed(f"status {response.status}: {response.read(300)!r}")
            self.read(response)
        except (OSError, http.client.HTTPException, threading.BrokenBarrierError, ValueError, KeyError,
                Failed) as error:
            self.failure = f"{self.engine.name}: {type(error).__name__}: {error}"
            self.start_line.abort()
        finally:
            connection.close()

    def read(self, response):
        num_prompt, num_output = None, 0
        while line := response.readline():
            now = time.monotonic()
            if not line.startswith(b"data: {"):
                continue
            num_prompt, num_output = self.engine.num_tokens(json.loads(line[6:]), num_output)
            self.times += [now] * (num_output - len(self.times))
        if num_prompt != len(self.prompt) or num_output != self.output:
            raise Failed(f"{num_prompt} prompt and {num_output} output tokens instead of {len(self.prompt)} and "
                         f"{self.output}")


def percentile(values, share):
    ordered = sorted(values)
    place = (len(ordered) - 1) * share
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def send(engine, port, prompts, output):
    start = threading.Barrier(len(prompts))
    users = [User(engine, port, prompt, output, start) for prompt in prompts]
    for user in users:
        user.start()
    for user in users:
        user.join()
    failures = [user.failure for user in users if user.failure and "BrokenBarrier" not in user.failure]
    if failures:
        raise Failed(failures[0])
    return users


def measure(engine, port, load, seed):
    """The FIGURES, in their order."""
    users = send(engine, port, load.prompts(seed)[:load.users], load.output)
    first = [user.times[0] - user.sent for user in users]
    gaps = [after - before for user in users for before, after in zip(user.times, user.times[1:])]
    elapsed = max(user.times[-1] for user in users) - min(user.sent for user in users)
    num_tokens = sum(len(user.times) for user in users)
    return [percentile(first, 0.5), max(first), *(percentile(gaps, share) for share in (0.5, 0.95, 0.99)),
            max(gaps), num_tokens / elapsed]


def warm_up(engine, port):
    send(engine, port, [[FIRST_ID + i for i in range(16)]], 4)


def measure_round(engines, model, turn, results):
    first = turn % len(engines)
    for engine in engines[first:] + engines[:first]:
        with running(engine, model) as (port, _):
            warm_up(engine, port)
            for load in LOADS:
                results.setdefault(load.name, {}).setdefault(engine.name, []).append(
                    measure(engine, port, load, turn))


def measure_shared(binary, threads, model, seed, results):
    by_case = results.setdefault(SHARED.name, {})
    for case, args in (("seen", ()), ("cache off", ("--enable-prefix-caching", "false"))):
        engine = PagodaServer(binary, threads, *args)
        with running(engine, model) as (port, _):
            warm_up(engine, port)
            send(engine, port, SHARED.prompts(seed)[SHARED.users:], 1)
            by_case.setdefault(case, []).append(measure(engine, port, SHARED, seed))


def print_rows(model, load, by_engine, columns):
    """A line for each figure: medians, and the ratio to the better of the others in the same round."""
    for place, (figure, unit, scale, more_is_better) in enumerate(FIGURES):
        rounds = list(zip(*([values[place] for values in by_engine[name]] for name in columns)))
        better = max if more_is_better else min
        low, middle, high = quartiles([own / better(others) for own, *others in rounds])
        cells = [model, load, f"{figure}, {unit}",
                 *(f"{scale * statistics.median(column):.{0 if scale > 1 else 2}f}" for column in zip(*rounds)),
                 f"**{middle:.3g}** ({low:.3g} to {high:.3g})", str(len(rounds))]
        print("| " + " | ".join(cells) + " |", flush=True)


def print_header(columns, others):
    header = ["model", "load", "figure", *columns, f"ratio to {others} (quartiles)", "rounds"]
    print("\n| " + " | ".join(header) + " |\n|" + "---|" * len(header), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pagoda", required=True)
    parser.add_argument("--models", required=True, type=pathlib.Path)
    parser.add_argument("--peer", action="append", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="", help="models whose name matches this regular expression")
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    engines = [PagodaServer(options.pagoda, options.threads),
               *(PeerServer(spec, options.threads) for spec in options.peer)]
    results, failed = {}, False
    for model in sorted(options.models.resolve().glob("*.gguf")):
        if not re.search(options.only, model.stem):
            continue
        by_load = results.setdefault(model.stem, {})
        try:
            for turn in range(options.rounds):
                measure_round(engines, str(model), turn, by_load)
                measure_shared(options.pagoda, options.threads, str(model), turn, by_load)
        except Failed as error:
            failed = True
            print(f"{model.stem}: {error}", file=sys.stderr)
        if options.json:
            options.json.write_text(json.dumps(results, indent=1))
    for loads, columns, others in ((LOADS, [engine.name for engine in engines], "the better peer"),
                                   ([SHARED], ["seen", "cache off"], "the cache off")):
        print_header(columns, others)
        for model, by_load in results.items():
            for load in loads:
                if set(columns) <= set(by_load.get(load.name, {})):
                    print_rows(model, load.name, by_load[load.name], columns)
    return 1 if failed or not results else 0


if __name__ == "__main__":
    sys.exit(main())
