"""Starts the real server and talks to it: what every end-to-end test stands on."""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time

import httpx

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BINARY = pathlib.Path(os.environ.get("PAGODA_BIN", ROOT / "build/release/pagoda")).resolve()
MODEL = pathlib.Path(os.environ.get("PAGODA_MODEL", ROOT / "models/demo")).resolve()

# Under a sanitizer or on a busy machine everything takes longer; nothing may take for ever.
PATIENCE = float(os.environ.get("PAGODA_TEST_PATIENCE", "1"))

# What must never stand in a log, whatever the input was.
DISASTERS = ("AddressSanitizer", "LeakSanitizer", "ThreadSanitizer", "runtime error:", "CHECK failed",
             "terminate called", "Segmentation fault", "bad_alloc", "json.exception")

# Settings of the caller's shell must not reach the servers under test.
CLEAN_ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PAGODA_")}
# Nothing is left in the home folder.
CLEAN_ENVIRONMENT["PAGODA_QUANTIZATION_CACHE_DIR"] = "none"

HELPFUL = {"role": "system", "content": "You are a helpful assistant."}


def ask(text):
    return [HELPFUL, {"role": "user", "content": text}]


CAPITAL = ask("What is the capital of India?")
STORY = [{"role": "system", "content": "You are a creative writing assistant."},
         {"role": "user", "content": "Write a short story about the starwars franchise"}]
COUNT = ask("Count from 1 to 10, with a brief pause between each number.")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run_pagoda(*arguments, timeout=20, stdin=None, env=None):
    """Runs the program to its end. A hang is a failure of the test."""
    return subprocess.run([str(BINARY), *map(str, arguments)], input=stdin, text=True, errors="replace",
                          capture_output=True, timeout=timeout * PATIENCE, env={**CLEAN_ENVIRONMENT, **(env or {})})


def assert_fails_clearly(done, *wanted):
    """Ended by itself, not with success, and said what was wrong in a few lines without a trace."""
    output = done.stdout + done.stderr
    assert 0 < done.returncode < 128, f"exit code {done.returncode}: {output[-2000:]}"
    assert_no_disaster(output)
    assert len(output) < 8000, f"{len(output)} characters of output"
    last = [line for line in done.stderr.strip().split("\n") if line][-3:]
    for text in wanted:
        assert any(text in line for line in last), f"{text!r} is not in the closing lines {last}"


def assert_no_disaster(output):
    for mark in DISASTERS:
        assert mark not in output, output[-4000:]


class Server:
    """One `pagoda serve` process. Use as a context manager: leaving it is a clean shutdown."""

    def __init__(self, *flags, model=MODEL, uds=None, wait=True, env=None):
        self.port = free_port()
        self.uds = uds
        place = ["--uds", str(uds)] if uds else ["--host", "127.0.0.1", "--port", str(self.port)]
        self.log_file = tempfile.TemporaryFile("w+", errors="replace")
        self.process = subprocess.Popen(
            [str(BINARY), "serve", str(model), *place, *map(str, flags)],
            stdout=self.log_file, stderr=subprocess.STDOUT, env={**CLEAN_ENVIRONMENT, **(env or {})})
        self.url = f"http://127.0.0.1:{self.port}"
        transport = httpx.HTTPTransport(uds=str(uds)) if uds else None
        self.http = httpx.Client(base_url=self.url, timeout=60 * PATIENCE, transport=transport)
        if wait:
            try:
                self.wait_ready()
            except BaseException:
                self.process.kill()
                raise

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.stop()

    def health(self):
        """Status code of /health; None while nothing listens."""
        try:
            return self.http.get("/health", timeout=5 * PATIENCE).status_code
        except httpx.TransportError:
            return None

    def wait_ready(self, seconds=30):
        deadline = time.monotonic() + seconds * PATIENCE
        while self.health() != 200:
            assert self.process.poll() is None, f"the server ended: {self.log()[-2000:]}"
            assert time.monotonic() < deadline, f"not ready in time: {self.log()[-2000:]}"
            time.sleep(0.02)

    def log(self):
        self.log_file.flush()
        self.log_file.seek(0)
        return self.log_file.read()

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def wait_end(self, seconds=20):
        """The exit code. A process that does not end is killed and fails the test."""
        try:
            return self.process.wait(seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the server did not end: {self.log()[-2000:]}") from None

    def stop(self):
        self.http.close()
        if self.process.poll() is None:
            self.terminate()
        code = self.wait_end()
        assert_no_disaster(self.log())
        assert code == 0, f"exit code {code}: {self.log()[-2000:]}"

    # --- requests -------------------------------------------------------------------------------

    def post(self, path, **body):
        return self.http.post(path, json=body)

    def chat(self, messages, **options):
        """The reply of a chat that must succeed."""
        reply = self.http.post("/v1/chat/completions", json={"messages": messages, **options})
        assert reply.status_code == 200, reply.text
        return reply.json()

    def answer(self, messages, **options):
        """The text of the most likely answer."""
        options = {"temperature": 0, "max_tokens": 100, **options}
        return self.chat(messages, **options)["choices"][0]["message"]["content"]

    def stream(self, messages, **options):
        """Yields the chunks of a streamed chat, checking its frame."""
        body = {"messages": messages, "stream": True, **options}
        with self.http.stream("POST", "/v1/chat/completions", json=body) as reply:
            if reply.status_code != 200:
                raise AssertionError(reply.read().decode())
            assert reply.headers["content-type"].startswith("text/event-stream")
            yield from events(reply.iter_lines())

    def streamed_answer(self, messages, **options):
        """The text that a stream of the most likely answer adds up to."""
        options = {"temperature": 0, "max_tokens": 100, **options}
        return "".join(chunk["choices"][0]["delta"].get("content") or ""
                       for chunk in self.stream(messages, **options) if chunk["choices"])

    def metric(self, name, label=""):
        """The sum of a metric over its labels, or over those lines that hold `label`; None for none."""
        values = [float(line.rsplit(" ", 1)[1]) for line in self.http.get("/metrics").text.split("\n")
                  if line.startswith((name + " ", name + "{")) and label in line]
        return sum(values) if values else None

    def load(self):
        """(running, waiting, share of the cache in use)."""
        return tuple(self.metric(f"vllm:{name}")
                     for name in ("num_requests_running", "num_requests_waiting", "kv_cache_usage_perc"))

    def num_aborted(self):
        return self.metric("vllm:request_success_total", 'finished_reason="abort"')

    def wait_idle(self, seconds=20):
        """Until nothing runs, nothing waits and every block is free."""
        deadline = time.monotonic() + seconds * PATIENCE
        while self.load() != (0, 0, 0):
            assert time.monotonic() < deadline, f"running, waiting, cache use: {self.load()}"
            time.sleep(0.05)

    def connect(self, receive_buffer=None):
        """A plain socket to the server."""
        plain = socket.socket(socket.AF_UNIX if self.uds else socket.AF_INET)
        if receive_buffer:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        plain.settimeout(20 * PATIENCE)
        plain.connect(str(self.uds) if self.uds else ("127.0.0.1", self.port))
        return plain

    def send_chat(self, plain, messages, **options):
        """Writes a chat request to a plain socket and reads nothing."""
        body = json.dumps({"messages": messages, **options}).encode()
        plain.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                      + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)

    def exchange(self, raw):
        """All the bytes that come back for raw bytes sent, until the server closes or pauses."""
        received = b""
        with self.connect() as plain, contextlib.suppress(ConnectionError):
            plain.sendall(raw)
            plain.settimeout(2 * PATIENCE)
            with contextlib.suppress(TimeoutError):
                while data := plain.recv(65536):
                    received += data
        return received


def events(lines):
    """The chunks of an event stream, which must end with [DONE]."""
    for line in lines:
        if not line:
            continue
        assert line.startswith("data: "), line
        if line == "data: [DONE]":
            return
        yield json.loads(line.removeprefix("data: "))
    raise AssertionError("the stream ended without [DONE]")


def in_parallel(function, arguments, workers=16):
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        return list(pool.map(function, arguments))
