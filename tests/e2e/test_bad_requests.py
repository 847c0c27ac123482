"""Whatever a client sends, it gets one clear error, and the next request is served."""

import json

import pytest

import harness
from harness import CAPITAL

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
USER = {"role": "user", "content": "Hi"}


def check_error(reply, *statuses):
    """The error shape of the OpenAI API, with a short message and the status as its code."""
    assert reply.status_code in statuses, f"{reply.status_code}: {reply.text[:500]}"
    assert reply.headers["content-type"].startswith("application/json")
    error = reply.json()["error"]
    assert set(error) >= {"message", "type", "param", "code"}
    assert error["code"] == reply.status_code
    assert error["message"] and len(error["message"]) < 1000
    harness.assert_no_disaster(error["message"])
    return error


BAD_CHAT_FIELDS = [
    # body without messages filled in, words that the message or param must hold
    ({"messages": None}, "messages"),
    ({"messages": []}, "messages"),
    ({"messages": "Hi"}, "messages"),
    ({"messages": [5]}, "messages"),
    ({"messages": [{"content": "Hi"}]}, "role"),
    ({"messages": [{"role": 5, "content": "Hi"}]}, "role"),
    ({"messages": [{"role": "user", "content": 5}]}, "content"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]},
     "image_url"),
    ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "text"),
    ({"model": 5}, "model"),
    ({"temperature": -1}, "temperature"),
    ({"temperature": "hot"}, "temperature"),
    ({"temperature": [1]}, "temperature"),
    ({"top_p": 5}, "top_p"),
    ({"top_p": 0}, "top_p"),
    ({"top_p": -0.1}, "top_p"),
    ({"top_k": -5}, "top_k"),
    ({"top_k": 1.5}, "top_k"),
    ({"min_p": 2}, "min_p"),
    ({"presence_penalty": 3}, "presence_penalty"),
    ({"frequency_penalty": -3}, "frequency_penalty"),
    ({"repetition_penalty": 0}, "repetition_penalty"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_tokens": -1}, "max_tokens"),
    ({"max_tokens": 10**12}, "max_tokens"),
    ({"max_tokens": 1.5}, "max_tokens"),
    ({"max_tokens": "many"}, "max_tokens"),
    ({"min_tokens": -1}, "min_tokens"),
    ({"min_tokens": 10, "max_tokens": 5}, "min_tokens"),
    ({"n": 0}, "n"),
    ({"n": -1}, "n"),
    ({"n": 10**6}, "n"),
    ({"n": "two"}, "n"),
    ({"stop": 5}, "stop"),
    ({"stop": [""]}, "stop"),
    ({"stop": [5]}, "stop"),
    ({"stop": ["x"] * 10000}, "stop"),
    ({"stop_token_ids": ["a"]}, "stop_token_ids"),
    ({"logit_bias": {"abc": 1}}, "logit_bias"),
    ({"logit_bias": {"99999999": 1}}, "logit_bias"),
    ({"logit_bias": {"1": 1000}}, "logit_bias"),
    ({"logit_bias": {"1": "x"}}, "logit_bias"),
    ({"top_logprobs": 2}, "logprobs"),
    ({"logprobs": True, "top_logprobs": 1000}, "top_logprobs"),
    ({"logprobs": True, "top_logprobs": -7}, "top_logprobs"),
    ({"logprobs": 3}, "logprobs"),
    ({"stream": "yes"}, "stream"),
    ({"stream_options": {"include_usage": True}}, "stream_options"),
    ({"stream": True, "stream_options": 5}, "stream_options"),
    ({"seed": "x"}, "seed"),
    ({"seed": 1.5}, "seed"),
    ({"response_format": {"type": "nonsense"}}, "response_format"),
    ({"tools": "hammer"}, "tools"),
    ({"allowed_token_ids": [10**9]}, "allowed_token_ids"),
]

BAD_COMPLETION_FIELDS = [
    ({"prompt": None}, "prompt"),
    ({"prompt": []}, "prompt"),
    ({"prompt": 5}, "prompt"),
    ({"prompt": {"text": "Hi"}}, "prompt"),
    ({"prompt": [99999999]}, "prompt"),
    ({"prompt": [-1]}, "prompt"),
    ({"prompt": [1.5]}, "prompt"),
    ({"prompt": ["Hi", 5]}, "prompt"),
    ({"prompt": [[]]}, "prompt"),
    ({"prompt": "Hi", "suffix": "there"}, "suffix"),
    ({"prompt": "Hi", "max_tokens": -1}, "max_tokens"),
    ({"prompt": "Hi", "temperature": -1}, "temperature"),
    ({"prompt": "Hi", "logprobs": -3}, "logprobs"),
    ({"prompt": "Hi", "logprobs": 10**6}, "logprobs"),
    ({"prompt": ["Hi"] * 1000, "n": 1000}, "n"),
]


def without_nothing(body):
    """None stands for a field that is missing."""
    return {key: value for key, value in body.items() if value is not None}


@pytest.mark.parametrize(("fields", "word"), BAD_CHAT_FIELDS)
def test_a_bad_chat_field_is_a_400_that_names_it(server, fields, word):
    error = check_error(server.post(CHAT, **without_nothing({"messages": [USER], **fields})), 400)
    assert word in (error["param"] or "") + error["message"], error
    streamed = server.post(CHAT, **without_nothing({"messages": [USER], "stream": True, **fields}))
    if "stream_options" not in fields or fields.get("stream"):
        check_error(streamed, 400)


@pytest.mark.parametrize(("fields", "word"), BAD_COMPLETION_FIELDS)
def test_a_bad_completion_field_is_a_400_that_names_it(server, fields, word):
    error = check_error(server.post(COMPLETIONS, **without_nothing(fields)), 400)
    assert word in (error["param"] or "") + error["message"], error


BAD_BODIES = {
    "empty": b"",
    "cut": b'{"messages": [{"role": "user", ',
    "array": b"[1, 2]",
    "string": b'"hello"',
    "null": b"null",
    "trailing": b'{"messages": [{"role": "user", "content": "Hi"}]} x',
    "nan": b'{"messages": [{"role": "user", "content": "Hi"}], "temperature": NaN}',
    "huge number": b'{"messages": [{"role": "user", "content": "Hi"}], "temperature": 1e999}',
    "deep": b"[" * 100_000,
    "deep object": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "deep field": b'{"messages": [{"role": "user", "content": "Hi"}], "x": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    "invalid UTF-8": b'{"messages": [{"role": "user", "content": "\xff\xfe"}]}',
    "lone surrogate": b'{"messages": [{"role": "user", "content": "\\ud800"}]}',
    "raw control": b'{"messages": [{"role": "user", "content": "a\x01b"}]}',
    "binary": bytes(range(256)) * 40,
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
def test_a_body_that_is_not_the_right_json_is_a_400(server, body):
    for path in (CHAT, COMPLETIONS):
        check_error(server.http.post(path, content=body, headers={"Content-Type": "application/json"}), 400)


def test_unknown_fields_and_nulls_are_served(server):
    reply = server.post(CHAT, messages=[USER], max_tokens=2, some_new_field={"a": [1]}, user="me", metadata={},
                        temperature=None, top_p=None, stop=None, n=None, stream=None, seed=None, tools=None,
                        logit_bias=None, response_format=None, stream_options=None, max_completion_tokens=None)
    assert reply.status_code == 200, reply.text


def test_a_documented_field_is_served_or_refused_by_name(server):
    fields = {"echo": True, "best_of": 2, "suffix": "x", "logit_bias": {"5": 1}, "prompt_logprobs": 1,
              "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
              "tool_choice": "required", "response_format": {"type": "json_object"}, "guided_json": {},
              "structured_outputs": {"regex": "a"}, "truncate_prompt_tokens": 5, "priority": 1}
    for path, base in ((CHAT, {"messages": [USER]}), (COMPLETIONS, {"prompt": "Hi"})):
        for name, value in fields.items():
            reply = server.post(path, **base, max_tokens=2, **{name: value})
            if reply.status_code != 200:
                error = check_error(reply, 400)
                assert name in (error["param"] or "") + error["message"], error


def test_an_unknown_model_is_a_404_that_names_it(server):
    for path, base in ((CHAT, {"messages": [USER]}), (COMPLETIONS, {"prompt": "Hi"})):
        error = check_error(server.post(path, model="no-such-model", **base), 404)
        assert "no-such-model" in error["message"]
        long_name = check_error(server.post(path, model="m" * 100_000, **base), 400, 404)
        assert len(long_name["message"]) < 1000
    assert server.http.get("/v1/models/no-such-model").status_code == 404


def test_what_can_never_fit_is_refused_with_both_numbers(server, max_model_len):
    prompt = [5] * (max_model_len + 7)
    error = check_error(server.post(COMPLETIONS, prompt=prompt, max_tokens=1), 400)
    assert str(max_model_len) in error["message"]
    assert str(max_model_len + 7) in error["message"] or str(max_model_len + 8) in error["message"]
    long_text = [{"role": "user", "content": "hello " * (2 * max_model_len)}]
    assert str(max_model_len) in check_error(server.post(CHAT, messages=long_text), 400)["message"]
    over = check_error(server.post(COMPLETIONS, prompt="Hi", max_tokens=max_model_len), 400)
    assert str(max_model_len) in over["message"]
    huge = [{"role": "user", "content": "a" * 5_000_000}]
    check_error(server.post(CHAT, messages=huge), 400, 413)


def test_a_conversation_the_template_refuses_is_a_400(server):
    for messages in ([{"role": "wizard", "content": "Hi"}], [{"role": "assistant", "content": None}],
                     [{"role": "tool", "content": "5", "tool_call_id": "x"}]):
        reply = server.post(CHAT, messages=messages, max_tokens=2)
        if reply.status_code != 200:
            check_error(reply, 400)


def test_wrong_paths_and_methods_are_404_and_405(server):
    check_error(server.http.get("/no/such/path"), 404)
    check_error(server.http.post("/v1/nothing", json={}), 404)
    check_error(server.http.get(CHAT), 405)
    check_error(server.http.delete("/v1/models"), 405)
    check_error(server.http.get("/v1/../../etc/passwd"), 404)
    check_error(server.http.get("/" + "a" * 9000), 400, 404, 414, 431)


def head(*lines):
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


POST_HEAD = ("POST /v1/chat/completions HTTP/1.1", "Host: localhost", "Content-Type: application/json")
BAD_HTTP = {
    # what is sent: statuses allowed; None for closing without a word
    "not HTTP": (b"hello\r\n\r\n", {400, None}),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64, {400, None}),
    "zeros": (b"\x00" * 4096, {400, None}),
    "no version": (head("GET /health"), {400, 505, None}),
    "HTTP/9": (head("GET /health HTTP/9.9", "Host: localhost"), {400, 505, None}),
    "huge header": (head("GET /health HTTP/1.1", "Host: localhost", "X: " + "a" * 100_000), {400, 431}),
    "many headers": (head("GET /health HTTP/1.1", "Host: localhost", *[f"X-{i}: 1" for i in range(20_000)]), {400, 431}),
    "bad header": (head("GET /health HTTP/1.1", "Host: localhost", "no colon"), {400}),
    "NUL in header": (head("GET /health HTTP/1.1", "Host: localhost", "X: a\x00b"), {400}),
    "length no number": (head(*POST_HEAD, "Content-Length: abc"), {400}),
    "length negative": (head(*POST_HEAD, "Content-Length: -5"), {400}),
    "length enormous": (head(*POST_HEAD, "Content-Length: 1000000000000"), {413}),
    "length overflows": (head(*POST_HEAD, "Content-Length: 99999999999999999999999"), {400, 413}),
    "length twice": (head(*POST_HEAD, "Content-Length: 2", "Content-Length: 3") + b"{}", {400}),
    "bad chunk": (head(*POST_HEAD, "Transfer-Encoding: chunked") + b"zz\r\n{}\r\n0\r\n\r\n", {400}),
    "huge chunk": (head(*POST_HEAD, "Transfer-Encoding: chunked") + b"fffffffffffffff\r\n", {400, 413}),
    "unknown coding": (head(*POST_HEAD, "Transfer-Encoding: magic") + b"{}", {400, 501, 411}),
    "length and chunks": (head(*POST_HEAD, "Content-Length: 2", "Transfer-Encoding: chunked") + b"0\r\n\r\n", {400}),
}


@pytest.mark.parametrize(("raw", "allowed"), BAD_HTTP.values(), ids=BAD_HTTP)
def test_bad_http_is_refused_and_the_connection_closed(server, raw, allowed):
    received = server.exchange(raw)
    status = int(received.split(b" ", 2)[1]) if received.startswith(b"HTTP/1.") else None
    assert status in allowed, received[:300]
    if status is not None:
        body = received.split(b"\r\n\r\n", 1)[1]
        assert json.loads(body)["error"]["message"]
    assert server.health() == 200


def test_pipelined_and_slowly_sent_requests_are_served(server):
    get = head("GET /health HTTP/1.1", "Host: localhost")
    last = head("GET /health HTTP/1.1", "Host: localhost", "Connection: close")
    assert server.exchange(get + get + last).count(b" 200 ") == 3
    body = json.dumps({"messages": CAPITAL, "max_tokens": 1}).encode()
    with server.connect() as plain:
        request = head(*POST_HEAD, f"Content-Length: {len(body)}", "Connection: close") + body
        for at in range(0, len(request), 7):
            plain.sendall(request[at:at + 7])
        assert plain.recv(65536).startswith(b"HTTP/1.1 200")


def test_after_all_of_it_the_server_is_idle_and_answers(server):
    server.wait_idle()
    assert "New Delhi" in server.answer(CAPITAL)
