"""Many clients at once, and clients that leave, do not read, or ask for more than there is."""

import contextlib
import random
import threading
import time

import harness
from harness import CAPITAL, STORY, Server
from test_answers import PROMPTS


def test_a_hundred_clients_that_leave_at_random_leave_nothing_behind(server):
    """Streamed and not, before the headers, in the prompt, in the answer: every block comes back."""
    rng = random.Random(7)
    plans = [(rng.choice([0, 0, 0.5]) * rng.random(), rng.random() < 0.5, rng.choice([20, 300, 1500]))
             for _ in range(100)]
    before = server.num_aborted()

    def leave(plan):
        delay, stream, num_tokens = plan
        with server.connect() as plain:
            server.send_chat(plain, STORY, stream=stream, n=2, max_tokens=num_tokens, ignore_eos=True)
            time.sleep(delay)

    harness.in_parallel(leave, plans, workers=25)
    server.wait_idle()
    assert server.num_aborted() > before + 50
    assert "New Delhi" in server.answer(CAPITAL)


def test_a_client_that_leaves_ends_its_own_request_and_no_other(server):
    expected = server.answer(STORY, max_tokens=60)
    answers = []
    staying = threading.Thread(target=lambda: answers.append(server.streamed_answer(STORY, max_tokens=60)))
    staying.start()
    for _ in range(10):
        with server.connect() as plain:
            server.send_chat(plain, STORY, stream=True, max_tokens=1500, ignore_eos=True)
            plain.recv(100)
    staying.join()
    assert answers == [expected]
    server.wait_idle()


def test_slow_readers_stall_nobody_else(server):
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            plain = stack.enter_context(server.connect(receive_buffer=4096))
            server.send_chat(plain, STORY, stream=True, n=8, max_tokens=1500, ignore_eos=True)
        for _ in range(5):
            began = time.monotonic()
            assert "New Delhi" in server.answer(CAPITAL)
            assert server.health() == 200
            assert time.monotonic() - began < 10 * harness.PATIENCE
    server.wait_idle()


def test_a_client_that_sends_nothing_keeps_nobody_waiting(server):
    with contextlib.ExitStack() as stack:
        for _ in range(50):
            plain = stack.enter_context(server.connect())
            plain.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        assert "New Delhi" in server.answer(CAPITAL)


def test_health_and_models_answer_at_once_under_load(server):
    stop = threading.Event()

    def busy(_):
        while not stop.is_set():
            server.answer(STORY, max_tokens=50, ignore_eos=True)

    workers = [threading.Thread(target=busy, args=(i,)) for i in range(16)]
    for worker in workers:
        worker.start()
    try:
        time.sleep(0.3)
        slowest = 0.0
        for _ in range(20):
            for path in ("/health", "/v1/models", "/metrics"):
                began = time.monotonic()
                assert server.http.get(path).status_code == 200
                slowest = max(slowest, time.monotonic() - began)
    finally:
        stop.set()
        for worker in workers:
            worker.join()
    assert slowest < 1 * harness.PATIENCE


def test_a_full_queue_is_a_429_that_says_when_to_come_back():
    with Server("--max-num-seqs", "1", "--max-num-queued-requests", "2") as server:
        def status(_):
            reply = server.post("/v1/chat/completions", messages=STORY, max_tokens=100, ignore_eos=True)
            if reply.status_code == 429:
                assert int(reply.headers["retry-after"]) >= 1
                assert reply.json()["error"]["code"] == 429
            return reply.status_code

        statuses = harness.in_parallel(status, range(12), workers=12)
        assert set(statuses) == {200, 429}
        server.wait_idle()


def test_answers_are_the_same_when_the_cache_is_too_small_and_sequences_are_preempted(server):
    """Eight answers of 96 tokens where two or three fit, on a server that has only seen short ones."""
    request = dict(max_tokens=96, ignore_eos=True)
    prompts = PROMPTS[:8]
    expected = [server.answer(messages, **request) for messages in prompts]
    flags = ["--block-size", "16", "--num-gpu-blocks-override", "20", "--max-model-len", "256"]
    with Server(*flags) as small:
        for messages in prompts:
            small.answer(messages, max_tokens=1)
        assert harness.in_parallel(lambda messages: small.streamed_answer(messages, **request), prompts) == expected
        assert small.metric("vllm:num_preemptions_total") > 0
        small.wait_idle()


def test_answers_are_the_same_with_prompts_in_small_pieces(server):
    expected = [server.answer(messages, max_tokens=24) for messages in PROMPTS]
    with Server("--max-num-batched-tokens", "7", "--max-num-seqs", "5") as other:
        assert harness.in_parallel(lambda messages: other.streamed_answer(messages, max_tokens=24),
                                   PROMPTS) == expected


def test_a_request_as_large_as_the_whole_cache_is_served(server):
    flags = ["--block-size", "16", "--num-gpu-blocks-override", "8", "--max-model-len", "128"]
    with Server(*flags) as small:
        reply = small.post("/v1/completions", prompt=[20] * 100, max_tokens=28, ignore_eos=True).json()
        assert reply["usage"]["completion_tokens"] == 28
        assert small.post("/v1/completions", prompt=[20] * 100, max_tokens=29).status_code == 400
        small.wait_idle()
