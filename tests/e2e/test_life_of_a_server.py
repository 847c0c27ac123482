"""Loading, keys, sockets, draining: the states of a server as its operator sees them."""

import json
import os
import signal
import struct
import threading
import time

import httpx
import pytest

import harness
from harness import CAPITAL, COUNT, STORY, Server


@pytest.fixture(scope="module")
def large_model(tmp_path_factory):
    """A model that takes a moment to load: the demo's tokenizer, and weights that are a hole in a file."""
    folder = tmp_path_factory.mktemp("large")
    config = json.loads((harness.MODEL / "config.json").read_text())
    size, layers, inner = 1024, 16, 4096
    config.update(hidden_size=size, num_hidden_layers=layers, intermediate_size=inner, num_attention_heads=8,
                  num_key_value_heads=8, head_dim=128, tie_word_embeddings=True)
    (folder / "config.json").write_text(json.dumps(config))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        os.symlink(harness.MODEL / name, folder / name)
    shapes = {"model.embed_tokens.weight": [config["vocab_size"], size], "model.norm.weight": [size]}
    for layer in range(layers):
        prefix = f"model.layers.{layer}."
        shapes |= {f"{prefix}self_attn.{name}_proj.weight": [size, size] for name in "qkvo"}
        shapes |= {f"{prefix}mlp.{name}_proj.weight": [inner, size] for name in ("gate", "up")}
        shapes |= {f"{prefix}mlp.down_proj.weight": [size, inner]}
        shapes |= {f"{prefix}{name}.weight": [size] for name in ("input_layernorm", "post_attention_layernorm")}
    header, offset = {}, 0
    for name, shape in shapes.items():
        num_bytes = 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, offset + num_bytes]}
        offset += num_bytes
    text = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + offset)
    return folder


def test_a_loading_server_says_so_and_then_serves(large_model):
    with Server("--max-model-len", "64", "--num-gpu-blocks-override", "64", model=large_model, wait=False) as server:
        seen = []
        deadline = time.monotonic() + 60 * harness.PATIENCE
        while seen[-1:] != [200] and time.monotonic() < deadline:
            try:
                reply = server.http.get("/health")
            except httpx.TransportError:
                continue
            seen.append(reply.status_code)
            if reply.status_code == 503:
                assert "oading" in reply.json()["error"]["message"]
                refused = server.post("/v1/chat/completions", messages=CAPITAL, max_tokens=1)
                if refused.status_code != 200:
                    assert refused.status_code == 503
                    assert refused.json()["error"]["code"] == 503
        assert seen[0] == 503 and seen[-1] == 200 and set(seen) == {503, 200}
        assert server.post("/v1/chat/completions", messages=CAPITAL, max_tokens=1).status_code == 200


def test_a_loading_server_ends_at_once_on_sigterm(large_model):
    server = Server("--max-model-len", "64", model=large_model, wait=False)
    while server.health() != 503:
        assert server.process.poll() is None
    server.terminate()
    assert server.wait_end(5) == 0
    harness.assert_no_disaster(server.log())


def test_a_port_in_use_is_named(server):
    done = harness.run_pagoda("serve", harness.MODEL, "--host", "127.0.0.1", "--port", server.port)
    harness.assert_fails_clearly(done, str(server.port))


def test_sigterm_lets_a_running_stream_end_and_refuses_new_work():
    with Server() as server:
        chunks = server.stream(STORY, temperature=0, n=8, max_tokens=150, ignore_eos=True,
                               stream_options={"include_usage": True})
        next(chunks)
        server.terminate()
        refused = []

        def keep_asking():
            while not refused and server.process.poll() is None:
                try:
                    status = httpx.post(f"{server.url}/v1/chat/completions",
                                        json={"messages": CAPITAL, "max_tokens": 1}).status_code
                except httpx.TransportError:
                    status = "closed"
                if status != 200:
                    refused.append(status)

        asking = threading.Thread(target=keep_asking)
        asking.start()
        rest = list(chunks)
        asking.join()
        assert refused[0] in (503, "closed")
        assert rest[-1]["usage"]["completion_tokens"] == 8 * 150
        ends = [part["finish_reason"] for chunk in rest for part in chunk["choices"] if part["finish_reason"]]
        assert ends == ["length"] * 8
        assert server.wait_end() == 0


def endless(server):
    """A stream far longer than any drain, and its first chunk read."""
    chunks = server.stream(STORY, n=64, max_tokens=400, ignore_eos=True)
    next(chunks)
    return chunks


def test_a_drain_ends_at_its_limit_with_an_error_event():
    with Server("--drain-timeout", "0") as server:
        chunks = endless(server)
        began = time.monotonic()
        server.terminate()
        try:
            rest = list(chunks)
        except (httpx.TransportError, AssertionError):
            rest = []
        assert server.wait_end() == 0
        assert time.monotonic() - began < 5 * harness.PATIENCE
        assert any("error" in chunk for chunk in rest), rest[-3:]


def test_a_second_signal_cuts_the_drain():
    with Server("--drain-timeout", "600") as server:
        chunks = endless(server)
        began = time.monotonic()
        server.terminate()
        time.sleep(0.2)
        server.process.send_signal(signal.SIGINT)
        try:
            list(chunks)
        except (httpx.TransportError, AssertionError):
            pass
        assert server.wait_end() == 0
        assert time.monotonic() - began < 5 * harness.PATIENCE


def test_an_idle_server_ends_at_once():
    server = Server()
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 2 * harness.PATIENCE


def test_a_unix_socket_serves_and_is_gone_afterwards(tmp_path):
    path = tmp_path / "socket"
    with Server(uds=path) as server:
        assert "New Delhi" in server.answer(CAPITAL)
        assert path.stat().st_mode & 0o077 == 0
    assert not path.exists()


def test_an_api_key_is_asked_for_everywhere_but_at_the_probes():
    with Server("--api-key", "secret-1", "--api-key", "secret-2") as server:
        request = {"messages": CAPITAL, "max_tokens": 1}

        def status(**headers):
            return server.http.post("/v1/chat/completions", json=request, headers=headers).status_code

        assert status(Authorization="Bearer secret-1") == 200
        assert status(Authorization="bearer secret-2") == 200
        assert status(**{"X-Api-Key": "secret-1"}) == 200
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer"},
                        {"Authorization": "Basic secret-1"}, {"Authorization": "Bearer secret-1x"},
                        {"Authorization": "Bearer secret-"}):
            reply = server.http.post("/v1/chat/completions", json=request, headers=headers)
            assert reply.status_code == 401
            error = reply.json()["error"]
            assert error["code"] == 401 and error["type"] == "authentication_error"
            assert "secret-1" not in reply.text
        assert server.http.get("/v1/models").status_code == 401
        assert server.http.get("/health").status_code == 200
        assert "secret-1" not in server.log()


def test_pages_of_allowed_origins_may_call_and_no_others():
    preflight = {"Access-Control-Request-Method": "POST",
                 "Access-Control-Request-Headers": "content-type,authorization"}
    with Server("--allowed-origins", "https://chat.example", "--api-key", "k") as server:
        asked = server.http.options("/v1/chat/completions", headers={"Origin": "https://chat.example", **preflight})
        assert asked.status_code in (200, 204)
        assert asked.headers["access-control-allow-origin"] == "https://chat.example"
        assert "POST" in asked.headers["access-control-allow-methods"]
        for name in ("content-type", "authorization"):
            assert name in asked.headers["access-control-allow-headers"].lower()
        other = server.http.options("/v1/chat/completions", headers={"Origin": "https://evil.example", **preflight})
        assert "access-control-allow-origin" not in other.headers
        reply = server.http.get("/health", headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in reply.headers


def test_served_names_and_aliases_are_the_models():
    with Server("--served-model-name", "first", "--served-model-name", "second") as server:
        assert "first" in [card["id"] for card in server.http.get("/v1/models").json()["data"]]
        for name in ("first", "second"):
            assert server.chat(CAPITAL, model=name, max_tokens=1)["model"] == name
        assert server.post("/v1/chat/completions", messages=CAPITAL, model="third").status_code == 404


@pytest.mark.parametrize("flags", [["--quantization", "q8_0"], ["--quantization", "q6_k"], ["--dtype", "float32"], ["--kv-cache-dtype", "f32"],
                                   ["--threads", "1"], ["--block-size", "8"]])
def test_other_number_formats_and_shapes_still_know_the_capital(flags):
    with Server(*flags) as server:
        assert "New Delhi" in server.answer(CAPITAL)


def test_a_second_start_reads_the_weights_that_the_first_quantized(tmp_path):
    answers = []
    log = ""
    for start in range(3):
        with Server("--quantization", "q4_k", "--quantization-cache-dir", tmp_path) as server:
            answers.append(server.answer(COUNT))
            log = server.log()
            assert ("quantized at an earlier start" in log) == (start > 0)
        file, = tmp_path.iterdir()
        if start == 1:  # damage that only reading finds
            with open(file, "r+b") as damaged:
                damaged.seek(5000)
                damaged.write(b"damage")
    assert answers[0] == answers[1] == answers[2]
    assert "is made anew" in log


def test_a_chat_template_from_a_file_is_used(tmp_path):
    template = tmp_path / "t.jinja"
    template.write_text("{{ raise_exception('only for tests') }}")
    with Server("--chat-template", template) as server:
        reply = server.post("/v1/chat/completions", messages=CAPITAL)
        assert reply.status_code == 400
        assert "only for tests" in reply.json()["error"]["message"]
