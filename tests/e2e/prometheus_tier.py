"""The Grafana board and the alert rules against a real Prometheus: `./dev test metrics`.

Each expression of the board must give data, and each of the rules must be evaluated and have the series it reads,
from a server that has had every kind of traffic.
"""

import contextlib
import json
import re
import subprocess
import time

import httpx
import pytest
import yaml

import harness

BOARD = json.loads((harness.ROOT / "deploy/grafana/pagoda.json").read_text())
RULES = harness.ROOT / "deploy/prometheus/alerts.yml"


def wait_for(what, condition, seconds=40):
    deadline = time.monotonic() + seconds * harness.PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.2)


def give_traffic(server):
    """Answers, repeated text (so that tokens are guessed), shared prefixes, refusals, a client that leaves."""
    for _ in range(3):
        server.answer(harness.CAPITAL)
        server.answer(harness.COUNT)
    server.http.post("/v1/completions", json={"prompt": "a b c d a b c d a b c", "max_tokens": 64, "ignore_eos": True})
    server.http.post("/v1/chat/completions", json={"messages": []})
    server.http.get("/nothing")
    stream = server.stream(harness.STORY, max_tokens=2000, ignore_eos=True)
    next(stream)
    stream.close()


class Prometheus:
    def __init__(self, folder, server):
        config = yaml.safe_load((harness.ROOT / "deploy/prometheus/prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(RULES)]
        config["scrape_configs"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{server.port}"]
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        self.port = harness.free_port()
        self.log = open(folder / "log", "w")
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
             f"--web.listen-address=127.0.0.1:{self.port}"], stdout=self.log, stderr=self.log)
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=20)

    def get(self, path, **params):
        reply = self.http.get(f"/api/v1/{path}", params=params).json()
        assert reply["status"] == "success", f"{params}: {reply}"
        return reply["data"]

    def is_ready(self):
        with contextlib.suppress(httpx.TransportError):
            return self.http.get("/-/ready").status_code == 200
        return False

    def stop(self):
        self.process.terminate()
        self.process.wait(20)
        self.log.close()


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory):
    with harness.Server() as server:
        running = Prometheus(tmp_path_factory.mktemp("prometheus"), server)
        try:
            wait_for("Prometheus", running.is_ready)
            wait_for("a first scrape", lambda: running.get("query", query="vllm:num_requests_running")["result"])
            # Rates need a counter that was there before it grew, and labelled ones are born when they are first needed.
            for _ in range(4):
                give_traffic(server)
                time.sleep(1.5)
            yield running
        finally:
            running.stop()


def expressions():
    for panel in BOARD["panels"]:
        for target in panel.get("targets", []):
            yield pytest.param(target["expr"], id=f"{panel['title']}-{target['refId']}")


def is_number(sample):
    return sample["value"][1] != "NaN"


@pytest.mark.parametrize("expression", list(expressions()))
def test_every_panel_shows_data(prometheus, expression):
    query = (expression.replace("$__rate_interval", "1m").replace("$job", ".*").replace("$instance", ".*"))
    assert "$" not in query
    result = prometheus.get("query", query=query)["result"]
    assert result and any(is_number(sample) for sample in result), query


def test_the_boards_variables_have_values(prometheus):
    for variable in BOARD["templating"]["list"]:
        series, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]).groups()
        found = prometheus.get("series", **{"match[]": series.replace("$job", ".*")})
        assert {each.get(label) for each in found} - {None, ""}


def test_every_alert_is_evaluated_without_error_and_reads_series_that_exist(prometheus):
    wait_for("evaluations", lambda: all(rule["health"] != "unknown" for group in prometheus.get("rules")["groups"]
                                        for rule in group["rules"]))
    rules = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
    assert len(rules) == len(yaml.safe_load(RULES.read_text())["groups"][0]["rules"])
    for rule in rules:
        assert rule["health"] == "ok", rule
        for name in set(re.findall(r"\b(?:pagoda_|vllm:|process_|up\b)\w*", rule["query"])):
            assert prometheus.get("query", query=name)["result"], f"{rule['name']} reads {name}, which nobody has"


def test_the_board_and_the_rules_are_quiet_about_a_healthy_server(prometheus):
    firing = [alert["labels"]["alertname"] for alert in prometheus.get("alerts")["alerts"] if alert["state"] == "firing"]
    assert firing == []


def test_promtool_accepts_rules_and_configuration():
    for arguments in (["rules", RULES], ["config", harness.ROOT / "deploy/prometheus/prometheus.yml"]):
        done = subprocess.run(["promtool", "check", *map(str, arguments)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
