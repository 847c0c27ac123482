"""The promises of docs/promises.md through the front door: same answer always, nothing lost, never overloaded."""

import contextlib
import itertools
import json
import os
import pathlib
import resource
import signal
import struct
import threading
import time

import pytest

import harness
from harness import CAPITAL, STORY, Server, ask

BLOCK = 16
# Token ids that the demo model reads as text of some kind; the second half of each prompt differs.
LONG = [20 + 11 * i % 300 for i in range(1000)]


UNUSED = itertools.count()


def complete(server, prompt, headers=None, **options):
    options = {"max_tokens": 24, "temperature": 0, "logprobs": 2, "ignore_eos": True, **options}
    reply = server.http.post("/v1/completions", json={"prompt": prompt, **options}, headers=headers)
    assert reply.status_code == 200, reply.text
    return reply.json()


def content(reply):
    """All that must be equal: text, tokens, every digit of the logprobs."""
    return [(choice["text"], choice["logprobs"], choice["finish_reason"]) for choice in reply["choices"]]


def num_cached(reply):
    return reply["usage"]["prompt_tokens_details"]["cached_tokens"]


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


def engine_state(server):
    """Taken after this call: under load the engine shows its state ten times a second."""
    began = time.monotonic()
    while True:
        reply = server.http.get("/debug/state")
        assert reply.status_code == 200, reply.text
        state = reply.json()["engine"]
        if state["age_s"] < time.monotonic() - began or server.load() == (0, 0, 0):
            return state
        time.sleep(0.01)


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds * harness.PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


def assert_all_ended(server):
    """Idle, every block free, and each accepted request has ended once."""
    server.wait_idle()
    wait_for(lambda: not engine_state(server)["requests"])
    stats = engine_state(server)["stats"]
    assert stats["num_accepted_requests"] == stats["num_finished_requests"]
    assert stats["num_free_blocks"] == stats["num_total_blocks"]


@contextlib.contextmanager
def busy(server, *, tokens=1900, headers=None, **options):
    """Somebody whose answer takes long holds the server; gives the socket."""
    with server.connect() as plain:
        body = json.dumps({"messages": STORY, "stream": True, "max_tokens": tokens, "ignore_eos": True,
                           **options}).encode()
        lines = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        plain.sendall(f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{lines}"
                      f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        assert plain.recv(1000).startswith(b"HTTP/1.1 200")
        yield plain


# --- same answer always -----------------------------------------------------------------------------

REQUESTS = [dict(prompt=LONG[:200] + [7 + i]) for i in range(4)] + [
    dict(prompt=LONG[i:i + 40], temperature=0.9, seed=i, n=2) for i in range(4)]


@pytest.fixture(scope="module")
def expected(server):
    """Each request alone, without a cache."""
    with Server("--enable-prefix-caching", "false") as plain:
        return [content(complete(plain, **request)) for request in REQUESTS]


@pytest.mark.parametrize("flags", [
    [], ["--max-num-batched-tokens", "7"], ["--max-num-batched-tokens", "64", "--threads", "1"],
    ["--threads", "2", "--enable-prefix-caching", "false"], ["--threads", "3", "--max-num-seqs", "3"],
    ["--num-gpu-blocks-override", "24", "--max-model-len", "384"]], ids=" ".join)
def test_answers_are_equal_to_the_last_digit_whatever_the_server_does_besides(expected, flags):
    """Together, alone, chunked, cached, short of cache, on 1 to 3 threads."""
    with Server(*flags, env={"PAGODA_CHECK": "1"}) as other:
        together = harness.in_parallel(lambda request: content(complete(other, **request)), REQUESTS * 2, workers=16)
        assert together == expected * 2
        assert [content(complete(other, **request)) for request in REQUESTS] == expected
        assert_all_ended(other)


@pytest.mark.parametrize("isa", ["scalar", "avx2", "avx512", "amx", "neon", "neon-dotprod"])
def test_each_instruction_set_gives_one_answer(isa):
    if harness.run_pagoda("info", env={"PAGODA_CPU_ISA": isa}).returncode != 0:
        assert isa != "scalar"
        pytest.skip(f"this machine runs no {isa}")
    requests = [dict(prompt=LONG[i:i + 40], max_tokens=6) for i in range(4)]
    with Server("--max-num-batched-tokens", "23", env={"PAGODA_CPU_ISA": isa}) as server:
        alone = [content(complete(server, **request)) for request in requests]
        together = harness.in_parallel(lambda request: content(complete(server, **request)), requests)
        assert together == alone


def test_a_shared_prefix_is_computed_once(server):
    with Server("--enable-prefix-caching", "false") as plain:
        wanted = content(complete(plain, LONG + [5, 6, 7]))
        assert num_cached(complete(plain, LONG + [5, 6, 7])) == 0
    with Server() as fresh:
        first = complete(fresh, LONG + [8, 9])
        assert num_cached(first) == 0
        computed = engine_state(fresh)["stats"]["num_prompt_tokens"]
        second = complete(fresh, LONG + [5, 6, 7])
        assert num_cached(second) >= len(LONG) - BLOCK
        # At most its own suffix and one block: the promise, by the engine's own counter.
        assert engine_state(fresh)["stats"]["num_prompt_tokens"] - computed <= 3 + BLOCK
        assert content(second) == wanted
        again = complete(fresh, LONG + [5, 6, 7])
        assert num_cached(again) >= len(LONG) - BLOCK
        assert content(again) == wanted
        assert_all_ended(fresh)


def test_a_conversation_goes_on_where_it_stopped(server):
    messages = list(STORY)
    first = server.chat(messages, temperature=0, max_tokens=100, ignore_eos=True)
    messages += [first["choices"][0]["message"], {"role": "user", "content": "And then?"}]
    second = server.chat(messages, temperature=0, max_tokens=10)
    # The answer was computed too, but for its last token.
    assert num_cached(second) >= first["usage"]["prompt_tokens"] + 100 - 2 * BLOCK


def test_keys_share_no_prefix():
    with Server("--api-key", "one", "--api-key", "two") as server:
        wanted = content(complete(server, LONG, bearer("one")))
        assert num_cached(complete(server, LONG, bearer("one"))) > 0
        other = complete(server, LONG, bearer("two"))
        assert num_cached(other) == 0
        assert content(other) == wanted


def block_files(folder):
    return [path for path in pathlib.Path(folder).rglob("*.kv")]


def test_the_cache_survives_a_restart_and_damage_to_it_only_costs_time(tmp_path):
    flags = ["--prefix-cache-dir", tmp_path / "cache", "--prefix-cache-disk-space", "256M"]
    with Server(*flags) as server:
        wanted = content(complete(server, LONG))
    files = block_files(tmp_path)
    assert len(files) >= len(LONG) // BLOCK - 1
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)
    server = Server(*flags)
    second = complete(server, LONG)
    assert num_cached(second) >= 10 * BLOCK  # usually all; one step reads for 50 ms at most
    assert content(second) == wanted
    server.process.kill()  # nothing half written is ever believed
    server.wait_end()
    with Server(*flags) as server:
        third = complete(server, LONG)
        assert num_cached(third) >= 10 * BLOCK
        assert content(third) == wanted
    for path in block_files(tmp_path):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    with Server(*flags) as server:
        fourth = complete(server, LONG)
        assert num_cached(fourth) == 0
        assert content(fourth) == wanted


def test_a_disk_that_cannot_be_written_costs_no_request(tmp_path):
    with Server("--prefix-cache-dir", tmp_path / "cache") as server:
        wanted = content(complete(server, LONG))
        # Less than a block, and more than the log of this test.
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (16_000, resource.RLIM_INFINITY))
        files = len(block_files(tmp_path))
        for i in range(3):
            assert content(complete(server, LONG[100 * i + 1:]))
        assert content(complete(server, LONG)) == wanted
        assert "prefix_cache_disk_refused" in server.log()
    assert len(block_files(tmp_path)) <= files + 1


# --- nothing lost ---------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def narrow():
    """Two places, the smallest chunks: a prompt takes many times the 100 ms between two looks at the state."""
    with Server("--max-num-seqs", "2", "--max-num-batched-tokens", "2", env={"PAGODA_CHECK": "1"}) as server:
        yield server


@pytest.mark.parametrize("options", [
    dict(max_tokens=1000), dict(max_tokens=1000, stream=True), dict(max_tokens=1000, n=4),
    dict(max_tokens=1000, n=4, stream=True)], ids=["whole", "stream", "whole n=4", "stream n=4"])
@pytest.mark.parametrize("phase", ["queued", "prompt", "answer"])
def test_a_client_that_leaves_frees_everything_within_a_step(narrow, phase, options):
    # A prompt that no test has had before, or the cache would know it.
    prompt = [400 + next(UNUSED)] + LONG if phase == "prompt" else LONG[:20]
    body = json.dumps(dict(prompt=prompt, ignore_eos=True, **options)).encode()
    with contextlib.ExitStack() as stack:
        if phase == "queued":
            holders = [stack.enter_context(busy(narrow)) for _ in range(2)]
        before = engine_state(narrow)["stats"]
        with narrow.connect() as plain:
            plain.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                          + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)

            def mine():
                requests = engine_state(narrow)["requests"]
                newest = max(requests, key=lambda request: request["id"], default=None)
                accepted = engine_state(narrow)["stats"]["num_accepted_requests"] > before["num_accepted_requests"]
                return newest if accepted else None

            def in_phase():
                request = mine()
                if request is None:
                    return False
                if phase == "queued":
                    return not request["started"]
                return request["started"] and (request["num_output_tokens"] > 0) == (phase == "answer")

            wait_for(in_phase)
        wait_for(lambda: engine_state(narrow)["stats"]["num_finished_requests"] > before["num_finished_requests"], 2)
        if phase == "queued":
            for plain in holders:  # nobody else was touched
                assert plain.recv(1000)
    assert_all_ended(narrow)
    after = engine_state(narrow)["stats"]
    # It was far from done: what it had asked for was not computed.
    assert after["num_generation_tokens"] - before["num_generation_tokens"] < 4000


def test_a_killed_server_serves_at_its_next_start(server, tmp_path):
    """kill -9 in the middle of work; the next start serves at once, on the same port."""
    victim = Server("--prefix-cache-dir", tmp_path)
    wanted = server.answer(CAPITAL)
    with contextlib.suppress(Exception):
        chunks = victim.stream(STORY, max_tokens=1500, ignore_eos=True)
        next(chunks)
        victim.process.kill()
        list(chunks)
    victim.process.kill()
    victim.wait_end()
    with Server("--prefix-cache-dir", tmp_path) as next_one:
        assert next_one.answer(CAPITAL) == wanted


def test_sigterm_turns_health_unready_at_once_and_what_runs_ends_well():
    with Server() as server:
        chunks = server.stream(STORY, n=8, max_tokens=400, ignore_eos=True)
        next(chunks)
        with server.connect() as probe:
            probe.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert probe.recv(1000).startswith(b"HTTP/1.1 200")
            server.terminate()
            wait_for(lambda: "drain" in server.log(), 5)
            with contextlib.suppress(ConnectionError):
                probe.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert probe.recv(1000)[:12] in (b"HTTP/1.1 503", b"")
        ends = [part["finish_reason"] for chunk in chunks for part in chunk["choices"] if part["finish_reason"]]
        assert ends == ["length"] * 8
        assert server.wait_end() == 0


# --- never overloaded -------------------------------------------------------------------------------

def test_a_full_queue_refuses_quickly_and_before_any_work():
    with Server("--max-num-seqs", "1", "--max-num-queued-requests", "2") as server:
        with busy(server, n=8):
            queued = [threading.Thread(target=server.answer, args=(STORY,), kwargs=dict(max_tokens=1)) for _ in range(2)]
            for thread in queued:
                thread.start()
            wait_for(lambda: len(engine_state(server)["requests"]) == 3)
            before = engine_state(server)["stats"]
            times = []
            for _ in range(50):
                began = time.monotonic()
                reply = server.post("/v1/completions", prompt=LONG, max_tokens=1)
                times.append(time.monotonic() - began)
                assert reply.status_code == 429
                assert int(reply.headers["retry-after"]) >= 1
                assert reply.json()["error"]["code"] == 429
            assert sorted(times)[25] < 0.1 * harness.PATIENCE
            after = engine_state(server)["stats"]
            assert after["num_accepted_requests"] == before["num_accepted_requests"]
            assert after["num_prompt_tokens"] == before["num_prompt_tokens"]
        for thread in queued:  # their places were kept
            thread.join()
        assert_all_ended(server)


def test_queued_prompt_tokens_are_limited_too_but_never_for_a_lone_request():
    with Server("--max-num-seqs", "1", "--max-num-queued-tokens", "1500") as server:
        assert complete(server, LONG + LONG[:800], max_tokens=1)  # alone: taken, whatever its size
        statuses = []

        def ask_long():
            statuses.append(server.post("/v1/completions", prompt=LONG, max_tokens=1).status_code)

        with busy(server, n=8):
            first = threading.Thread(target=ask_long)
            first.start()
            wait_for(lambda: len(engine_state(server)["requests"]) == 2)
            ask_long()
            assert statuses == [429]
        first.join()
        assert statuses == [429, 200]


def test_a_wait_ends_with_429_after_the_queue_time():
    with Server("--max-num-seqs", "1", "--max-queue-time", "1") as server, busy(server, n=16):
        for stream in (False, True):
            began = time.monotonic()
            reply = server.post("/v1/chat/completions", messages=CAPITAL, max_tokens=1, stream=stream)
            assert reply.status_code == 429, reply.text
            assert int(reply.headers["retry-after"]) >= 1
            assert 0.9 < time.monotonic() - began < 1 + 4 * harness.PATIENCE
        wait_for(lambda: engine_state(server)["stats"]["num_expired_requests"] == 2)


def test_background_work_gives_way_and_is_still_done():
    with Server("--max-num-seqs", "1") as server:
        task = dict(messages=ask("### Task:\nSuggest a title.")[1:], temperature=0, max_tokens=700, ignore_eos=True)
        wanted = server.chat(**task)["choices"][0]["message"]["content"]
        done = []

        def background():
            done.append(server.chat(**task)["choices"][0]["message"]["content"])

        threads = [threading.Thread(target=background) for _ in range(4)]
        for thread in threads:
            thread.start()
        wait_for(lambda: len(engine_state(server)["requests"]) == 4)
        assert {request["priority"] for request in engine_state(server)["requests"]} == {"background"}
        assert "New Delhi" in server.answer(CAPITAL, max_tokens=20)
        assert len(done) <= 1  # it waited for none that was queued
        for thread in threads:
            thread.join()
        assert done == [wanted] * 4
        assert_all_ended(server)


@pytest.mark.parametrize("headers, body, wanted", [
    ({}, {}, "background"), ({"X-Pagoda-Priority": "interactive"}, {}, "interactive"),
    ({"X-Pagoda-Priority": "background"}, {"messages": STORY}, "background"), ({}, {"messages": STORY}, "interactive")])
def test_who_counts_as_background(server, headers, body, wanted):
    with busy(server, headers=headers, **{"messages": ask("### Task:\nTags, please.")[1:], **body}):
        assert [request["priority"] for request in engine_state(server)["requests"]] == [wanted]
    server.wait_idle()


def test_a_key_that_floods_takes_no_place_of_another():
    with Server("--max-num-seqs", "1", "--max-num-queued-requests", "8", "--api-key", "loud", "--api-key", "quiet",
                "--max-queue-time", "0") as server:
        order = []

        def ask_as(key):
            reply = server.http.post("/v1/chat/completions", headers=bearer(key),
                                     json=dict(messages=STORY, max_tokens=60, ignore_eos=True))
            order.append((key, reply.status_code))
            return reply.status_code

        loud = [threading.Thread(target=ask_as, args=("loud",)) for _ in range(40)]
        for thread in loud:
            thread.start()
        wait_for(lambda: ("loud", 429) in order)
        assert ask_as("quiet") == 200
        place = [key for key, status in order if status == 200].index("quiet")
        for thread in loud:
            thread.join()
        served = [key for key, status in order if status == 200]
        assert served.index("quiet") == place < len(served) - 1  # and it did not wait for all of the others
        assert len(served) >= 5


# --- hostile users ----------------------------------------------------------------------------------

def test_a_thousand_connections_that_say_nothing_keep_nobody_out(server):
    wanted = server.answer(CAPITAL)
    with contextlib.ExitStack() as stack:
        for i in range(1000):
            plain = stack.enter_context(server.connect())
            if i % 2:
                plain.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Le")
        assert server.answer(CAPITAL) == wanted
        assert server.health() == 200
    assert server.answer(CAPITAL) == wanted


def test_garbage_by_the_hundred_leaves_a_server_that_answers(server):
    wanted = server.answer(CAPITAL)
    junk = [os.urandom(3000), b"\x16\x03\x01" + os.urandom(200), b"GET " * 2000, b"\r\n" * 4000,
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n"]

    def throw(raw):
        with server.connect() as plain, contextlib.suppress(ConnectionError):
            plain.sendall(raw)
            plain.setsockopt(harness.socket.SOL_SOCKET, harness.socket.SO_LINGER, struct.pack("ii", 1, 0))

    harness.in_parallel(throw, junk * 50)
    assert server.answer(CAPITAL) == wanted
    assert_all_ended(server)


def test_a_server_without_file_descriptors_waits_for_some_and_goes_on():
    with Server() as server:
        wanted = server.answer(CAPITAL)
        limit = len(os.listdir(f"/proc/{server.process.pid}/fd")) + 20
        soft, hard = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (limit, hard))
        with contextlib.ExitStack() as stack:
            for _ in range(100):
                with contextlib.suppress(OSError):
                    stack.enter_context(server.connect())
            time.sleep(0.3)
            assert server.process.poll() is None
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (soft, hard))
        assert server.answer(CAPITAL) == wanted
        assert server.health() == 200


def test_a_server_that_was_stopped_for_a_while_goes_on(server):
    """As a starved or suspended machine does."""
    wanted = server.answer(STORY, max_tokens=60)
    answers = []
    asking = threading.Thread(target=lambda: answers.append(server.streamed_answer(STORY, max_tokens=60)))
    server.process.send_signal(signal.SIGSTOP)
    asking.start()
    time.sleep(1)
    server.process.send_signal(signal.SIGCONT)
    asking.join()
    assert answers == [wanted]


# --- self-help ----------------------------------------------------------------------------------------

def test_the_trace_shows_steps_and_requests_and_no_text(tmp_path):
    path = tmp_path / "trace.json"
    with Server("--trace-file", path) as server:
        server.answer(ask("A very secret question about zebras"))
    text = path.read_text()
    events = json.loads(text)
    assert any(event["ph"] == "X" for event in events), "no step"
    begun = [event["id"] for event in events if event["ph"] == "b"]
    assert begun and sorted(begun) == sorted(event["id"] for event in events if event["ph"] == "e")
    assert "zebra" not in text
    assert path.stat().st_mode & 0o077 == 0


def test_the_state_shows_numbers_and_no_text(server):
    with busy(server, messages=ask("A very secret question about zebras")):
        wait_for(lambda: engine_state(server)["requests"])
        reply = server.http.get("/debug/state")
        assert reply.json()["engine"]["requests"][0]["num_prompt_tokens"] > 5
        assert "zebra" not in reply.text
    server.wait_idle()
