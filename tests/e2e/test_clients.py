"""The official OpenAI clients work unchanged, in Python and in Node, streamed and not."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys

import openai
import pytest

import harness
from harness import CAPITAL


def test_the_python_client_gets_an_answer(client, model):
    reply = client.chat.completions.create(model=model, messages=CAPITAL, temperature=0, max_tokens=100)
    assert "New Delhi" in reply.choices[0].message.content
    assert reply.choices[0].message.role == "assistant"
    assert reply.choices[0].finish_reason == "stop"
    assert reply.model == model
    assert reply.object == "chat.completion"
    assert reply.id.startswith("chatcmpl-")


def test_the_python_client_streams_the_same_answer(client, model):
    request = dict(model=model, messages=CAPITAL, temperature=0, max_tokens=100)
    whole = client.chat.completions.create(**request).choices[0].message.content
    chunks = list(client.chat.completions.create(stream=True, **request))
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == whole
    assert chunks[0].choices[0].delta.role == "assistant"
    assert all(c.choices[0].delta.role is None for c in chunks[1:])
    assert [c.choices[0].finish_reason for c in chunks if c.choices[0].finish_reason] == ["stop"]
    assert len({c.id for c in chunks}) == 1
    assert all(c.object == "chat.completion.chunk" for c in chunks)


def test_the_python_client_completes_text(client, model):
    reply = client.completions.create(model=model, prompt="Once upon a time", max_tokens=5, temperature=0)
    assert reply.choices[0].text
    assert reply.choices[0].finish_reason == "length"
    assert reply.usage.completion_tokens == 5
    streamed = client.completions.create(model=model, prompt="Once upon a time", max_tokens=5, temperature=0,
                                         stream=True)
    assert "".join(chunk.choices[0].text for chunk in streamed) == reply.choices[0].text


def test_the_asynchronous_python_client_streams(server, model):
    async def stream():
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
            chunks = await client.chat.completions.create(model=model, messages=CAPITAL, temperature=0, stream=True,
                                                          max_tokens=100)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks])

    assert "New Delhi" in asyncio.run(stream())


def test_the_python_client_sees_errors_as_its_own_kinds(client, model):
    with pytest.raises(openai.NotFoundError, match="no-such-model"):
        client.chat.completions.create(model="no-such-model", messages=CAPITAL)
    with pytest.raises(openai.BadRequestError, match="temperature"):
        client.chat.completions.create(model=model, messages=CAPITAL, temperature=-1)


def test_the_node_client_gets_the_same_answers(server):
    folder = harness.ROOT / "tests/e2e"
    done = subprocess.run(["node", "client.mjs"], cwd=folder, capture_output=True, text=True,
                          timeout=60 * harness.PATIENCE,
                          env={**os.environ, "OPENAI_BASE_URL": f"{server.url}/v1"})
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert "New Delhi" in seen["plain"]
    assert seen["streamed"] == seen["plain"] == seen["assembled"]
    assert seen["finishReason"] == "stop"
    for key in ("prompt_tokens", "completion_tokens", "total_tokens"):
        assert seen["usage"][key] == seen["plainUsage"][key]
    assert 1 <= seen["seenBeforeAbort"] < 300
    server.wait_idle()
    assert seen["completion"]
    assert seen["refusal"]["status"] == 404
    assert seen["refusal"]["kind"] == "NotFoundError"
    assert "no-such-model" in seen["refusal"]["message"]


@pytest.fixture(params=["openai_client.py", "openai_client.mjs"])
def example(request, tmp_path):
    """The command that runs one example outside the source tree, as a user would."""
    script = tmp_path / request.param
    shutil.copy(harness.ROOT / "examples" / request.param, script)
    if script.suffix == ".py":
        return [sys.executable, str(script)]
    (tmp_path / "node_modules").symlink_to(harness.ROOT / "tests/e2e/node_modules")
    return ["node", str(script)]


def test_the_three_examples_run(server, example):
    done = subprocess.run(example, capture_output=True, text=True, timeout=60 * harness.PATIENCE,
                          env={**os.environ, "OPENAI_BASE_URL": f"{server.url}/v1"})
    assert done.returncode == 0, done.stderr
    parts = re.split(r"^Example \d: .*\n", done.stdout, flags=re.M)
    assert len(parts) == 4, done.stdout
    assert "Delhi" in parts[1]
    assert len(parts[2].split()) > 20
    assert len(re.findall(r"\d+", parts[3])) >= 3
