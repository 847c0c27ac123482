"""The server among hostile, slow and careless clients: TLS, limits, memory, hosts, keys, a prompt end."""

import contextlib
import json
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time

import httpx
import pytest

import harness
from harness import CAPITAL, PATIENCE, STORY, Server, in_parallel
from test_life_of_a_server import large_model  # noqa: F401 (a fixture)

MIB = 1 << 20


def rss(server):
    """Resident memory of the server, in bytes."""
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


def wait_until(condition, seconds=20):
    deadline = time.monotonic() + seconds * PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def refusals(server, reason, name="pagoda_requests_refused_total"):
    return server.metric(name, f'reason="{reason}"') or 0


# --- TLS --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """(certificate, key), made by openssl for localhost and 127.0.0.1."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl program")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", folder / "key.pem",
                    "-out", folder / "cert.pem"], check=True, capture_output=True)
    return folder / "cert.pem", folder / "key.pem"


class SecureServer(Server):
    def __init__(self, certificate, *flags):
        super().__init__("--ssl-certfile", certificate[0], "--ssl-keyfile", certificate[1], *flags, wait=False)
        self.url = self.url.replace("http://", "https://")
        self.trust = ssl.create_default_context(cafile=certificate[0])
        self.http.close()
        self.http = httpx.Client(base_url=self.url, timeout=60 * PATIENCE, verify=self.trust)
        self.wait_ready()

    def connect(self, receive_buffer=None):
        return self.trust.wrap_socket(super().connect(receive_buffer), server_hostname="127.0.0.1")


def test_tls_answers_streams_and_notices_a_client_that_leaves(certificate):
    with SecureServer(certificate) as server:
        assert "New Delhi" in server.answer(CAPITAL)
        assert "New Delhi" in server.streamed_answer(CAPITAL)
        assert f"listening on {server.url}" in server.log()
        assert server.http.post("/tokenize", json={"prompt": "word " * 20_000}).status_code == 200

        leaving = server.connect()
        server.send_chat(leaving, STORY, n=8, max_tokens=400, ignore_eos=True)
        wait_until(lambda: server.load()[0] > 0)
        leaving.close()
        server.wait_idle()
        assert server.num_aborted() > 0

        with socket.create_connection(("127.0.0.1", server.port)) as plain:
            plain.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b"HTTP/1.1 200" not in plain.recv(1000)
        wait_until(lambda: refusals(server, "tls_handshake", "pagoda_connections_refused_total") >= 1)


def test_the_last_word_over_tls_is_close_notify(certificate):
    with SecureServer(certificate) as server, server.connect() as secure:
        secure.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        received = b""
        while data := secure.recv(4096):  # a cut connection would raise here
            received += data
        assert received.endswith(b'{"status":"ok"}')


def test_wrong_tls_files_end_the_start_and_are_named(certificate, tmp_path):
    junk = tmp_path / "junk.pem"
    junk.write_text("junk")
    cert, key = certificate
    for flags, named in [(("--ssl-certfile", cert), "ssl-keyfile"), (("--ssl-keyfile", key), "ssl-certfile"),
                         (("--ssl-certfile", junk, "--ssl-keyfile", key), str(junk)),
                         (("--ssl-certfile", cert, "--ssl-keyfile", junk), str(junk)),
                         (("--ssl-certfile", cert, "--ssl-keyfile", tmp_path / "none"), str(tmp_path / "none"))]:
        done = harness.run_pagoda("serve", harness.MODEL, "--host", "127.0.0.1", "--port", harness.free_port(), *flags)
        harness.assert_fails_clearly(done, named)


# --- connections and memory -------------------------------------------------------------------------


def test_connections_beyond_the_limits_are_told_so():
    with Server("--max-connections-per-address", "4") as server:
        server.http.close()
        server.http = httpx.Client(base_url=server.url)
        held = [server.connect() for _ in range(3)]
        assert server.health() == 200
        refused = httpx.get(f"{server.url}/health")
        assert refused.status_code == 503 and refused.headers["retry-after"] == "1"
        for plain in held:
            plain.close()
        wait_until(lambda: server.health() == 200)
        assert httpx.get(f"{server.url}/health").status_code == 200


def test_memory_of_large_bodies_is_given_back():
    with Server() as server:
        # Much JSON for its size, and refused only when all of it has been parsed.
        numbers = json.dumps({"prompt": [0] * (8 * MIB // 3), "max_tokens": 1, "temperature": -1}).encode()
        text = json.dumps({"messages": [{"role": "user", "content": "word " * (8 * MIB // 5)}]}).encode()
        server.answer(CAPITAL)
        before = rss(server)

        def post(i):
            body, path = (numbers, "completions") if i % 2 else (text, "chat/completions")
            return httpx.post(f"{server.url}/v1/{path}", content=body, timeout=120 * PATIENCE).status_code

        assert set(in_parallel(post, range(40), workers=8)) == {400}
        wait_until(lambda: rss(server) < before + 64 * MIB)
        state = server.http.get("/debug/state").json()["server"]
        assert state["body_memory_bytes"] == 0 and state["num_bodies_waiting"] == 0


def test_a_body_for_which_there_is_no_memory_is_a_503_and_small_ones_are_served():
    with Server("--max-body-memory", "8MiB") as server:
        plain = server.connect()
        plain.sendall(b"POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Length: 7000000\r\n\r\n" + b" " * 6_500_000)
        wait_until(lambda: server.http.get("/debug/state").json()["server"]["body_memory_bytes"] > 6_000_000)
        refused = httpx.post(f"{server.url}/tokenize", content=b" " * 4_000_000)
        assert refused.status_code == 503 and refused.headers["retry-after"] == "1"
        assert "New Delhi" in server.answer(CAPITAL)
        plain.close()
        wait_until(lambda: server.http.get("/debug/state").json()["server"]["body_memory_bytes"] == 0)
        assert refusals(server, "body_memory") == 1
        assert httpx.post(f"{server.url}/tokenize", content=b" " * 4_000_000).status_code == 400


def test_ordinary_prompts_do_not_wait_for_heavy_bodies():
    with Server() as server:
        heavy = json.dumps({"prompt": [0] * (12 * MIB // 3), "max_tokens": 1, "temperature": -1}).encode()
        over = threading.Event()

        def keep_posting(_):
            while not over.is_set():
                httpx.post(f"{server.url}/v1/completions", content=heavy, timeout=120 * PATIENCE)

        threads = [threading.Thread(target=keep_posting, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        wait_until(lambda: server.http.get("/debug/state").json()["server"]["num_bodies_waiting"] > 0)
        times = []
        for _ in range(20):
            began = time.monotonic()
            assert server.post("/tokenize", prompt="word " * 4000).status_code == 200
            times.append(time.monotonic() - began)
        over.set()
        for thread in threads:
            thread.join()
        # A single heavy body takes a second or so.
        assert sorted(times)[10] < 0.25 * PATIENCE, times


# --- slow clients -----------------------------------------------------------------------------------


def test_slow_senders_get_a_408_and_idle_connections_are_closed():
    with Server("--read-timeout", "1", "--idle-timeout", "0.5") as server:
        for start in (b"GET /health HTTP/1.1\r\nX: ", b"POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n"):
            with server.connect() as plain:
                began = time.monotonic()
                plain.sendall(start)
                received = b""
                plain.settimeout(0.2)
                while not received and time.monotonic() - began < 10 * PATIENCE:
                    with contextlib.suppress(TimeoutError):
                        received = plain.recv(4096)
                    if not received:
                        plain.sendall(b"a")  # a trickle
                assert received.startswith(b"HTTP/1.1 408"), received
                assert 0.9 < time.monotonic() - began < 5 * PATIENCE
        with server.connect() as idle:
            began = time.monotonic()
            assert idle.recv(1) == b""
            assert 0.4 < time.monotonic() - began < 5 * PATIENCE
        assert refusals(server, "slow") == 2


def test_a_client_that_does_not_read_its_stream_is_let_go():
    with Server("--write-timeout", "0.5") as server:
        plain = server.connect(receive_buffer=2048)
        # Logprobs make the stream large, so that no socket buffer holds it.
        server.send_chat(plain, STORY, n=16, max_tokens=400, ignore_eos=True, stream=True, logprobs=True,
                         top_logprobs=20)
        wait_until(lambda: server.load()[0] > 0)
        wait_until(lambda: server.load() == (0, 0, 0), seconds=60)
        assert server.num_aborted() == 16 or "slow_reader" in server.log() or "write_timeout" in server.log()
        assert "New Delhi" in server.answer(CAPITAL)
        plain.close()


def test_a_half_closed_client_is_gone_unless_it_is_allowed():
    def ask(server, plain):
        server.send_chat(plain, CAPITAL, max_tokens=20, temperature=0)
        plain.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError):
            return b"".join(iter(lambda: plain.recv(65536), b""))

    with Server() as server, server.connect() as plain:
        assert not ask(server, plain)
        server.wait_idle()
    with Server("--allow-half-close") as server, server.connect() as plain:
        assert b"New Delhi" in ask(server, plain)


def test_sizes_of_headers_and_bodies_are_what_the_flags_say():
    with Server("--max-body-size", "1000", "--max-header-size", "2000") as server:
        assert server.http.post("/tokenize", content=b" " * 1001).status_code == 413
        assert server.http.post("/tokenize", content=b" " * 1000).status_code == 400
        assert server.http.get("/health", headers={"X": "a" * 2000}).status_code == 431
        assert (refusals(server, "body_size"), refusals(server, "header_size")) == (1, 1)


def test_json_is_read_64_deep_and_no_deeper(server):
    for depth, wanted in ((63, 200), (64, 400), (100_000, 400)):
        body = '{"model": null, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1, "metadata": ' + \
            "[" * depth + "]" * depth + "}"
        assert server.http.post("/v1/chat/completions", content=body).status_code == wanted, depth


# --- who may ask ------------------------------------------------------------------------------------


def test_a_page_under_another_name_gets_nothing_from_a_loopback_server(server):
    for host, wanted in (("localhost", 200), ("127.0.0.1:1", 200), ("[::1]", 200), ("evil.example", 421)):
        assert server.http.get("/v1/models", headers={"Host": host}).status_code == wanted, host
    with Server("--allowed-hosts", "pagoda.example", "--allowed-hosts", "127.0.0.1") as other:
        assert other.http.get("/v1/models", headers={"Host": "pagoda.example:80"}).status_code == 200
        assert other.http.get("/v1/models", headers={"Host": "localhost"}).status_code == 421
    with Server("--allowed-hosts", "*") as any_host:
        assert any_host.http.get("/v1/models", headers={"Host": "evil.example"}).status_code == 200


def test_keys_come_from_a_file_too_and_the_admin_key_opens_the_state(tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("# two teams\nteam-a\nteam-b\n")
    with Server("--api-key-file", keys, "--api-key", "team-c", "--admin-key", "boss") as server:
        def status(path, key):
            return server.http.get(path, headers={"Authorization": f"Bearer {key}"}).status_code

        assert [status("/v1/models", key) for key in ("team-a", "team-b", "team-c", "team-d", "boss")] == \
            [200, 200, 200, 401, 401]
        assert [status("/debug/state", key) for key in ("team-a", "boss")] == [403, 200]
        state = server.http.get("/debug/state", headers={"X-Api-Key": "boss"}).text
        assert json.loads(state)["server"]["settings"]["num_api_keys"] == 3
        assert "team-" not in state + server.log() and "boss" not in state + server.log()
    missing = harness.run_pagoda("serve", harness.MODEL, "--api-key-file", tmp_path / "none")
    harness.assert_fails_clearly(missing, str(tmp_path / "none"))


def test_the_state_shows_requests_and_no_text(server):
    plain = server.connect()
    server.send_chat(plain, STORY, n=4, max_tokens=400, ignore_eos=True)
    wait_until(lambda: server.http.get("/debug/state").json()["engine"]["requests"])
    text = server.http.get("/debug/state").text
    plain.close()
    assert "starwars" not in text
    request = json.loads(text)["engine"]["requests"][0]
    assert request["num_choices"] == 4 and request["priority"] == "interactive"
    server.wait_idle()


# --- the end ----------------------------------------------------------------------------------------


def test_a_second_signal_ends_the_server_within_a_second_even_in_a_long_step(large_model):  # noqa: F811
    server = Server("--max-model-len", "2048", "--max-num-batched-tokens", "2048", "--num-gpu-blocks-override", "200",
                    model=large_model)
    plain = server.connect()
    body = json.dumps({"prompt": [5] * 2000, "max_tokens": 5, "stream": True}).encode()
    plain.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
                  + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
    wait_until(lambda: server.http.get("/debug/state").json()["engine"]["step_running_s"] > 0.1)
    server.terminate()
    wait_until(lambda: server.health() in (503, None))
    began = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    assert b"503" in plain.recv(65536)
    assert server.wait_end(30) == 0
    assert time.monotonic() - began < 1.5 * PATIENCE
    plain.close()
