"""Servers, offline generation and the small commands, on the demo model. No Ray."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

import pagoda
from pagoda import lint, status
from pagoda._relay import ChunkDecoder, request_head
from pagoda._scaling import wanted_replicas

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MODEL = str(ROOT / "models" / "demo")


@pytest.fixture(scope="module")
def llm():
    with pagoda.LLM(MODEL) as model:
        yield model


def is_running(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_outputs_stand_in_the_order_of_prompts_and_are_the_same_alone(llm):
    params = pagoda.SamplingParams(temperature=0, max_tokens=8)
    prompts = ["One, two,", "The capital of France is", "Once upon a time"] * 10
    together = llm.generate(prompts, params)
    assert [output.prompt for output in together] == prompts
    for output, prompt in zip(together[:3], prompts):
        assert llm.generate(prompt, params)[0].outputs == output.outputs


def test_ids_logprobs_and_text_belong_together(llm):
    output = llm.generate("The capital of France is", pagoda.SamplingParams(temperature=0, max_tokens=2, logprobs=2))[0]
    choice = output.outputs[0]
    assert len(choice.token_ids) == len(choice.logprobs) == 2 and choice.finish_reason == "length"
    assert "".join(step[token].decoded_token for step, token in zip(choice.logprobs, choice.token_ids)) == choice.text
    assert all(step[token].rank == 1 for step, token in zip(choice.logprobs, choice.token_ids))
    again = llm.generate(output.prompt_token_ids, pagoda.SamplingParams(temperature=0, max_tokens=2))[0]
    assert again.outputs[0].token_ids == choice.token_ids


def test_a_chat_is_answered_by_the_template(llm):
    messages = [{"role": "user", "content": "What is the capital of India?"}]
    output = llm.chat(messages, pagoda.SamplingParams(temperature=0, max_tokens=None))[0]
    assert "New Delhi" in output.outputs[0].text and messages[0]["content"] in output.prompt
    assert output.outputs[0].finish_reason == "stop"


def test_what_the_engine_refuses_is_a_value_error_with_its_words(llm):
    with pytest.raises(ValueError, match="temperature"):
        llm.generate("a", pagoda.SamplingParams(temperature=-1))
    with pytest.raises(ValueError, match="2 for 1"):
        llm.generate("a", [pagoda.SamplingParams()] * 2)


def test_a_server_drains_when_its_block_ends():
    with pagoda.Server(MODEL, max_num_seqs=4) as server:
        pid = server.pid
        assert server.request("GET", "/v1/models")["data"][0]["id"] == "demo"
        assert server.base_url.startswith("http://127.0.0.1:")
    assert not is_running(pid)
    assert server.stop() == 0


def test_a_server_that_cannot_start_says_why():
    with pytest.raises(pagoda.EngineError, match="/no/such"):
        with pagoda.Server("/no/such/model"):
            pass


def test_a_server_dies_with_its_parent():
    code = ("import pagoda, time; server = pagoda.Server(simulate='ttft=0,itl=20ms'); server.start();"
            "print(server.pid, flush=True); time.sleep(60)")
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True,
                             env={**os.environ, "PYTHONPATH": str(ROOT / "python")})
    pid = int(child.stdout.readline())
    assert is_running(pid)
    child.send_signal(signal.SIGKILL)
    child.wait()
    deadline = time.monotonic() + 2
    while is_running(pid):
        assert time.monotonic() < deadline, "the server outlived its parent"
        time.sleep(0.02)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_chunks_pass_whole_however_they_arrive(size):
    wire = b"5\r\nhello\r\n10;x=y\r\n0123456789abcdef\r\n0\r\n\r\n"
    decoder = ChunkDecoder()
    outs = [decoder.feed(wire[at:at + size]) for at in range(0, len(wire), size)]
    assert decoder.done and b"".join(outs) == b"hello0123456789abcdef"
    assert {len(out) for out in outs} <= {0, 5, 16, 21}


def test_a_request_keeps_its_words_and_loses_the_mount_and_the_connection():
    scope = {"method": "POST", "path": "/llm/v1/chat", "raw_path": b"/llm/v1/chat", "root_path": "/llm",
             "query_string": b"a=1", "headers": [(b"host", b"h"), (b"connection", b"keep-alive"), (b"x", b"y")],
             "client": ("192.0.2.1", 5)}
    lines = request_head(scope, True).split(b"\r\n")
    assert lines[0] == b"POST /v1/chat?a=1 HTTP/1.1"
    assert b"x: y" in lines and b"x-forwarded-for: 192.0.2.1" in lines
    assert [line for line in lines if line.startswith(b"connection")] == [b"connection: close"]


def test_replicas_are_wanted_for_what_waits_and_for_full_caches():
    assert wanted_replicas(1, ongoing=70, target=1, waiting=6, kv_usage=0.5) == 7
    assert wanted_replicas(2, ongoing=2, target=1, waiting=0, kv_usage=0.9) == 3
    assert wanted_replicas(3, ongoing=1, target=1, waiting=0, kv_usage=0.1) == 1
    assert wanted_replicas(3, ongoing=1, target=1, waiting=0, kv_usage=0.6) == 3


def test_lint_refuses_dead_keys_and_limits_below_the_batch():
    bad = {"applications": [{"import_path": "vllm_serve:deployment", "args": {"max_num_seqs": 10}, "deployments": [
        {"name": "VLLM", "autoscaling_config": {"target_num_ongoing_requests_per_replica": 1}}]}]}
    found = "\n".join(lint.problems(bad))
    assert "write target_ongoing_requests" in found and "5 is below the engine's batch of 10" in found
    assert "graceful_shutdown_timeout_s 20" in found
    good = {"applications": [{"import_path": "pagoda.serve:build_app", "args": {"model": "m"}, "deployments": [
        {"name": "Pagoda", "max_ongoing_requests": 128, "autoscaling_config": {"target_ongoing_requests": 1}}]}]}
    assert lint.problems(good) == []


def details(application="RUNNING", proxy="HEALTHY"):
    return {"controller_info": {"actor_id": "a"}, "proxies": {"n": {"status": proxy, "node_ip": "127.0.0.1"}},
            "applications": {"default": {"status": application, "route_prefix": "/", "deployments": {"Pagoda": {
                "status": "HEALTHY", "target_num_replicas": 2, "replicas": [{"state": "RUNNING"}, {"state": "STARTING"}],
            }}}}}


def test_status_speaks_in_the_words_of_the_dashboard_and_fails_unless_all_is_well():
    lines, well = status.describe(details())
    text = "\n".join(lines)
    assert well and "Controller    HEALTHY" in text and "Proxy         HEALTHY" in text
    assert "Application   RUNNING" in text and "1 RUNNING, 1 STARTING of 2" in text
    assert not status.describe(details(application="DEPLOYING"))[1]
    assert not status.describe(details(proxy="UNHEALTHY"))[1]
    assert not status.describe({"controller_info": {}, "proxies": {}, "applications": {}})[1]


def test_status_of_nobody_is_exit_code_two(capsys):
    assert status.main(["--address", "http://127.0.0.1:9"]) == 2
    assert "127.0.0.1:9" in capsys.readouterr().err
