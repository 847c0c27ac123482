"""How engines are started, set up, interrupted and replaced. No Ray."""

import logging
import pathlib
import threading
import time

import pytest

import pagoda
from pagoda import lint, status
from pagoda._scaling import engine_policy
from pagoda._supervisor import Supervisor
from pagoda.engine import EngineError

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MODEL = ROOT / "models" / "demo"


def served_name(server):
    return server.request("GET", "/v1/models")["data"][0]["id"]


def test_settings_may_hold_any_character_and_paths():
    with pagoda.Server(MODEL, served_model_name="모델 😀") as server:
        assert served_name(server) == "모델 😀"


def test_settings_win_over_variables_and_other_variables_hold(monkeypatch):
    monkeypatch.setenv("PAGODA_SERVED_MODEL_NAME", "of-the-environment")
    monkeypatch.setenv("PAGODA_MAX_MODEL_LEN", "99")
    with pagoda.Server(MODEL, served_model_name="mine") as server:
        assert served_name(server) == "mine"
        assert server.request("GET", "/v1/models")["data"][0]["max_model_len"] == 99


def test_a_key_of_the_environment_is_used_by_both_sides(monkeypatch):
    monkeypatch.setenv("PAGODA_API_KEY", "a-key")
    with pagoda.Server(MODEL) as server:
        assert served_name(server) == "demo"


def test_a_server_that_never_started_is_stopped_at_once():
    began = time.monotonic()
    assert pagoda.Server(MODEL).stop() == 0
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("asked", [0, 1, 3])
def test_ranks_are_known_for_what_was_asked_for_and_for_nothing_else(asked):
    with pagoda.LLM(MODEL) as llm:
        params = pagoda.SamplingParams(temperature=2, seed=5, max_tokens=30, logprobs=asked)
        output = llm.generate("The capital of", params)[0].outputs[0]
    for step, token in zip(output.logprobs, output.token_ids):
        known = sorted(entry.rank for entry in step.values() if entry.rank is not None)
        assert known == list(range(1, asked + 1))
        assert {key for key, entry in step.items() if entry.rank is None} <= {token}
    assert any(len(step) > asked for step in output.logprobs), "no unlikely token was drawn"


def test_a_call_that_fails_ends_its_other_requests_and_the_next_works():
    with pagoda.LLM(MODEL, simulate="ttft=0,itl=50ms") as llm:
        began = time.monotonic()
        with pytest.raises(ValueError):
            llm.generate(["a", "b", {"prompt_token_ids": [-1]}], pagoda.SamplingParams(max_tokens=400))
        assert time.monotonic() - began < 5, "waited for 20 s of tokens that nobody wants"
        assert len(llm.generate("a", pagoda.SamplingParams(max_tokens=2))[0].outputs[0].token_ids) == 2


def test_an_engine_ends_with_the_object_that_started_it():
    llm = pagoda.LLM(MODEL)
    engine = llm._server
    del llm
    assert not engine.running


class FakeEngine:
    """Loads until it is told what came of it."""

    def __init__(self, settings, on_line):
        self.settings, self.socket, self.pid, self.exit_code = settings, "socket", 1, None
        self.ended, self.begun, self.loaded = threading.Event(), threading.Event(), threading.Event()
        self.start_error = None

    def start(self):
        self.begun.set()
        if self.start_error is not None:
            raise self.start_error

    def wait_ready(self, timeout):
        deadline = time.monotonic() + timeout
        while not self.loaded.wait(0.01):
            if self.ended.is_set() or time.monotonic() > deadline:
                raise EngineError("ended")

    def kill(self):
        self.ended.set()

    def stop(self, timeout):
        self.ended.set()

    def log_tail(self):
        return ""


class Factory:
    def __init__(self, *prepared):
        self._prepared = list(prepared)
        self.made = []

    def __call__(self, settings, on_line):
        engine = FakeEngine(settings, on_line)
        if self._prepared:
            self._prepared.pop(0)(engine)
        self.made.append(engine)
        return engine


def ready(engine):
    engine.loaded.set()


def refuses(engine):
    engine.start_error = OSError("no space left")


def supervised(*prepared):
    factory = Factory(*prepared)
    return Supervisor(logging.getLogger("test"), 8, 0, factory), factory


def wait_for(condition):
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_stop_does_not_wait_for_a_model_that_is_loading():
    supervisor, factory = supervised()
    loading = threading.Thread(target=lambda: pytest.raises(EngineError, supervisor.apply, {}))
    loading.start()
    wait_for(lambda: factory.made and factory.made[0].begun.is_set())
    began = time.monotonic()
    supervisor.stop()
    loading.join()
    assert time.monotonic() - began < 2


def test_an_exchange_is_known_as_one_until_the_next_engine_is_loaded():
    supervisor, factory = supervised(ready)
    supervisor.apply({"model": "a"})
    assert not supervisor.exchanging
    applying = threading.Thread(target=supervisor.apply, args=({"model": "b"},))
    applying.start()
    wait_for(lambda: len(factory.made) == 2)
    assert supervisor.exchanging and supervisor.socket is None
    factory.made[1].loaded.set()
    applying.join()
    assert not supervisor.exchanging and supervisor.socket == "socket"
    supervisor.stop()


def test_an_exchange_that_fails_is_known_as_a_failure_until_one_succeeds():
    supervisor, _ = supervised(ready, refuses, ready)
    supervisor.apply({"model": "a"})
    with pytest.raises(OSError):
        supervisor.apply({"model": "b"})
    assert "no space" in supervisor.failure and supervisor.socket is None
    supervisor.apply({"model": "b"})
    assert supervisor.failure is None and supervisor.socket == "socket"
    supervisor.stop()


def test_an_engine_is_started_again_whatever_stood_in_the_way_at_first():
    supervisor, factory = supervised(ready, refuses, ready)
    supervisor.apply({})
    factory.made[0].ended.set()
    wait_for(lambda: len(factory.made) == 3 and supervisor.socket is not None)
    supervisor.stop()


def test_the_policy_wants_whole_replicas():
    class Config:
        def get_target_ongoing_requests(self):
            return 4

    class Context:
        raw_metrics = {"waiting": {"a": 9.0}, "kv_usage": {"a": 0.5}}
        current_num_replicas, total_num_requests, capacity_adjusted_min_replicas = 1, 10, 1
        policy_state, config = None, Config()

    wanted, _ = engine_policy(Context())
    assert wanted == 4 and isinstance(wanted, int)


def test_lint_reads_the_arguments_of_build_app():
    def found(**args):
        return "\n".join(lint.problems({"applications": [{"import_path": "pagoda.serve:build_app", "args": args}]}))

    assert "max_ongoing_requests 8 is below the engine's batch of 64" in found(max_ongoing_requests=8)
    assert "graceful_shutdown_timeout_s 5 cuts" in found(graceful_shutdown_timeout_s=5)
    assert "never scales up" in found(max_ongoing_requests=64, target_ongoing_requests="100")
    assert found(max_ongoing_requests=8, max_num_seqs=8) == found() == ""


@pytest.mark.parametrize("config", [
    {"applications": "all"}, {"applications": ["one"]}, {"applications": [{"args": ["a"]}]},
    {"applications": [{"deployments": {"name": "a"}}]},
    {"applications": [{"deployments": [{"name": "a", "max_ongoing_requests": "many"}]}]},
    {"applications": [{"deployments": [{"name": "a", "autoscaling_config": 3}]}]}])
def test_lint_says_what_is_no_config_at_all(config):
    assert any("must be a" in line for line in lint.problems(config))


def test_lint_reads_every_document_of_a_file(tmp_path, capsys):
    pytest.importorskip("yaml")
    file = tmp_path / "file.yaml"
    file.write_text("kind: ConfigMap\nspec: text\n---\n---\nkind: RayService\nspec:\n  serveConfigV2: |\n"
                    "    applications:\n    - import_path: a:b\n      deployments:\n      - name: Slow\n")
    assert lint.main([str(file)]) == 1
    assert "Slow: max_ongoing_requests 5" in capsys.readouterr().out


def test_status_ends_with_the_last_code_when_watching_is_interrupted(monkeypatch, capsys):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(status, "fetch", lambda address: {"controller_info": {}})
    monkeypatch.setattr(status.time, "sleep", interrupt)
    assert status.main(["--watch"]) == status.NOT_RUNNING
