"""The container image in Podman, and the Debian package in a Debian whose systemd runs."""

import contextlib
import http.client
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
IMAGE = ROOT / "build" / "pagoda-image.tar"
MODEL = ROOT / "models" / "demo"
CAPITAL = {"messages": [{"role": "user", "content": "What is the capital of India?"}]}
# Three seconds of stream, whatever the machine.
SLOW = ["--simulate", "ttft=50ms,itl=20ms"]
SLOW_TOKENS = 150

sys.path.insert(0, str(ROOT / "deploy" / "image"))


def run(*command, check=True, **options):
    """The command's output; its errors when it fails."""
    done = subprocess.run([str(part) for part in command], text=True, capture_output=True, timeout=300, **options)
    assert not check or done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what()}"
        time.sleep(0.05)


class Client:
    """Of a server on loopback."""

    def __init__(self, port):
        self.port = port

    def request(self, method, path, body=None):
        """Status and JSON; (0, None) while nobody listens."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            try:
                connection.request(method, path, body and json.dumps(body), {"Content-Type": "application/json"})
                reply = connection.getresponse()
                return reply.status, json.load(reply)
            except OSError:
                return 0, None

    def is_ready(self):
        return self.request("GET", "/health")[0] == 200

    def ask(self, path, body):
        """Asks the model that is served."""
        return self.request("POST", path, {"model": self._model(), **body})

    def _model(self):
        return self.request("GET", "/v1/models")[1]["data"][0]["id"]

    def stream(self, tokens, on_first):
        """Number of tokens that came, and whether the stream's end did; calls `on_first` behind the first token."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            body = {"model": self._model(), "prompt": "a", "max_tokens": tokens, "stream": True}
            connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
            events = [b""]
            for line in connection.getresponse():
                if line.startswith(b"data: "):
                    events.append(line[6:].strip())
                    if len(events) == 2:
                        on_first()
        texts = [event for event in events[1:-1] if json.loads(event)["choices"][0]["text"]]
        return len(texts), events[-1] == b"[DONE]"


class Podman:
    """Podman with a store of its own, on machines without systemd or with few rights too."""

    def __init__(self, folder):
        self._folder = folder
        self._store = ["--root", str(folder / "store"), "--runroot", str(folder / "run"), "--tmpdir", str(folder / "tmp")]
        configuration = folder / "containers.conf"
        # Below what the machine allows: raising a limit takes a right that not everybody's root has.
        limits = ['"nofile=1024:1024"', '"nproc=1024:1024"']
        manager = "systemd" if pathlib.Path("/run/systemd/system").is_dir() else "cgroupfs"
        # runc, as Debian's crun refuses the cgroups of both versions at once.
        configuration.write_text(f'[containers]\ndefault_ulimits=[{",".join(limits)}]\n'
                                 f'[engine]\nruntime="runc"\ncgroup_manager="{manager}"\nevents_logger="file"\n')
        self._environment = {**os.environ, "CONTAINERS_CONF": str(configuration)}

    def __call__(self, *arguments, check=True):
        return run("podman", *self._store, *arguments, check=check, env=self._environment)

    def close(self):
        """Removes the store. Not by `podman system reset`, which takes the machine's networks along."""
        self("rmi", "--all", "--force")
        self("volume", "prune", "--force")
        overlay = self._folder / "store" / "overlay"
        if os.path.ismount(overlay):
            run("umount", overlay)
        shutil.rmtree(self._folder)

    def logs(self, name):
        """What a container has written, to either stream."""
        done = subprocess.run(["podman", *self._store, "logs", name], text=True, env=self._environment,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        return done.stdout

    @contextlib.contextmanager
    def serving(self, image, *arguments, options=()):
        """A container with the model as a volume, and its client, when it is ready."""
        port = free_port()
        name = f"pagoda-{port}"
        self("run", "--detach", "--name", name, "--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges",
             "--network", "host", "--env", "PAGODA_HOST=127.0.0.1", "--env", f"PAGODA_PORT={port}",
             "--volume", f"{MODEL}:/models/demo:ro", *options, image, "serve", "/models/demo", *arguments)
        try:
            client = Client(port)
            wait_for(client.is_ready, 30, lambda: self.logs(name))
            yield name, client
        finally:
            self("rm", "--force", "--time", "0", "--volumes", name)


@pytest.fixture(scope="session")
def podman(tmp_path_factory):
    the_podman = Podman(tmp_path_factory.mktemp("podman"))
    yield the_podman
    the_podman.close()


@pytest.fixture(scope="session")
def image(podman):
    loaded = podman("load", "--input", IMAGE)
    return loaded.rsplit(":", 2)[-2].strip() + ":" + loaded.rsplit(":", 1)[-1].strip()


class Machine:
    """A Debian whose systemd runs in namespaces, on this machine's network."""

    def __init__(self, root):
        self.root = root
        self._process = None

    def shell(self, script):
        """Runs a script in it, as root, without its systemd."""
        return run("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--pipe", "-D", self.root, "sh", "-ec", script)

    @contextlib.contextmanager
    def booted(self):
        """Gives a function that runs a command beside its services."""
        self._process = subprocess.Popen(
            ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot", "-D", str(self.root)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(lambda: self._leader() is not None, 10, lambda: "no first process")
            leader = self._leader()

            def inside(*command, check=True):
                return run("nsenter", "-t", leader, "-a", *command, check=check)

            wait_for(lambda: inside("systemctl", "is-system-running", check=False).strip() in ("running", "degraded"),
                     60, lambda: inside("systemctl", "list-jobs", check=False))
            yield inside
        finally:
            self._process.terminate()
            self._process.wait(30)

    def _leader(self):
        children = pathlib.Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return children[0] if children else None


@pytest.fixture(scope="session")
def machine(tmp_path_factory):
    """A fresh one for these tests, unpacked from an archive that is kept in build/."""
    base = ROOT / "build" / "debian-12.tar"
    if not base.exists():
        sources = pathlib.Path("/etc/apt/sources.list.d/debian.sources")
        run("mmdebstrap", "--variant=minbase", "--include=systemd,systemd-sysv,dbus,procps", "bookworm", f"{base}.part.tar",
            *([sources] if sources.exists() else []))
        os.rename(f"{base}.part.tar", base)
    root = tmp_path_factory.mktemp("debian")
    run("tar", "-xf", base, "-C", root)
    yield Machine(root)
    run("rm", "-rf", root)


@pytest.fixture(scope="session")
def package():
    return next((ROOT / "build").glob("pagoda_*.deb"))
