"""The Debian package: what it says of itself, and a Debian that installs, runs, stops and purges it."""

import pathlib
import re
import shutil
import threading

import pytest

from conftest import CAPITAL, SLOW, SLOW_TOKENS, Client, free_port, run, wait_for


@pytest.mark.smoke
def test_the_package_needs_what_its_program_links(package, tmp_path):
    run("dpkg-deb", "-x", package, tmp_path)
    linked = re.findall(r"NEEDED +(\S+)", run("objdump", "-p", tmp_path / "usr/bin/pagoda"))
    depends = run("dpkg-deb", "-f", package, "Depends")
    for name in ("ssl", "curl", "fmt", "pcre2-8", "spdlog", "prometheus-cpp-core", "yaml-cpp", "utf8proc"):
        assert f"lib{name}" in depends and any(library.startswith(f"lib{name}.so") for library in linked)
    assert "adduser" in depends and "ca-certificates" in depends


@pytest.mark.smoke
def test_the_service_is_closed_to_all_that_it_does_not_use():
    unit = pathlib.Path(__file__).parent.parent.parent / "deploy" / "debian" / "pagoda.service"
    # Tenths of systemd's measure of exposure: 0 is best, 100 worst.
    run("systemd-analyze", "security", "--offline=true", "--threshold=15", unit)
    settings = dict(line.split("=", 1) for line in unit.read_text().splitlines() if "=" in line and line[0] != "#")
    assert int(settings["TimeoutStopSec"]) > 30, "the default of drain-timeout"


def test_lintian_finds_nothing_but_that_the_project_has_no_address(package):
    found = run("lintian", "--allow-root", package, check=False).splitlines()
    assert [line for line in found if "bogus-mail-host" not in line] == []
    assert len(found) == 2, "it has not run"


@pytest.fixture(scope="module")
def installed(machine, package):
    shutil.copy(package, machine.root / "pagoda.deb")
    machine.shell("apt-get update -qq; DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends ./pagoda.deb")
    return machine


def test_an_installation_brings_a_program_that_serves(installed):
    assert installed.shell("pagoda --version").startswith("pagoda ")
    assert "New Delhi" in installed.shell("pagoda run -p 'What is the capital of India?' --temperature 0")
    # It is for the administrator to say whom a server answers.
    assert "pagoda" not in installed.shell("ls /etc/systemd/system/multi-user.target.wants")


class Service:
    """The service of an installation, in a system that has booted."""

    def __init__(self, machine, inside):
        self._machine = machine
        self.inside = inside
        self.port = free_port()
        self.client = Client(self.port)

    def restart(self, settings):
        """Serves with these lines of settings."""
        (self._machine.root / "etc/pagoda/pagoda.yaml").write_text(f"port: {self.port}\n{settings}\n")
        self.inside("systemctl", "restart", "pagoda")
        self.wait_ready()

    def wait_ready(self):
        wait_for(self.client.is_ready, 30, lambda: self.inside("journalctl", "-u", "pagoda"))

    def property(self, name):
        return self.inside("systemctl", "show", "-P", name, "pagoda").strip()


@pytest.fixture(scope="module")
def service(installed):
    with installed.booted() as inside:
        yield Service(installed, inside)


def test_the_service_answers_and_writes_as_a_user_of_its_own(service):
    service.restart("quantization: q8_0")
    assert "New Delhi" in service.client.ask("/v1/chat/completions", CAPITAL)[1]["choices"][0]["message"]["content"]
    user = service.inside("ps", "-o", "user=", "-p", service.property("MainPID")).strip()
    assert user == "pagoda"
    assert service.inside("find", "/var/cache/pagoda", "-type", "f", "-user", "pagoda") != "", "no converted weights"


def test_stopping_the_service_lets_a_running_stream_end(service):
    service.restart(f"simulate: {SLOW[1]}")
    stopping = threading.Thread(target=service.inside, args=("systemctl", "stop", "pagoda"))
    assert service.client.stream(SLOW_TOKENS, stopping.start) == (SLOW_TOKENS, True)
    stopping.join()
    assert service.property("Result") == "success" and service.property("ActiveState") == "inactive"


def test_a_service_that_was_killed_comes_back(service):
    service.restart("")
    first = service.property("MainPID")
    service.inside("systemctl", "kill", "-s", "KILL", "pagoda")
    wait_for(lambda: service.property("MainPID") not in (first, "0"), 15, lambda: service.property("ActiveState"))
    service.wait_ready()


def test_another_installation_restarts_a_running_service_and_keeps_its_settings(service):
    service.restart("served-model-name: mine")
    first = service.property("MainPID")
    service.inside("dpkg", "--force-confold", "-i", "/pagoda.deb")
    service.wait_ready()
    assert service.property("MainPID") != first
    assert service.client.request("GET", "/v1/models")[1]["data"][0]["id"] == "mine"


def test_a_purge_stops_the_service_and_leaves_nothing(installed, service):
    service.restart("")
    service.inside("systemctl", "enable", "pagoda")
    service.inside("dpkg", "--purge", "pagoda")
    assert not service.client.is_ready()
    left = run("find", installed.root, "-xdev", "(", "-path", "*/proc", "-o", "-path", "*/sys", ")", "-prune", "-o",
               "-name", "*pagoda*", "-print").split()
    assert left == [str(installed.root / "pagoda.deb")]
