#!/usr/bin/env python3
"""Drive a server on this machine with concurrent streams and print what clients see.

    python3 tools/streams.py [--url http://127.0.0.1:8000] [--streams 16] [--prompt-tokens 128] [--max-tokens 64]

All requests are sent at once to /v1/completions as random token ids, greedy, end of text ignored, no prefix shared. Prints
time to first token, time between tokens and output tokens a second. Standard library only; loopback addresses only.
"""
import argparse
import http.client
import json
import random
import statistics
import threading
import time
import urllib.parse


def stream(address, body, times, failures):
    """Sends one request; appends the send time and then the time of each event (of one token or more)."""
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=1800)
    times.append(time.perf_counter())
    try:
        connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        if response.status != 200:
            failures.append(response.read().decode())
            return
        for line in response:
            if line.startswith(b"data: {"):
                times.append(time.perf_counter())
    except OSError as error:
        failures.append(str(error))
    finally:
        connection.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--prompt-tokens", type=int, default=128)
    parser.add_argument("--max-tokens", type=int, default=64)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    address = urllib.parse.urlparse(args.url)
    if address.hostname not in ("127.0.0.1", "localhost", "::1"):
        parser.error(f"{address.hostname} is not a loopback address")
    if not 1 <= args.streams <= 1024:
        parser.error("--streams must be from 1 to 1024")

    draw = random.Random(args.seed)
    runs, failures, threads = [], [], []
    for _ in range(args.streams):
        prompt = [draw.randrange(300, 2000) for _ in range(args.prompt_tokens)]
        body = {"prompt": prompt, "max_tokens": args.max_tokens, "temperature": 0, "ignore_eos": True, "stream": True}
        runs.append([])
        threads.append(threading.Thread(target=stream, args=(address, body, runs[-1], failures)))
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall = time.perf_counter() - start

    complete = [times for times in runs if len(times) > 1]
    print(f"{len(complete)} of {args.streams} streams complete, {len(failures)} failed, {wall:.1f} s")
    for failure in failures[:3]:
        print("  " + failure[:200])
    if not complete:
        raise SystemExit(1)
    first = sorted(times[1] - times[0] for times in complete)
    gaps = sorted(b - a for times in complete for a, b in zip(times[1:], times[2:])) or [0.0]
    print(f"time to first token   p50 {statistics.median(first):.2f} s, max {first[-1]:.2f} s")
    print(f"between events        p50 {statistics.median(gaps) * 1e3:.0f} ms, "
          f"p99 {gaps[int(0.99 * (len(gaps) - 1))] * 1e3:.0f} ms")
    print(f"output                {args.streams * args.max_tokens / wall:.1f} tok/s, "
          f"with prompts {args.streams * (args.max_tokens + args.prompt_tokens) / wall:.1f} tok/s")
    raise SystemExit(1 if failures else 0)


if __name__ == "__main__":
    main()
