#!/usr/bin/env python3
"""What Pagoda's HTTP layer costs, and whether it answers while every core computes.

usage: measure_http.py --pagoda BINARY [--model FILE] [--streams N] [--rate TOKENS_PER_S] [--seconds S]

The cost: a server with a simulated model carries so many open streams, from `pagoda bench serve` in another
process; printed is the processor time of the server by that of the clock, once all streams are open.
The answers: with --model a server of that model has 16 streams under way, prompts coming in all the time, and
`/v1/models` is asked 50 times a second, half of the times over a connection of its own.
"""
import argparse
import http.client
import pathlib
import re
import subprocess
import sys
import threading
import time

from compare_cpu_speed import Failed
from compare_servers import Load, PagodaServer, percentile, running, send, warm_up

ASKED_PER_S = 50


class SimulatedServer(PagodaServer):
    def command(self, model, port):
        return [self.binary, "serve", "--simulate", model, "--port", str(port), "--max-connections", "20000",
                "--max-num-queued-requests", "20000"]


def get(connection, path):
    connection.request("GET", path)
    response = connection.getresponse()
    body = response.read()
    if response.status != 200:
        raise Failed(f"{path}: status {response.status}")
    return body


def num_running(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    found = re.search(rb"^vllm:num_requests_running\S* ([0-9.e+]+)$", get(connection, "/metrics"), re.MULTILINE)
    connection.close()
    return int(float(found[1]))


def cpu_seconds(pid):
    """User and system time. Of the scheduler's clock: ticks miss threads that wake for less than one."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def measure_cost(binary, streams, rate, seconds):
    server = SimulatedServer(binary, 1)
    gap_ms = 1000 * streams / rate
    with running(server, f"ttft=50ms,itl={gap_ms:g}ms") as (port, pid):
        tokens = int((seconds + 10) * rate / streams)
        load = subprocess.Popen(
            [server.binary, "bench", "serve", "--base-url", f"http://127.0.0.1:{port}/v1", "-c", str(streams),
             "-n", str(streams), "--output-tokens", str(tokens), "--ignore-eos", "--no-server-metrics"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 120
            while num_running(port) < streams:
                if load.poll() is not None or time.monotonic() > deadline:
                    raise Failed(f"the load of {streams} streams did not come about")
                time.sleep(0.1)
            time.sleep(1)
            began, before = time.monotonic(), cpu_seconds(pid)
            time.sleep(seconds)
            share = (cpu_seconds(pid) - before) / (time.monotonic() - began)
            if num_running(port) < streams:
                raise Failed("the streams ended before the measurement did")
        finally:
            load.terminate()
            load.wait()
    print(f"{streams} streams, {rate} tokens/s: {share:.2f} of a core", flush=True)


def measure_answers(binary, threads, model, seconds):
    engine = PagodaServer(binary, threads)
    load = Load("under way", 16, 128, 48)
    stop = threading.Event()
    with running(engine, model) as (port, _):
        warm_up(engine, port)

        def keep_busy(user):
            turn = 0
            while not stop.is_set():
                send(engine, port, [load.prompts(f"{user} {turn}")[0]], load.output)
                turn += 1

        users = [threading.Thread(target=keep_busy, args=(user,), daemon=True) for user in range(load.users)]
        for user in users:
            user.start()
        time.sleep(3)
        times = ask(port, seconds)
        stop.set()
        for user in users:
            user.join()
    milliseconds = [1000 * value for value in times]
    print(f"/v1/models beside 16 streams of {pathlib.Path(model).stem}, {len(times)} times: "
          f"p50 {percentile(milliseconds, 0.5):.1f} ms, p99 {percentile(milliseconds, 0.99):.1f} ms, "
          f"max {max(milliseconds):.1f} ms", flush=True)


def ask(port, seconds):
    kept = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    times, began = [], time.monotonic()
    for turn in range(int(seconds * ASKED_PER_S)):
        time.sleep(max(0.0, began + turn / ASKED_PER_S - time.monotonic()))
        sent = time.monotonic()
        if turn % 2:
            get(kept, "/v1/models")
        else:
            own = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            get(own, "/v1/models")
            own.close()
        times.append(time.monotonic() - sent)
    kept.close()
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pagoda", required=True)
    parser.add_argument("--model")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--rate", type=int, default=20000)
    parser.add_argument("--seconds", type=float, default=10)
    options = parser.parse_args()
    try:
        measure_cost(options.pagoda, options.streams, options.rate, options.seconds)
        if options.model:
            measure_answers(options.pagoda, options.threads, options.model, 2 * options.seconds)
    except Failed as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
