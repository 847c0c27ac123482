"""What the clients of the soak do: each kind of behaviour, well meant and not, and what must come of it."""

import collections
import contextlib
import dataclasses
import http.client
import json
import random
import selectors
import socket
import struct
import threading
import time

STORY = [{"role": "system", "content": "You are a creative writing assistant."},
         {"role": "user", "content": "Write a short story about the starwars franchise"}]
CAPITAL = [{"role": "user", "content": "What is the capital of India?"}]
TASK = [{"role": "user", "content": "### Task:\nSuggest a title for the chat about starships."}]
# Long enough for several cache blocks; what follows differs.
PREFIX = [20 + 7 * i % 200 for i in range(150)]

BAD_BODIES = [b"", b"[1, 2]", b'{"messages": []}', b"[" * 10_000, b'{"messages": [{"role": "user"}]}',
              b'{"messages": [{"role": "user", "content": "Hi"}], "temperature": -1}', b"\xff\xfe",
              b'{"prompt": [99999999]}', b'{"messages": "x", "messages": []}', b'{"a": 1e999}']
GARBAGE = [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), b"GET / HTTP/9.9\r\n\r\n", b"\r\n\r\n\r\n",
           b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
           b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
           b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n", b"\0" * 5000, b"GET /health HTTP/1.1\r\nA: " + b"b" * 60_000]

# Actions that fail this often stop the run: the first faults tell what is wrong.
MAX_FAULTS = 20


class Fault(AssertionError):
    """A reply that broke a promise."""


def require(condition, text):
    if not condition:
        raise Fault(text)


@dataclasses.dataclass
class Plan:
    """What the traffic is told about the server, and how much of it there is."""
    port: int
    keys: list
    seed: int
    concurrency: int
    max_queued: int
    max_queue_time: float
    patience: float = 1.0
    expected: dict = dataclasses.field(default_factory=dict)  # name of a reference request: its answer


class Record:
    """What happened, from all threads."""

    def __init__(self):
        self.lock = threading.Lock()
        self.counts = collections.Counter()  # (kind, outcome)
        self.seconds = collections.defaultdict(list)  # "admitted", "refused", "probe"
        self.served = collections.Counter()  # key: requests served
        self.num_cached_tokens = 0
        self.faults = []

    def count(self, kind, outcome, key=None):
        with self.lock:
            self.counts[kind, outcome] += 1
            if outcome == "ok" and key:
                self.served[key] += 1

    def time(self, kind, seconds):
        with self.lock:
            self.seconds[kind].append(seconds)

    def cached(self, num_tokens):
        with self.lock:
            self.num_cached_tokens += num_tokens

    def fault(self, text):
        with self.lock:
            self.faults.append(text[:600])

    def merge(self, other):
        self.counts += other.counts
        self.served += other.served
        self.num_cached_tokens += other.num_cached_tokens
        self.faults += other.faults


def reference_requests():
    """Requests whose answers must be the same, to the last bit of the logprobs, whatever else goes on."""
    requests = {}
    for i in range(4):
        requests[f"shared-{i}"] = dict(prompt=PREFIX + [30 + i, 40, 50 + i], max_tokens=16, temperature=0, logprobs=2,
                                       ignore_eos=True)
    requests["short"] = dict(prompt=[21, 34, 55, 89], max_tokens=24, temperature=0, logprobs=1, ignore_eos=True)
    requests["seeded"] = dict(prompt=PREFIX[:40], max_tokens=24, temperature=0.9, top_p=0.9, seed=1234, ignore_eos=True)
    requests["choices"] = dict(prompt=PREFIX[:70], max_tokens=12, temperature=1.1, seed=99, n=3, ignore_eos=True)
    return requests


def answer_of(reply):
    return sorted((choice["index"], choice["text"], json.dumps(choice.get("logprobs"), sort_keys=True))
                  for choice in reply["choices"])


class Worker:
    """One client thread: sends one random request after another until the time is over."""

    def __init__(self, plan, record, index):
        self.plan = plan
        self.record = record
        self.index = index
        self.rng = random.Random(f"{plan.seed}-{index}")
        self.key = plan.keys[index % len(plan.keys)]
        self.connection = None
        self.burst_lock = None
        self.kinds = [(self.whole, 6), (self.stream, 8), (self.leave, 8), (self.read_slowly, 1), (self.nonsense, 2),
                      (self.garbage, 1), (self.reference, 8), (self.completion, 3), (self.background, 3), (self.probe, 1),
                      (self.half_open, 1), (self.big_body, 1), (self.wrong_key, 1), (self.expects, 1),
                      (self.pipelined, 1), (self.burst, 1)]

    def run(self, deadline):
        actions, weights = zip(*self.kinds)
        number = 0
        while time.monotonic() < deadline and len(self.record.faults) < MAX_FAULTS:
            number += 1
            action = self.rng.choices(actions, weights)[0]
            try:
                outcome = action(self.rng)
                self.record.count(action.__name__, outcome, self.key)
                if outcome in ("refused", "expired"):
                    time.sleep(self.rng.random() * 0.5)
            except (Fault, OSError, http.client.HTTPException, KeyError, ValueError, IndexError) as error:
                self.close()
                self.record.count(action.__name__, "FAILED")
                self.record.fault(f"seed {self.plan.seed} worker {self.index} action {number} {action.__name__}: "
                                  f"{type(error).__name__}: {error}")
        self.close()

    # --- how a request is sent ------------------------------------------------------------------

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def timeout(self):
        return (self.plan.max_queue_time + 60) * self.plan.patience

    def head(self, body, path="/v1/chat/completions", extra=""):
        return (f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self.key}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n{extra}\r\n").encode()

    def plain(self, receive_buffer=None):
        plain = socket.socket()
        if receive_buffer:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        plain.settimeout(self.timeout())
        plain.connect(("127.0.0.1", self.plan.port))
        return plain

    def open(self, method, path, body=None, headers=None):
        """Sends on the worker's own connection; a kept connection that has ended meanwhile is replaced once."""
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json", **(headers or {})}
        for attempt in range(2):
            fresh = self.connection is None
            if fresh:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.plan.port, timeout=self.timeout())
            try:
                self.connection.request(method, path, body, headers)
                return self.connection.getresponse()
            except (ConnectionError, http.client.BadStatusLine):
                self.close()
                if fresh or attempt:
                    raise
        raise AssertionError("unreachable")

    def call(self, path, body, headers=None):
        """(status, JSON, seconds)."""
        began = time.monotonic()
        reply = self.open("POST", path, body if isinstance(body, bytes) else json.dumps(body).encode(), headers)
        text = reply.read()
        seconds = time.monotonic() - began
        if reply.status == 429:
            self.check_refusal(reply.getheader("Retry-After"), json.loads(text), seconds)
        elif reply.status == 200:
            self.record.time("admitted", seconds)
        return reply.status, json.loads(text), seconds

    def check_refusal(self, retry_after, body, seconds):
        require(retry_after is not None and 1 <= int(retry_after) <= 3600, f"Retry-After is {retry_after!r}")
        require(body["error"]["code"] == 429 and body["error"]["message"], f"429 with {body}")
        if not self.waited_in_vain(seconds):
            self.record.time("refused", seconds)

    def waited_in_vain(self, seconds):
        """Whether a 429 after so long is the end of a wait rather than a refusal at the door."""
        return seconds >= 0.9 * self.plan.max_queue_time

    def outcome(self, status, seconds):
        if status == 429:
            return "expired" if self.waited_in_vain(seconds) else "refused"
        require(status == 200, f"status {status}")
        return "ok"

    def chat_options(self, rng):
        return dict(messages=rng.choice([CAPITAL, STORY]), max_tokens=rng.randrange(1, 120),
                    temperature=rng.choice([0, 0.7, 1.2]), n=rng.choice([1, 1, 1, 2, 4]),
                    ignore_eos=rng.random() < 0.3)

    # --- clients that mean well -----------------------------------------------------------------

    def whole(self, rng):
        options = self.chat_options(rng)
        status, reply, seconds = self.call("/v1/chat/completions", options)
        if status == 200:
            self.check_whole(options, reply)
        return self.outcome(status, seconds)

    def check_whole(self, options, reply):
        require(len(reply["choices"]) == options.get("n", 1), f"{len(reply['choices'])} choices")
        require(all(choice["finish_reason"] in ("stop", "length") for choice in reply["choices"]), f"{reply}")

    def stream(self, rng):
        options = self.chat_options(rng)
        began = time.monotonic()
        reply = self.open("POST", "/v1/chat/completions", json.dumps({**options, "stream": True}).encode())
        if reply.status == 429:
            seconds = time.monotonic() - began
            self.check_refusal(reply.getheader("Retry-After"), json.loads(reply.read()), seconds)
            return self.outcome(429, seconds)
        require(reply.status == 200, f"status {reply.status}")
        ends, last = [], None
        while line := reply.readline():
            line = line.strip()
            if not line:
                continue
            require(line.startswith(b"data: "), f"line {line[:80]!r}")
            last = line
            if line != b"data: [DONE]":
                chunk = json.loads(line[6:])
                require("choices" in chunk, f"{chunk}")
                ends += [part["finish_reason"] for part in chunk["choices"] if part["finish_reason"]]
        require(last == b"data: [DONE]", "the stream ended without [DONE]")
        require(len(ends) == options["n"] and set(ends) <= {"stop", "length"}, f"ends {ends}")
        self.record.time("admitted", time.monotonic() - began)
        return "ok"

    def completion(self, rng):
        prompt = [rng.randrange(10, 200) for _ in range(rng.randrange(1, 300))]
        num_tokens = rng.randrange(1, 60)
        status, reply, seconds = self.call("/v1/completions", dict(prompt=prompt, max_tokens=num_tokens, ignore_eos=True))
        if status == 200:
            require(reply["usage"]["completion_tokens"] == num_tokens, f"usage {reply['usage']}")
        return self.outcome(status, seconds)

    def reference(self, rng):
        name, request = rng.choice(sorted(reference_requests().items()))
        status, reply, seconds = self.call("/v1/completions", request)
        if status == 200:
            require(answer_of(reply) == self.plan.expected[name], f"{name}: the answer has changed: {answer_of(reply)} "
                                                                  f"instead of {self.plan.expected[name]}")
            details = reply["usage"].get("prompt_tokens_details") or {}
            self.record.cached(details.get("cached_tokens") or 0)
        return self.outcome(status, seconds)

    def background(self, rng):
        headers = {"X-Pagoda-Priority": "background"} if rng.random() < 0.5 else {}
        options = dict(messages=STORY if headers else TASK, max_tokens=rng.randrange(20, 100), ignore_eos=True)
        status, reply, seconds = self.call("/v1/chat/completions", options, headers)
        if status == 200:
            self.check_whole(options, reply)
        return self.outcome(status, seconds)

    def probe(self, rng):
        for path in ("/health", "/metrics", "/v1/models"):
            began = time.monotonic()
            reply = self.open("GET", path)
            reply.read()
            require(reply.status == 200, f"{path}: status {reply.status}")
            self.record.time("probe", time.monotonic() - began)
        return "ok"

    def expects(self, rng):
        body = json.dumps(dict(messages=CAPITAL, max_tokens=1)).encode()
        with self.plain() as plain:
            plain.sendall(self.head(body, extra="Expect: 100-continue\r\nConnection: close\r\n"))
            first = plain.recv(4096)
            if first.startswith(b"HTTP/1.1 429"):
                return "refused"
            require(first.startswith(b"HTTP/1.1 100"), f"{first[:60]!r}")
            plain.sendall(body)
            status = self.status_of(plain)
        require(status in (200, 429), f"status {status}")
        return "ok" if status == 200 else "refused"

    def pipelined(self, rng):
        one = f"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self.key}\r\n"
        with self.plain() as plain:
            plain.sendall((one + "\r\n").encode() * 3 + (one + "Connection: close\r\n\r\n").encode())
            received = self.read_all(plain)
        require(received.count(b"HTTP/1.1 200") == 4, f"{received[:200]!r}")
        return "ok"

    def status_of(self, plain):
        text = b""
        while b"\r\n" not in text:
            more = plain.recv(4096)
            require(more, f"closed after {text!r}")
            text += more
        return int(text.split(b" ", 2)[1])

    def read_all(self, plain):
        received = b""
        while more := plain.recv(65536):
            received += more
        return received

    # --- clients that leave, dawdle or talk nonsense --------------------------------------------

    def leave(self, rng):
        """In the body, in the queue, in the prompt, in the answer; streamed or not; politely or by a reset."""
        phase = rng.choice(["body", "queue", "prompt", "answer", "answer"])
        options = self.chat_options(rng) | dict(max_tokens=300, ignore_eos=True, stream=rng.random() < 0.5)
        path = "/v1/chat/completions"
        if phase == "prompt":
            path = "/v1/completions"
            options = dict(prompt=[rng.randrange(10, 200) for _ in range(400)], max_tokens=100, stream=options["stream"],
                           n=options["n"], ignore_eos=True)
        body = json.dumps(options).encode()
        with self.plain() as plain:
            plain.sendall(self.head(body, path) + (body[:-20] if phase == "body" else body))
            if phase == "answer":
                plain.settimeout(0.2 + rng.random())
                with contextlib.suppress(TimeoutError):
                    plain.recv(300)
            elif phase == "prompt":
                time.sleep(rng.random() * 0.05)
            if rng.random() < 0.3:  # with a reset instead of an end
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return "left"

    def read_slowly(self, rng):
        body = json.dumps(dict(messages=STORY, stream=True, n=8, max_tokens=200, ignore_eos=True)).encode()
        with self.plain(receive_buffer=4096) as plain:
            plain.sendall(self.head(body))
            plain.settimeout(0.5)  # a window this small may stay shut for seconds
            for _ in range(rng.randrange(1, 10)):
                with contextlib.suppress(TimeoutError):
                    if not plain.recv(512):
                        break
                time.sleep(0.2)
        return "left"

    def half_open(self, rng):
        body = json.dumps(dict(messages=CAPITAL, max_tokens=5)).encode()
        whole = self.head(body) + body
        with self.plain() as plain:
            plain.sendall(whole[:rng.randrange(0, len(whole))])
            if rng.random() < 0.5:
                plain.shutdown(socket.SHUT_WR)
            time.sleep(rng.random() * 2)
        return "left"

    def nonsense(self, rng):
        path = rng.choice(["/v1/chat/completions", "/v1/completions"])
        reply = self.open("POST", path, rng.choice(BAD_BODIES))
        text = reply.read()
        require(reply.status in (400, 429), f"status {reply.status}")
        require(json.loads(text)["error"]["message"], "an error without a message")
        return "ok"

    def garbage(self, rng):
        with self.plain() as plain:
            with contextlib.suppress(ConnectionError):
                plain.sendall(rng.choice(GARBAGE))
                plain.shutdown(socket.SHUT_WR)
                received = self.read_all(plain)
                require(not received.startswith(b"HTTP/1.1 200"), f"{received[:80]!r}")
        return "ok"

    def big_body(self, rng):
        """Far beyond what the model or the server takes. It may be refused, and cut off, before its end."""
        num_bytes = rng.choice([200_000, 2_000_000, 20_000_000])
        text = json.dumps(dict(messages=[{"role": "user", "content": "word " * (num_bytes // 5)}], max_tokens=1)).encode()
        began = time.monotonic()
        received = b""
        with self.plain() as plain, contextlib.suppress(ConnectionError):
            with contextlib.suppress(ConnectionError):
                plain.sendall(self.head(text, extra="Connection: close\r\n") + text)
            received = self.read_all(plain)
        require(time.monotonic() - began < 30 * self.plan.patience, "a body that cannot fit was refused slowly")
        if not received:
            return "cut off"
        require(received[9:12] in (b"400", b"413", b"429", b"503"), f"{received[:80]!r}")
        return "refused"

    def wrong_key(self, rng):
        reply = self.open("POST", "/v1/chat/completions", json.dumps(dict(messages=CAPITAL)).encode(),
                          {"Authorization": f"Bearer {self.key}x"})
        reply.read()
        require(reply.status == 401, f"status {reply.status}")
        return "ok"

    # --- overload ---------------------------------------------------------------------------------

    def burst(self, rng):
        """Ten times what the queue holds, at once; some leave again. One burst at a time."""
        if not self.burst_lock.acquire(blocking=False):
            return "skipped"
        try:
            return Burst(self, rng).run()
        finally:
            self.burst_lock.release()


class Burst:
    """Many requests on a connection each, driven by one thread."""

    def __init__(self, worker, rng):
        self.worker = worker
        self.rng = rng
        self.selector = selectors.DefaultSelector()
        body = json.dumps(dict(messages=CAPITAL, max_tokens=rng.choice([1, 10, 40]), ignore_eos=True)).encode()
        self.message = worker.head(body, extra="Connection: close\r\n") + body
        self.received = {}
        self.sent = {}
        self.leaves = {}

    def run(self):
        num_requests = 10 * self.worker.plan.max_queued
        try:
            for _ in range(num_requests):
                plain = self.worker.plain()
                self.received[plain] = [b"", 0.0]
                self.selector.register(plain, selectors.EVENT_READ)
                plain.sendall(self.message)
                plain.setblocking(False)
                self.sent[plain] = time.monotonic()
                if self.rng.random() < 0.2:
                    self.leaves[plain] = self.sent[plain] + self.rng.random() * 2
                self.pump(0)
            deadline = time.monotonic() + self.worker.timeout()
            while self.received:
                require(time.monotonic() < deadline, f"{len(self.received)} of a burst were never answered")
                self.pump(0.05)
        finally:
            for plain in list(self.received):
                self.forget(plain)
            self.selector.close()
        return "ok"

    def forget(self, plain):
        self.selector.unregister(plain)
        plain.close()
        del self.received[plain]

    def pump(self, timeout):
        for ready, _ in self.selector.select(timeout):
            plain = ready.fileobj
            try:
                data = plain.recv(65536)
            except BlockingIOError:
                continue
            state = self.received[plain]
            if not state[0]:
                state[1] = time.monotonic() - self.sent[plain]
            state[0] += data
            if not data:
                self.forget(plain)
                self.judge(state[0], state[1], time.monotonic() - self.sent[plain])
        now = time.monotonic()
        for plain in [plain for plain, at in self.leaves.items() if at < now and plain in self.received]:
            self.forget(plain)
            self.worker.record.count("in a burst", "left")

    def judge(self, text, first_byte, seconds):
        head, _, body = text.partition(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1]) if head.startswith(b"HTTP/1.1 ") else 0
        record = self.worker.record
        if status == 429:
            retry_after = [line.split(b":")[1].strip().decode() for line in head.split(b"\r\n")
                           if line.lower().startswith(b"retry-after:")]
            self.worker.check_refusal(retry_after[0] if retry_after else None, json.loads(body), first_byte)
        elif status == 200:
            require(json.loads(body)["choices"][0]["finish_reason"] in ("stop", "length"), f"{body!r}")
            record.time("admitted", seconds)
        else:
            require(False, f"status {status} in a burst: {text[:200]!r}")
        record.count("in a burst", self.worker.outcome(status, first_byte))
