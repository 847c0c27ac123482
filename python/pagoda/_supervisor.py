"""Keeps one engine running: starts it again when it ends, and exchanges it for one with other settings."""

from __future__ import annotations

import collections
import logging
import threading
import time
from typing import Any, Callable, Deque, Dict, Mapping, Optional

from pagoda.engine import Engine, EngineError, normalized

_MAX_RESTARTS = 3
_RESTART_WINDOW_S = 120.0


class Supervisor:
    """The engine of one replica. Thread-safe; calls that block say so.

    startup_timeout:  seconds until a model must be loaded
    drain_timeout:    seconds that running requests may take when an engine is exchanged or stopped
    """

    def __init__(self, logger: logging.Logger, startup_timeout: float, drain_timeout: float,
                 make_engine: Callable[..., Engine] = Engine) -> None:
        self._logger = logger
        self._startup_timeout = startup_timeout
        self._drain_timeout = drain_timeout
        self._make_engine = make_engine
        self._exchange = threading.Lock()  # one start, exchange or stop at a time
        self._settings: Dict[str, Any] = {}
        self._engine: Optional[Engine] = None
        self._socket: Optional[str] = None
        self._stopping = False
        self._restarts: Deque[float] = collections.deque(maxlen=_MAX_RESTARTS + 1)
        self.failure: Optional[str] = None  # why it is not started again
        self.exchanging = False  # an engine drains, or the one that takes its place loads

    @property
    def socket(self) -> Optional[str]:
        """Where the engine listens; None while there is none that is ready."""
        return self._socket

    @property
    def pid(self) -> Optional[int]:
        return self._engine.pid if self._engine is not None else None

    def apply(self, settings: Mapping[str, Any]) -> None:
        """Runs an engine with these settings: starts it, or exchanges one whose settings differ.

        An exchange drains first, so that two models never share the memory. Blocks until the model is loaded;
        EngineError when it cannot be.
        """
        with self._exchange:
            wanted = {"drain-timeout": int(self._drain_timeout), **normalized(settings)}
            if self._engine is not None and wanted == self._settings:
                return
            self.exchanging = True
            self._socket = None
            try:
                if self._engine is not None:
                    old, self._engine = self._engine, None
                    old.stop(self._drain_timeout + 5)
                self._settings = wanted
                self.failure = None
                self._start()
            except Exception as error:
                self.failure = str(error)  # so that nobody waits for an engine that will not come
                raise
            finally:
                self.exchanging = False

    def _start(self) -> None:
        engine = self._make_engine(self._settings, on_line=lambda line: self._logger.info("engine: %s", line))
        engine.start()
        self._engine = engine
        try:
            if self._stopping:
                raise EngineError("no engine is started any more")
            engine.wait_ready(self._startup_timeout)
        except BaseException:
            self._engine = None
            engine.kill()
            raise
        self._socket = engine.socket
        threading.Thread(target=self._watch, args=(engine,), name="pagoda-watch", daemon=True).start()

    def _watch(self, engine: Engine) -> None:
        engine.ended.wait()
        while True:
            with self._exchange:
                if self._stopping or self._engine is not engine:
                    return
                self._socket = None
                self._logger.error("the engine ended with exit code %s:\n%s", engine.exit_code, engine.log_tail())
                now = time.monotonic()
                self._restarts.append(now)
                if sum(now - at < _RESTART_WINDOW_S for at in self._restarts) > _MAX_RESTARTS:
                    self.failure = f"the engine ended {_MAX_RESTARTS + 1} times in {_RESTART_WINDOW_S:g} s"
                    return
                try:
                    return self._start()
                except Exception as error:
                    self._logger.error("%s", error)
                    self._engine = engine  # so that the next turn knows whose place it takes
            time.sleep(1)

    def end_hung(self, reason: str) -> None:
        """Kills an engine that does nothing any more; it is started again like one that ended by itself."""
        engine = self._engine
        if engine is not None:
            self._logger.error("the engine hangs and is killed: %s", reason)
            engine.kill()

    def stop(self) -> None:
        """Drains and ends; an engine that is still loading is not waited for. Blocks."""
        self._stopping = True
        loading = self._engine
        if loading is not None and self._socket is None:
            loading.kill()
        with self._exchange:
            self._socket = None
            if self._engine is not None:
                self._engine.stop(self._drain_timeout + 5)
                self._engine = None
