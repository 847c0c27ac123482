"""`pagoda render` and /apply-template show the prompt that a chat template makes, to the byte."""

import json

import pytest

import harness
from harness import CAPITAL, assert_fails_clearly, run_pagoda

TEMPLATE = ("{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}"
            "{% for t in tools or [] %}{{ t | tojson }}{% endfor %}{% if add_generation_prompt %}<go>{% endif %}"
            "{{ mode }}{{ level + 1 if level is defined }}")
TOOL = {"type": "function", "function": {"name": "날씨", "parameters": {"type": "object"}}}
CALL = [{"role": "user", "content": "날씨?"},
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "날씨", "arguments": "{\"city\": \"서울\"}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "21"}]


@pytest.fixture
def write(tmp_path):
    def _write(name, content):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content, ensure_ascii=False), encoding="utf-8")
        return path
    return _write


def test_render_prints_exactly_what_the_template_makes(write):
    messages = write("messages.json", [{"role": "user", "content": "안녕 😀"}])
    template = write("t.jinja", TEMPLATE)
    done = run_pagoda("render", "--template", template, "--messages", messages)
    assert (done.returncode, done.stdout) == (0, "<user>안녕 😀\n<go>")
    done = run_pagoda("render", "--template", template, "--messages", messages, "--no-generation-prompt",
                      "--tools", write("tools.json", [TOOL]), "--var", "mode=fast=1", "--var", "level=41",
                      "--var", "bos_token=<s>")
    assert done.stdout == "<s><user>안녕 😀\n" + json.dumps(TOOL, ensure_ascii=False) + "fast=142"
    body = write("body.json", {"messages": [{"role": "user", "content": "x"}], "tools": [], "model": "m",
                               "add_generation_prompt": False, "chat_template_kwargs": {"mode": "!"}})
    assert run_pagoda("render", "--template", template, "--messages", body).stdout == "<user>x\n!"


def test_render_takes_the_models_own_template_and_tokens(write, server):
    messages = write("messages.json", CAPITAL)
    done = run_pagoda("render", harness.MODEL, "--messages", messages)
    assert done.returncode == 0, done.stderr
    assert done.stdout == server.http.post("/apply-template", json={"messages": CAPITAL}).json()["prompt"]


def test_render_names_the_file_and_the_reason_when_it_fails(write):
    messages = write("messages.json", CAPITAL)
    good = write("good.jinja", TEMPLATE)
    cases = [
        (["--messages", messages], ["MODEL", "--template"]),
        (["--template", good, "--messages", "/nowhere.json"], ["/nowhere.json"]),
        (["--template", "/nowhere.jinja", "--messages", messages], ["/nowhere.jinja"]),
        (["--template", good, "--messages", write("bad.json", "[{")], ["bad.json"]),
        (["--template", good, "--messages", write("five.json", "5")], ["five.json", "messages"]),
        (["--template", good, "--messages", messages, "--tools", write("t.json", "5")], ["t.json", "tools"]),
        (["--template", good, "--messages", messages, "--var", "novalue"], ["novalue"]),
        (["--template", write("syntax.jinja", "a\n{% if %}"), "--messages", messages], ["syntax.jinja", "line 2"]),
        (["--template", write("raise.jinja", "{{ raise_exception('no such role') }}"), "--messages", messages],
         ["raise.jinja", "no such role"]),
        (["--template", write("loop.jinja", "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}"),
          "--messages", messages], ["loop.jinja", "steps"]),
        (["/nowhere", "--messages", messages], ["/nowhere"]),
    ]
    for arguments, wanted in cases:
        done = run_pagoda("render", *arguments)
        assert_fails_clearly(done, *wanted)
        assert done.stdout == ""


def test_apply_template_is_the_prompt_of_a_chat(server):
    prompt = server.http.post("/apply-template", json={"messages": CAPITAL}).json()["prompt"]
    assert "What is the capital of India?" in prompt
    ids = server.http.post("/tokenize", json={"messages": CAPITAL}).json()["tokens"]
    text = server.http.post("/tokenize", json={"prompt": prompt, "add_special_tokens": False}).json()["tokens"]
    assert ids == text
    assert server.chat(CAPITAL, max_tokens=1)["usage"]["prompt_tokens"] == len(ids)
    shorter = server.http.post("/v1/apply-template", json={"messages": CAPITAL, "add_generation_prompt": False}).json()["prompt"]
    assert prompt.startswith(shorter) and len(shorter) < len(prompt)
    going_on = [*CAPITAL, {"role": "assistant", "content": "It is"}]
    assert server.http.post("/apply-template", json={"messages": going_on, "continue_final_message": True}
                            ).json()["prompt"].endswith("It is")


def test_tools_and_arguments_reach_a_template_and_its_exceptions_are_400(write):
    template = write("t.jinja", "{% if mode is defined and mode == 'raise' %}{{ raise_exception('not this mode') }}{% endif %}"
                                "{{ tools | length if tools }}{% for m in messages %}{{ m.role }}"
                                "{% for c in m.tool_calls or [] %}{{ c.function.arguments.city }}{% endfor %}"
                                "{{ m.tool_call_id }}{% endfor %}{{ mode }}")
    with harness.Server("--chat-template", template) as server:
        reply = server.http.post("/apply-template", json={"messages": CALL, "tools": [TOOL], "chat_template_kwargs": {"mode": "m"}})
        assert reply.json() == {"prompt": "1userassistant서울toolc1m"}
        bad = server.http.post("/apply-template", json={"messages": CALL, "chat_template_kwargs": {"mode": "raise"}})
        assert bad.status_code == 400
        assert "not this mode" in bad.json()["error"]["message"]
        for body in ({}, {"messages": []}, {"messages": CALL, "tools": 5}, {"messages": CALL, "chat_template": "x"},
                     {"messages": [{"role": "wizard", "content": "x"}]}):
            assert server.http.post("/apply-template", json=body).status_code == 400, body
