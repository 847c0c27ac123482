#!/usr/bin/env python3
"""Mixed traffic against one server for a bounded time, then a look for anything left behind.

    tests/soak/soak.py [--seconds 1800] [--concurrency 16] [--seed 1] [--max-growth-mib 64] [-- SERVE_FLAGS]

Clients stream, wait, leave in the middle, read slowly, and send nonsense. At the end nothing may
run or wait, every cache block must be free, every request must have ended in a way that was asked
for, a reference answer must be the same as at the start, and memory must not have grown.
"""

import argparse
import collections
import os
import pathlib
import random
import sys
import threading
import time

import httpx

os.environ.setdefault("PAGODA_TEST_PATIENCE", "5")  # the server is usually a sanitizer build
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import harness  # noqa: E402
from harness import CAPITAL, COUNT, STORY  # noqa: E402

BAD_REQUESTS = [b"", b"[1, 2]", b'{"messages": []}', b"[" * 10_000, b'{"messages": [{"role": "user"}]}',
                b'{"messages": [{"role": "user", "content": "Hi"}], "temperature": -1}', b"\xff\xfe"]


class Traffic:
    """Worker threads that send one random request after another until the time is over."""

    def __init__(self, server, options):
        self.server = server
        self.options = options
        self.deadline = time.monotonic() + options.seconds
        self.counts = collections.Counter()
        self.faults = []
        self.lock = threading.Lock()
        self.expected = server.answer(CAPITAL)

    def run(self):
        workers = [threading.Thread(target=self.work, args=(i,)) for i in range(self.options.concurrency)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    def work(self, index):
        rng = random.Random(f"{self.options.seed}-{index}")
        kinds = [(self.whole, 4), (self.stream, 6), (self.leave, 4), (self.read_slowly, 1), (self.nonsense, 2),
                 (self.reference, 2), (self.completion, 2), (self.look, 1)]
        actions, weights = zip(*kinds)
        while time.monotonic() < self.deadline and len(self.faults) < 20:
            action = rng.choices(actions, weights)[0]
            try:
                action(rng)
                outcome = "ended"
            except (AssertionError, httpx.HTTPError, OSError, KeyError, ValueError) as error:
                outcome = "FAILED"
                with self.lock:
                    self.faults.append(f"{action.__name__}: {type(error).__name__}: {error}"[:500])
            with self.lock:
                self.counts[action.__name__, outcome] += 1

    def request(self, rng):
        return dict(messages=rng.choice([CAPITAL, STORY, COUNT]), max_tokens=rng.randrange(1, 120),
                    temperature=rng.choice([0, 0.7, 1.2]), n=rng.choice([1, 1, 1, 2, 4]),
                    ignore_eos=rng.random() < 0.3)

    def whole(self, rng):
        request = self.request(rng)
        reply = self.server.chat(**request)
        assert len(reply["choices"]) == request["n"]
        assert all(choice["finish_reason"] in ("stop", "length") for choice in reply["choices"])

    def stream(self, rng):
        request = self.request(rng)
        ends = [part["finish_reason"] for chunk in self.server.stream(**request) for part in chunk["choices"]
                if part["finish_reason"]]
        assert len(ends) == request["n"] and set(ends) <= {"stop", "length"}, ends

    def leave(self, rng):
        with self.server.connect() as plain:
            self.server.send_chat(plain, stream=rng.random() < 0.5, **self.request(rng))
            time.sleep(rng.random() * 0.5)

    def read_slowly(self, rng):
        with self.server.connect(receive_buffer=4096) as plain:
            self.server.send_chat(plain, STORY, stream=True, n=8, max_tokens=200, ignore_eos=True)
            for _ in range(rng.randrange(1, 10)):
                plain.recv(512)
                time.sleep(0.2)

    def nonsense(self, rng):
        reply = self.server.http.post("/v1/chat/completions", content=rng.choice(BAD_REQUESTS))
        assert reply.status_code == 400, reply.status_code
        assert reply.json()["error"]["message"]

    def reference(self, rng):
        assert self.server.answer(CAPITAL) == self.expected, "the answer has changed under load"

    def completion(self, rng):
        prompt = [rng.randrange(10, 200) for _ in range(rng.randrange(1, 150))]
        num_tokens = rng.randrange(1, 60)
        reply = self.server.post("/v1/completions", prompt=prompt, max_tokens=num_tokens, ignore_eos=True)
        assert reply.status_code == 200, reply.text
        assert reply.json()["usage"]["completion_tokens"] == num_tokens

    def look(self, rng):
        began = time.monotonic()
        assert self.server.health() == 200
        assert time.monotonic() - began < 5 * harness.PATIENCE, "/health was slow"
        assert self.server.http.get("/metrics").status_code == 200


def resident_mib(process):
    for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().split("\n"):
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("the server has ended")


def num_open_files(process):
    return len(list(pathlib.Path(f"/proc/{process.pid}/fd").iterdir()))


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=1800)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--max-growth-mib", type=float, default=64,
                        help="resident memory may grow by this much after the first tenth")
    parser.add_argument("serve_flags", nargs="*", default=[])
    return parser.parse_args()


def main():
    options = parse_arguments()
    faults = []
    # A cache that is too small for the traffic, so that preemption is part of it.
    flags = ["--num-gpu-blocks-override", "96", "--max-model-len", "512", *options.serve_flags]
    # AddressSanitizer keeps freed memory back, which would look like growth.
    with harness.Server(*flags, env={"ASAN_OPTIONS": "quarantine_size_mb=8:detect_leaks=1"}) as server:
        warm_up = Traffic(server, argparse.Namespace(**{**vars(options), "seconds": options.seconds / 10}))
        warm_up.run()
        server.wait_idle(60)
        before, files_before = resident_mib(server.process), num_open_files(server.process)
        traffic = Traffic(server, argparse.Namespace(**{**vars(options), "seconds": options.seconds * 9 / 10,
                                                        "seed": options.seed + 1}))
        traffic.run()
        server.wait_idle(60)
        time.sleep(1)  # closed connections are noticed
        after, files_after = resident_mib(server.process), num_open_files(server.process)
        if after - before > options.max_growth_mib:
            faults.append(f"memory grew from {before:.0f} to {after:.0f} MiB")
        if files_after > files_before + 8:
            faults.append(f"open files grew from {files_before} to {files_after}")
        if server.answer(CAPITAL) != warm_up.expected:
            faults.append("the reference answer has changed")
        faults += warm_up.faults + traffic.faults
        for (kind, outcome), number in sorted((warm_up.counts + traffic.counts).items()):
            print(f"{kind:12} {outcome:7} {number}")
        print(f"resident memory {before:.0f} > {after:.0f} MiB, open files {files_before} > {files_after}, "
              f"preemptions {server.metric('vllm:num_preemptions_total'):.0f}")
    for fault in faults:
        print(f"FAULT {fault}")
    total = sum((warm_up.counts + traffic.counts).values())
    print(f"{total - len(faults)} passed, {len(faults)} failed")
    return 1 if faults or not total else 0


if __name__ == "__main__":
    sys.exit(main())
