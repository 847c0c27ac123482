"""A Ray cluster of several raylets on loopback, and requests to what it serves."""

import concurrent.futures
import contextlib
import http.client
import json
import os
import pathlib
import secrets
import socket
import threading
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
# Replicas import the package in processes that Ray starts.
os.environ["PYTHONPATH"] = str(ROOT / "python")
os.environ.setdefault("PAGODA_BIN", str(ROOT / "build" / "release" / "pagoda"))
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_AUTH_MODE"] = "token"
os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)

SIMULATE = "ttft=50ms,itl=20ms"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Site:
    """The cluster, and clients of its proxy."""

    def __init__(self):
        import ray
        from ray import serve
        from ray.cluster_utils import Cluster

        self.ray, self.serve = ray, serve
        self.port, dashboard = free_port(), free_port()
        self.cluster = Cluster(initialize_head=True, head_node_args={
            "num_cpus": 2, "include_dashboard": True, "dashboard_port": dashboard, "object_store_memory": 100 << 20})
        self.cluster.add_node(num_cpus=2, object_store_memory=100 << 20)
        ray.init(address=self.cluster.address, log_to_driver=False)
        self.dashboard = f"http://127.0.0.1:{dashboard}"
        serve.start(proxy_location="HeadOnly", http_options={"host": "127.0.0.1", "port": self.port})

    def close(self):
        self.serve.shutdown()
        self.ray.shutdown()
        self.cluster.shutdown()

    def deploy(self, wait=True, **args):
        from pagoda.serve import build_app

        args = {"num_cpus": 0.1, "simulate": SIMULATE, "health_check_period_s": 2, **args}
        app = build_app(args)
        if wait:
            self.serve.run(app, name="default", route_prefix="/")
        else:
            self.serve._run(app, name="default", route_prefix="/", _blocking=False)

    def replicas(self, state="RUNNING"):
        deployment = self.serve.status().applications["default"].deployments["Pagoda"]
        return deployment.replica_states.get(state, 0)

    def connect(self, timeout=60):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def post(self, body, timeout=60):
        """Status and JSON of a completion; None for JSON where Serve itself refuses, in plain text."""
        with contextlib.closing(self.connect(timeout)) as connection:
            connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
            reply = connection.getresponse()
            is_json = (reply.headers["content-type"] or "").startswith("application/json")
            return reply.status, json.load(reply) if is_json else reply.read() and None

    def stream(self, tokens, seed, on_first=None):
        """What came of one streamed completion."""
        done = Stream()
        with contextlib.closing(self.connect(120)) as connection:
            body = {"prompt": f"stream {seed}", "max_tokens": tokens, "seed": seed, "stream": True}
            connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
            reply = connection.getresponse()
            done.status = reply.status
            for line in reply:
                if not line.startswith(b"data: "):
                    continue
                if line.startswith(b"data: [DONE]"):
                    done.done = True
                    continue
                event = json.loads(line[6:])
                if "error" in event:
                    done.errors.append((time.monotonic(), event["error"]))
                    continue
                done.fingerprint.append(event["choices"][0]["text"])
                if on_first is not None and len(done.fingerprint) == 1:
                    on_first()
            done.ended = time.monotonic()
        return done

    def streams(self, count, tokens):
        """Starts so many streams; returns when each has its first token."""
        pool = concurrent.futures.ThreadPoolExecutor(count)
        begun = threading.Semaphore(0)
        futures = [pool.submit(self.stream, tokens, seed, begun.release) for seed in range(count)]
        for _ in range(count):
            assert begun.acquire(timeout=60), [f.exception() for f in futures if f.done()]
        pool.shutdown(wait=False)
        return futures


class Stream:
    def __init__(self):
        self.status, self.done, self.errors, self.fingerprint, self.ended = 0, False, [], [], 0.0

    @property
    def text(self):
        return "".join(self.fingerprint)

    @property
    def whole(self):
        return self.status == 200 and self.done and not self.errors


def processes(marker):
    """Ids of living processes of these tests whose command line has `marker`."""
    found = []
    for folder in pathlib.Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with contextlib.suppress(OSError, IndexError):
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            environment = (folder / "environ").read_bytes()
            alive = (folder / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
            if marker in command and os.environ["RAY_AUTH_TOKEN"].encode() in environment and alive:
                found.append(int(folder.name))
    return found


def engines():
    return processes(" serve --config ")


def parent_of(pid):
    return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def wait_for(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def site():
    the_site = Site()
    yield the_site
    the_site.close()
    wait_for(lambda: not engines(), 5, "no engine outlives the cluster")
