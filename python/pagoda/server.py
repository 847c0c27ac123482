"""`Server`: a server for the length of a `with` block."""

from __future__ import annotations

import http.client
import os
import re
import threading
import urllib.parse
from types import TracebackType
from typing import Any, Mapping, Optional, Type

from pagoda._http import UnixConnection, error_message, request_json
from pagoda.engine import Engine, EngineError, variable


class Server:
    """Runs `pagoda serve` until the block ends.

        with pagoda.Server("models/demo", max_num_seqs=8) as server:
            client = openai.OpenAI(base_url=server.base_url, api_key="none")

    Entering returns when the model is loaded; leaving drains, so running requests end first. The server dies
    with this process, however that ends. Thread-safe once entered.

    model:            folder, GGUF file or ORG/NAME on a hub; None: the one of PAGODA_MODEL, else the built-in demo model
    host, port:       where to listen; port 0 is any free one
    uds:              True or a path: listen on a Unix socket instead
    startup_timeout:  seconds until the model must be loaded
    drain_timeout:    seconds that running requests may take at the end
    settings:         any other setting of docs/settings.md, by its name with underscores
    """

    def __init__(self, model: "str | os.PathLike[str] | None" = None, *, host: str = "127.0.0.1", port: int = 0,
                 uds: "bool | str" = False, startup_timeout: float = 600, drain_timeout: float = 30,
                 environment: Optional[Mapping[str, str]] = None, **settings: Any) -> None:
        self._startup_timeout = startup_timeout
        self._drain_timeout = drain_timeout
        self._api_key: Optional[str] = None
        key = settings.get("api_key") or (os.environ if environment is None else environment).get(variable("api-key"))
        if key:
            self._api_key = key if isinstance(key, str) else key[0]
        settings = {"model": model, "drain_timeout": int(drain_timeout), **settings}
        place = None
        if isinstance(uds, str):
            place = ["--uds", uds]
        elif not uds:
            place = ["--host", host, "--port", str(port)]
        self._listening = threading.Event()
        self._url: Optional[str] = None
        self._engine = Engine(settings, place=place, environment=environment, on_line=self._read_line)

    def _read_line(self, line: str) -> None:
        found = re.match(r"pagoda \S+: listening on (\S+)", line)
        if found and not self._listening.is_set():
            self._url = found.group(1)
            self._listening.set()

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self.stop()

    def start(self) -> None:
        """Starts and waits until the model is loaded; EngineError with the log's end when that fails."""
        self._engine.start()
        try:
            self._engine.wait_ready(self._startup_timeout, self._health)
        except BaseException:
            self._engine.kill()
            raise

    def stop(self) -> int:
        """Drains and ends; the exit code of the server, 0 when all is well."""
        return self._engine.stop(self._drain_timeout + 5)

    def _health(self) -> int:
        if not self._listening.is_set():
            return 0
        connection = self.connect(timeout=5)
        try:
            return request_json(connection, "GET", "/health")[0]
        finally:
            connection.close()

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`, or `unix:PATH`."""
        if self._url is None:
            raise EngineError("the server was not started")
        return self._url

    @property
    def base_url(self) -> str:
        """What OpenAI clients are given."""
        return self.url + "/v1"

    @property
    def pid(self) -> int:
        return self._engine.pid

    @property
    def running(self) -> bool:
        return not self._engine.ended.is_set()

    def log_tail(self) -> str:
        """The last lines of the server's log."""
        return self._engine.log_tail()

    def connect(self, timeout: Optional[float] = None) -> http.client.HTTPConnection:
        """A new connection to the server. The caller closes it."""
        if self.url.startswith("unix:"):
            return UnixConnection(self.url[len("unix:"):], timeout)
        parts = urllib.parse.urlsplit(self.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        return kind(parts.hostname or "", parts.port, timeout=timeout)

    def request(self, method: str, path: str, body: Any = None, *,
                connection: Optional[http.client.HTTPConnection] = None) -> Any:
        """JSON of the reply. ValueError for what the server refuses, EngineError for what it cannot do."""
        own = connection or self.connect()
        headers = {"Authorization": f"Bearer {self._api_key}"} if self._api_key else None
        try:
            status, reply = request_json(own, method, path, body, headers)
        except (OSError, http.client.HTTPException) as error:
            raise EngineError(f"{path}: {error!r}\n{self.log_tail()}") from error
        finally:
            if connection is None:
                own.close()
        if status >= 500 or status == 429:
            raise EngineError(error_message(status, reply))
        if status >= 400:
            raise ValueError(error_message(status, reply))
        return reply
