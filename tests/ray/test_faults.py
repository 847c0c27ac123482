"""What clients of a Ray deployment see when parts of it fail, change or are overloaded."""

import concurrent.futures
import json
import os
import pathlib
import signal
import socket
import time

import pytest
from conftest import engines, parent_of, wait_for

from pagoda import status

SMOKE = pytest.mark.smoke


@SMOKE
def test_the_status_is_exit_code_zero_when_all_runs(site, capsys):
    site.deploy(num_replicas=2)
    assert status.main(["--address", site.dashboard]) == 0
    shown = capsys.readouterr().out
    assert "Controller    HEALTHY" in shown and "Proxy         HEALTHY" in shown
    assert "Application   RUNNING  default" in shown and "2 RUNNING of 2" in shown


@SMOKE
def test_an_engine_killed_in_the_middle_costs_its_own_streams_only_and_comes_back(site):
    # Serve prefers replicas on the proxy's node as long as they take requests.
    site.deploy(num_replicas=2, max_ongoing_requests=12)
    expected = [future.result(60).text for future in site.streams(16, 200)]
    futures = site.streams(16, 200)
    victim = max(engines(), key=running_in)
    assert 0 < running_in(victim) < 16
    os.kill(victim, signal.SIGKILL)
    killed = time.monotonic()
    assert [site.post({"prompt": "x", "max_tokens": 2})[0] for _ in range(10)] == [200] * 10
    results = [future.result(90) for future in futures]
    lost = [result for result in results if result.errors]
    assert 0 < len(lost) < 16
    for result in lost:
        assert len(result.errors) == 1 and not result.done
        assert result.errors[0][0] - killed < 1 and result.ended - killed < 1.5
    for result, text in zip(results, expected):
        assert result.text == text if result.whole else text.startswith(result.text)
    assert all(result.whole for result in results if not result.errors)
    wait_for(lambda: len(engines()) == 2, 15, "the engine runs again")
    assert victim not in engines()


@SMOKE
def test_a_client_that_leaves_frees_the_engine_within_a_second(site):
    site.deploy(num_replicas=2)
    with socket.create_connection(("127.0.0.1", site.port)) as client:
        body = json.dumps({"prompt": "a", "max_tokens": 1500, "stream": True}).encode()
        client.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                       b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        assert b"200" in client.recv(1000)
        assert running() == 1
    wait_for(lambda: running() == 0, 1, "no request runs")


def running_in(pid):
    """Requests running in an engine, by its own count."""
    command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    with socket.socket(socket.AF_UNIX) as engine:
        engine.connect(command[command.index(b"--uds") + 1].decode())
        engine.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        text = b"".join(iter(lambda: engine.recv(65536), b"")).decode()
    return int(float(text.split("vllm:num_requests_running{", 1)[1].split("} ", 1)[1].split("\n")[0]))


def running():
    return sum(map(running_in, engines()))


@SMOKE
def test_a_change_of_settings_cuts_no_stream(site):
    site.deploy(num_replicas=2)
    before = engines()
    futures = site.streams(16, 400)
    site.deploy(num_replicas=2, served_model_name="renamed")
    results = [future.result(120) for future in futures]
    assert all(result.whole for result in results), [(r.status, r.done, r.errors) for r in results]
    assert not set(before) & set(engines())
    assert site.post({"prompt": "x", "model": "renamed", "max_tokens": 1})[0] == 200


def test_a_replica_that_is_killed_takes_its_engine_along(site):
    site.deploy(num_replicas=2)
    engine = engines()[0]
    os.kill(parent_of(engine), signal.SIGKILL)
    wait_for(lambda: engine not in engines(), 1, "the engine ends with its replica")
    wait_for(lambda: len(engines()) == 2 and site.replicas() == 2, 60, "two replicas run")
    assert site.post({"prompt": "x", "max_tokens": 2})[0] == 200


def test_an_engine_that_hangs_is_replaced_and_its_streams_are_told(site):
    site.deploy(num_replicas=1)
    futures = site.streams(2, 1000)
    engine, = engines()
    os.kill(engine, signal.SIGSTOP)
    wait_for(lambda: engine not in engines(), 15, "the engine is gone")
    assert [len(future.result(5).errors) for future in futures] == [1, 1]
    assert site.post({"prompt": "x", "max_tokens": 2})[0] == 200


def test_a_burst_is_met_by_three_replicas_and_then_by_one(site):
    site.deploy(min_replicas=1, max_replicas=3, upscale_delay_s=1, downscale_delay_s=5)
    wait_for(lambda: site.replicas() == 1, 60, "one replica at rest")
    futures = site.streams(8, 900)
    wait_for(lambda: site.replicas() == 3, 45, "three replicas under load")
    assert all(future.result(120).whole for future in futures)
    wait_for(lambda: site.replicas() == 1, 60, "one replica at rest")


def test_requests_beyond_the_limits_are_refused_at_once(site):
    site.deploy(num_replicas=1, max_ongoing_requests=4, max_queued_requests=4, max_num_seqs=4)
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        began = time.monotonic()

        def one(_):
            code = site.post({"prompt": "x", "max_tokens": 100})[0]
            return code, time.monotonic() - began

        results = list(pool.map(one, range(40)))
    refused = [seconds for code, seconds in results if code in (429, 503)]
    served = [seconds for code, seconds in results if code == 200]
    assert len(served) >= 8 and len(refused) >= 20 and len(served) + len(refused) == 40
    assert max(refused) < max(served)
