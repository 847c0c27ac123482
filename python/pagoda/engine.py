"""`pagoda serve` as a child process: how it is started, awaited, drained and never left behind."""

from __future__ import annotations

import collections
import http.client
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any, Callable, Deque, Dict, List, Mapping, Optional

from pagoda._http import UnixConnection

_PACKAGE = pathlib.Path(__file__).resolve().parent
_MAX_SOCKET_PATH = 100  # the kernel's limit is 107


class EngineError(RuntimeError):
    """The engine did not start, or ended. The message has the last lines of its log."""


def find_binary() -> str:
    """The `pagoda` program: $PAGODA_BIN, the wheel's own, the build folder of a checkout, the PATH."""
    given = os.environ.get("PAGODA_BIN")
    if given:
        if not os.access(given, os.X_OK):
            raise EngineError(f"PAGODA_BIN: {given} is not a program")
        return given
    for path in (_PACKAGE / "bin" / "pagoda", _PACKAGE.parent.parent / "build" / "release" / "pagoda"):
        if os.access(path, os.X_OK):
            return str(path)
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        path = pathlib.Path(folder) / "pagoda"
        # A script of that name is the console command of this very package.
        if os.access(path, os.X_OK | os.R_OK) and path.is_file():
            with path.open("rb") as file:
                if file.read(4) == b"\x7fELF":
                    return str(path)
    raise EngineError("the pagoda program is neither in this package nor on the PATH; set PAGODA_BIN")


def normalized(settings: Mapping[str, Any]) -> Dict[str, Any]:
    """Settings by the names of docs/settings.md: `max_num_seqs` is `max-num-seqs`. None means unset."""
    return {key.replace("_", "-"): value for key, value in settings.items() if value is not None}


def variable(setting: str) -> str:
    """The environment variable of a setting."""
    return "PAGODA_" + setting.replace("-", "_").upper()


class Engine:
    """One `pagoda serve` process.

    It runs in a process group of its own, so that a Ctrl-C meant for the parent leaves it to be drained, and
    dies with its parent, however that ends. Settings go by a file that only this user can read, since a
    command line is seen by everybody. They win over variables of the same name. Thread-safe.

    settings:  names and values of docs/settings.md; names of Python (`max_num_seqs`) do too
    place:     command-line arguments that say where to listen; none: a Unix socket, `socket`
    on_line:   is called with each line of the log, on a thread of its own
    """

    def __init__(self, settings: Mapping[str, Any], *, place: Optional[List[str]] = None,
                 binary: Optional[str] = None, environment: Optional[Mapping[str, str]] = None,
                 on_line: Optional[Callable[[str], None]] = None) -> None:
        self.settings = normalized(settings)
        self.ended = threading.Event()
        self._binary = binary or find_binary()
        self._environment = dict(os.environ if environment is None else environment)
        for name in self.settings:
            self._environment.pop(variable(name), None)
        self._on_line = on_line
        self._tail: Deque[str] = collections.deque(maxlen=40)
        self._folder = tempfile.mkdtemp(prefix="pagoda-")
        if len(self._folder) > _MAX_SOCKET_PATH - 10:
            os.rmdir(self._folder)
            self._folder = tempfile.mkdtemp(prefix="pagoda-", dir="/tmp")
        self.socket = os.path.join(self._folder, "socket")
        self._place = ["--uds", self.socket] if place is None else place
        self._process: Optional[subprocess.Popen[str]] = None
        self._start_error: Optional[BaseException] = None
        self._started = threading.Event()
        # The kernel ties "die with the parent" to the thread that started the child, so one thread starts
        # it, reads its log, and lives until it has ended.
        self._thread = threading.Thread(target=self._run, name="pagoda-engine", daemon=True)

    def start(self) -> None:
        """Starts the process; it may still be loading when this returns."""
        self._thread.start()
        self._started.wait()
        if self._start_error is not None:
            raise EngineError(f"cannot start {self._binary}: {self._start_error}")

    def _run(self) -> None:
        settings_file = os.path.join(self._folder, "settings.yaml")
        try:
            # JSON is YAML, but for the two halves in which it escapes a character beyond 16 bits.
            text = json.dumps(self.settings, ensure_ascii=False, default=os.fspath)
            with open(os.open(settings_file, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
                file.write(os.fsencode(text))
            command = [self._binary, "serve", "--config", settings_file, *self._place,
                       "--parent-pid", str(os.getpid())]
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                errors="replace", start_new_session=True, env=self._environment)
        except BaseException as error:
            self._start_error = error
            shutil.rmtree(self._folder, ignore_errors=True)
            self.ended.set()
            self._started.set()
            return
        self._started.set()
        try:
            self._read_log(self._process)
        finally:
            self._process.wait()
            shutil.rmtree(self._folder, ignore_errors=True)
            self.ended.set()

    def _read_log(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        with process.stdout as log:
            for line in log:
                self._tail.append(line.rstrip("\n"))
                if self._on_line is not None:
                    self._on_line(line.rstrip("\n"))

    @property
    def pid(self) -> int:
        assert self._process is not None, "the engine was not started"
        return self._process.pid

    @property
    def exit_code(self) -> Optional[int]:
        """None while it runs; negative: the signal that ended it."""
        return None if self._process is None else self._process.returncode

    def log_tail(self) -> str:
        """The last lines of its log."""
        return "\n".join(list(self._tail))

    def _probe(self) -> int:
        connection = UnixConnection(self.socket, timeout=5)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status
        finally:
            connection.close()

    def wait_ready(self, timeout: float, probe: Optional[Callable[[], int]] = None) -> None:
        """Returns when the model is loaded; raises EngineError when the process ends or time runs out.

        probe:  gives the status of /health; by default asks on the Unix socket
        """
        deadline = time.monotonic() + timeout
        pause = 0.01
        while True:
            try:
                if (probe or self._probe)() == 200:
                    return
            except (OSError, http.client.HTTPException):
                pass
            if self.ended.wait(pause):
                raise EngineError(f"the engine ended with exit code {self.exit_code}:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise EngineError(f"the engine was not ready in {timeout:g} s:\n{self.log_tail()}")
            pause = min(pause * 1.5, 0.5)

    def terminate(self) -> None:
        """Asks it to drain: no new requests, running ones go on until its drain-timeout."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if self._process is not None and not self.ended.is_set():
            self._process.send_signal(number)

    def stop(self, timeout: float) -> int:
        """Drains, kills what is left after `timeout` seconds, and returns the exit code; 0 if it never started."""
        if not self._started.is_set():
            shutil.rmtree(self._folder, ignore_errors=True)
            return 0
        self.terminate()
        if not self.ended.wait(timeout):
            self.kill()
        self.ended.wait(10)
        code = self.exit_code
        return -signal.SIGKILL if code is None else code


def to_stderr(line: str) -> None:
    """Where the log of an engine goes that has no better place."""
    print(line, file=sys.stderr, flush=True)
