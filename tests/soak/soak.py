#!/usr/bin/env python3
"""Mixed traffic against one server for a bounded time, then a look for anything left behind.

    tests/soak/soak.py [--seconds 1800] [--concurrency 16] [--seed 1] [-- SERVE_FLAGS]

Clients of two keys stream, wait, leave in every phase, read slowly, send nonsense, and come in bursts
of ten times what the queue holds (traffic.py). At the end nothing may run or wait, every cache block
must be free, every accepted request must have ended once, reference answers must have been the same
all the time, refusals must have been quick, what was admitted must have been served within a bound,
and memory and open files must not have grown. Every fault names the seed it came from.
"""

import argparse
import faulthandler
import json
import os
import pathlib
import sys
import tempfile
import threading
import time

os.environ.setdefault("PAGODA_TEST_PATIENCE", "5")  # the server is usually a sanitizer build
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import harness  # noqa: E402
import traffic  # noqa: E402

KEYS = ["soak-key-1", "soak-key-2"]
MAX_SEQUENCES = 8
MAX_QUEUED = 16
MAX_QUEUE_TIME_S = 10
# A cache that is too small for the traffic, so that preemption is part of it.
FLAGS = ["--num-gpu-blocks-override", "96", "--max-model-len", "512", "--max-num-seqs", MAX_SEQUENCES,
         "--max-num-queued-requests", MAX_QUEUED, "--max-queue-time", MAX_QUEUE_TIME_S]
for key in KEYS:
    FLAGS += ["--api-key", key]
DISK_BYTES = 4 << 20  # far less than what the traffic computes, so that blocks are deleted all the time
# AddressSanitizer keeps freed memory back, which would look like growth. TSan's shadow is not memory of ours.
SANITIZERS = {"ASAN_OPTIONS": "quarantine_size_mb=8:detect_leaks=1", "UBSAN_OPTIONS": "print_stacktrace=1",
              "TSAN_OPTIONS": "halt_on_error=0:second_deadlock_stack=1", "PAGODA_CHECK": "1"}


def resident_mib(process):
    for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().split("\n"):
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("the server has ended")


def num_open_files(process):
    return len(list(pathlib.Path(f"/proc/{process.pid}/fd").iterdir()))


def loaded_libraries(process):
    return pathlib.Path(f"/proc/{process.pid}/maps").read_text()


def is_sanitizer_build(process):
    """Whose shadow memory is part of what is resident."""
    return any(name in loaded_libraries(process) for name in ("libasan", "libtsan"))


def settled_open_files(process, wanted):
    """Open files, once connections that their clients have closed are gone; at most ten seconds later."""
    deadline = time.monotonic() + 10
    while (number := num_open_files(process)) > wanted and time.monotonic() < deadline:
        time.sleep(0.2)
    return number


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else 0.0


def learn_references(plan, server):
    """The answers of an idle server, asked one after the other and twice: the second time from the prefix cache."""
    for name, request in traffic.reference_requests().items():
        first, second = (server.post("/v1/completions", **request) for _ in range(2))
        assert first.status_code == second.status_code == 200, first.text
        plan.expected[name] = traffic.answer_of(first.json())
        assert traffic.answer_of(second.json()) == plan.expected[name], f"{name}: two answers when idle"


def slowest_alone(server):
    """Seconds that the largest request of the traffic takes when nobody else asks."""
    began = time.monotonic()
    server.chat(traffic.STORY, n=4, max_tokens=120, ignore_eos=True)
    return time.monotonic() - began


class Soak:
    """One server and the phases of traffic against it."""

    def __init__(self, options, server):
        self.options = options
        self.server = server
        self.faults = []
        self.peak_mib = 0.0
        self.total = traffic.Record()

    def check(self, condition, text):
        if not condition:
            self.faults.append(text)

    def plan(self, seed):
        return traffic.Plan(port=self.server.port, keys=KEYS, seed=seed, concurrency=self.options.concurrency,
                            max_queued=MAX_QUEUED, max_queue_time=MAX_QUEUE_TIME_S, patience=harness.PATIENCE)

    def phase(self, seconds, seed):
        """Traffic for so long; returns what happened once nothing runs or waits any more."""
        plan, record = self.plan(seed), traffic.Record()
        learn_references(plan, self.server)
        deadline = time.monotonic() + seconds
        workers = [traffic.Worker(plan, record, i) for i in range(plan.concurrency)]
        burst_lock = threading.Lock()
        threads = []
        for worker in workers:
            worker.burst_lock = burst_lock
            threads.append(threading.Thread(target=worker.run, args=(deadline,)))
            threads[-1].start()
        shown = time.monotonic()
        while any(thread.is_alive() for thread in threads):
            time.sleep(0.25)
            if self.server.process.poll() is None:
                self.peak_mib = max(self.peak_mib, resident_mib(self.server.process))
            if time.monotonic() - shown > 60:
                shown = time.monotonic()
                print(f"{max(0, deadline - shown):6.0f} s left, {sum(record.counts.values())} actions, "
                      f"{resident_mib(self.server.process):.0f} MiB, {len(record.faults)} faults", flush=True)
        self.server.wait_idle(60)
        self.total.merge(record)
        return record

    def run(self):
        options, process = self.options, self.server.process
        warm_up = max(options.seconds / 10, min(20, options.seconds / 3))
        self.phase(warm_up, options.seed)
        before, files_before = resident_mib(process), num_open_files(process)
        # The largest request, when every place is taken by its like, and once more for what is computed again.
        bound = MAX_QUEUE_TIME_S + 3 * MAX_SEQUENCES / 4 * slowest_alone(self.server) + 2 * harness.PATIENCE
        record = self.phase(options.seconds - warm_up, options.seed + 1)
        self.faults += self.total.faults
        files_after = settled_open_files(process, files_before)
        after = resident_mib(process)
        growth = max(options.max_growth_mib, 0.05 * before)
        if "libtsan" in loaded_libraries(process):
            growth *= 4  # each byte of ours has several of shadow, which are never given back
        self.check(after - before <= growth, f"memory grew from {before:.0f} to {after:.0f} MiB, more than {growth:.0f}")
        self.check(files_after <= files_before + 2, f"open files grew from {files_before} to {files_after}")
        budget = self.server.metric("pagoda_memory_budget_bytes") / 2**20
        self.check(is_sanitizer_build(process) or self.peak_mib <= 1.05 * budget,
                   f"{self.peak_mib:.0f} MiB were resident, the budget is {budget:.0f}")
        self.judge_times(record, bound)
        self.judge_engine()
        self.report(before, after, files_before, files_after)

    def judge_times(self, record, bound):
        refused, admitted = record.seconds["refused"], record.seconds["admitted"]
        self.check(refused, "ten times the queue's places and nobody was refused")
        self.check(percentile(refused, 0.99) <= 0.5 * harness.PATIENCE,
                   f"99 of 100 refusals took up to {percentile(refused, 0.99):.2f} s")
        self.check(admitted and percentile(admitted, 0.99) <= bound,
                   f"99 of 100 admitted requests took up to {percentile(admitted, 0.99):.1f} s, the bound is {bound:.1f}")
        self.check(record.num_cached_tokens > 0, "no token came from the prefix cache")
        served = [record.served[key] for key in KEYS]
        self.check(min(served) * 2 >= max(served), f"of two keys that ask alike one is served more: {served}")
        for name in ("admitted", "refused", "probe"):
            values = record.seconds[name]
            print(f"{name}: {len(values)}, seconds p50 {percentile(values, 0.5):.3f} p99 {percentile(values, 0.99):.3f} "
                  f"max {max(values, default=0):.3f}" + (f" (bound of p99 {bound:.1f})" if name == "admitted" else ""))

    def judge_engine(self):
        """The engine's own account, by /debug/state."""
        reply = self.server.http.get("/debug/state")
        assert reply.status_code == 200, f"/debug/state: {reply.status_code}"
        engine = reply.json()["engine"]
        stats = engine["stats"]
        self.check(stats["num_accepted_requests"] == stats["num_finished_requests"],
                   f"{stats['num_accepted_requests']} requests were accepted and {stats['num_finished_requests']} ended")
        self.check(stats["num_running"] == stats["num_waiting"] == 0 and not engine["requests"], f"left behind: {engine}")
        self.check(stats["num_free_blocks"] == stats["num_total_blocks"], f"blocks in use while idle: {stats}")
        # Rare by design: few requests may bring none.
        self.check(stats["num_preemptions"] > 0 or stats["num_finished_requests"] < 5000, "no sequence was preempted")
        for name in ("pagoda_steps_failed_total", "pagoda_invariant_violations_total"):
            self.check(not self.server.metric(name), f"{name} is {self.server.metric(name)}")
        print("engine: " + json.dumps(stats))

    def report(self, before, after, files_before, files_after):
        for (kind, outcome), number in sorted(self.total.counts.items()):
            print(f"{kind:12} {outcome:8} {number}")
        print(f"resident memory {before:.0f} > {after:.0f} MiB (peak {self.peak_mib:.0f}), "
              f"open files {files_before} > {files_after}, cached tokens {self.total.num_cached_tokens}")


def end_in(seconds, server):
    """Whatever hangs, the soak does not: after so long it says where every thread stands and ends."""
    def end():
        print(f"FAULT not done after {seconds:.0f} s\n0 passed, 1 failed", flush=True)
        faulthandler.dump_traceback()
        server.process.kill()
        os._exit(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=1800)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--max-growth-mib", type=float, default=16,
                        help="resident memory may grow by this much, or by 5 percent, after the warm-up")
    parser.add_argument("serve_flags", nargs="*", default=[])
    return parser.parse_args()


def judge_files(soak, folder):
    """What a stopped server leaves on the disk."""
    num_bytes = sum(path.stat().st_size for path in (folder / "cache").rglob("*.kv"))
    soak.check(0 < num_bytes <= DISK_BYTES, f"the disk cache takes {num_bytes} bytes of {DISK_BYTES}")
    events = json.loads((folder / "trace.json").read_text())
    soak.check(any(event["ph"] == "X" for event in events), "the trace shows no step")
    print(f"disk cache {num_bytes} bytes, trace {len(events)} events")


def main():
    with tempfile.TemporaryDirectory() as folder:
        return run(parse_arguments(), pathlib.Path(folder))


def run(options, folder):
    files = ["--prefix-cache-dir", folder / "cache", "--prefix-cache-disk-space", DISK_BYTES,
             "--trace-file", folder / "trace.json"]
    server = harness.Server(*FLAGS, *files, *options.serve_flags, env=SANITIZERS, wait=False)
    end_in(options.seconds + 300 + 60 * harness.PATIENCE, server)
    server.http.headers["Authorization"] = f"Bearer {KEYS[0]}"
    soak = Soak(options, server)
    try:
        server.wait_ready()
        soak.run()
        server.stop()
        judge_files(soak, folder)
    except BaseException as error:
        print(f"seed {options.seed}: {type(error).__name__}: {error}"[:4000])
        print(server.log()[-8000:])
        raise
    finally:
        if server.process.poll() is None:
            server.process.kill()
        for fault in soak.faults or soak.total.faults:
            print(f"FAULT {fault}")
    total = sum(soak.total.counts.values())
    print(f"{total - len(soak.faults)} passed, {len(soak.faults)} failed")
    return 1 if soak.faults or not total else 0


if __name__ == "__main__":
    sys.exit(main())
