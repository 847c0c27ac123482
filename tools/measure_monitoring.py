#!/usr/bin/env python3
"""What metrics and dashboards cost a server, as a share of the processor time that it has.

usage: measure_monitoring.py --pagoda BINARY [--model FILE] [--dashboards N] [--scrape-s S] [--requests N] [--seconds S]

Counted, not compared: two runs of a server differ by more than this. A server with a simulated model has so many
requests in flight that get no token for a minute, so all it computes is what is watched: the samples of each second,
`/metrics` each S seconds, and what N open dashboards ask for, as often as the page does. Then a server of the model is
under load of 16 streams by `pagoda bench serve`, and watched in the same way; printed is the first as a share of its time.
"""
import argparse
import http.client
import re
import subprocess
import sys
import threading
import time

from compare_cpu_speed import Failed
from compare_servers import PagodaServer, running
from measure_http import SimulatedServer, cpu_seconds, get

# What the page asks for (web/src/dashboard), and each how many seconds; `events` is a stream.
DASHBOARD = {"/dashboard/api/requests": 1, "/dashboard/api/recent?show=slow&limit=50": 2, "/dashboard/api/replicas": 2,
             "/dashboard/api/logs?limit=100": 2, "/dashboard/api/lengths?range=3600": 10, "/dashboard/api/config": 60}


class Watchers:
    """Threads that do what open dashboards and a Prometheus do, until the block ends."""

    def __init__(self, port, dashboards, scrape_s):
        self.port, self.stop = port, threading.Event()
        self.threads = [threading.Thread(target=self.poll, args=({"/metrics": scrape_s},), daemon=True)]
        for _ in range(dashboards):
            self.threads.append(threading.Thread(target=self.poll, args=(DASHBOARD,), daemon=True))
            self.threads.append(threading.Thread(target=self.follow, daemon=True))

    def __enter__(self):
        for thread in self.threads:
            thread.start()

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def poll(self, paths):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        due = dict.fromkeys(paths, time.monotonic())
        while not self.stop.wait(max(0.0, min(due.values()) - time.monotonic())):
            path = min(due, key=due.get)
            due[path] += paths[path]
            get(connection, path)
        connection.close()

    def follow(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        get(connection, "/dashboard/api/history?range=300&points=600")
        connection.request("GET", "/dashboard/api/events")
        response = connection.getresponse()
        while not self.stop.is_set():
            response.readline()
        connection.close()


def keep_streaming(binary, port, streams, tokens):
    return subprocess.Popen(
        [binary, "bench", "serve", "--base-url", f"http://127.0.0.1:{port}/v1", "-c", str(streams), "-n", "100000",
         "--output-tokens", str(tokens), "--ignore-eos", "--no-server-metrics"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def cores(pid, seconds):
    began, before = time.monotonic(), cpu_seconds(pid)
    time.sleep(seconds)
    return (cpu_seconds(pid) - before) / (time.monotonic() - began)


def num_generated(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    found = re.search(rb"^vllm:generation_tokens_total\S* ([0-9.e+]+)$", get(connection, "/metrics"), re.MULTILINE)
    connection.close()
    return float(found[1])


def with_load(server, model, options, measure):
    with running(server, model) as (port, pid):
        tokens = 1000 if isinstance(server, SimulatedServer) else 128
        load = keep_streaming(server.binary, port, options.requests, tokens)
        try:
            time.sleep(3)
            return measure(port, pid)
        finally:
            load.terminate()
            load.wait()


def watched(options):
    def measure(port, pid):
        alone = cores(pid, options.seconds)
        with Watchers(port, options.dashboards, options.scrape_s):
            time.sleep(1)
            return alone, cores(pid, options.seconds)
    return with_load(SimulatedServer(options.pagoda, 1), "ttft=50ms,itl=60s", options, measure)


def loaded(options):
    def measure(port, pid):
        with Watchers(port, options.dashboards, options.scrape_s):
            time.sleep(1)
            began, before = time.monotonic(), num_generated(port)
            used = cores(pid, options.seconds)
            return used, (num_generated(port) - before) / (time.monotonic() - began)
    return with_load(PagodaServer(options.pagoda, options.threads), options.model, options, measure)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pagoda", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dashboards", type=int, default=2)
    parser.add_argument("--scrape-s", type=float, default=1)
    parser.add_argument("--requests", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()
    try:
        alone, watching = watched(options)
        used, rate = loaded(options)
    except Failed as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{options.requests} requests in flight, {options.dashboards} dashboards, a scrape each {options.scrape_s:g} s\n"
          f"  samples alone {1000 * alone:.2f} ms/s; with dashboards and scrapes {1000 * watching:.2f} ms/s\n"
          f"  under load {1000 * used:.0f} ms/s at {rate:.0f} tokens/s: watching is {100 * watching / used:.2f} % of it")
    return 0


if __name__ == "__main__":
    sys.exit(main())
