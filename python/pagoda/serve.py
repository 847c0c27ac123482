"""A Ray Serve application: replicas of `pagoda serve` behind Ray's proxies.

    ray start --head
    serve run pagoda.serve:build_app model=/models/Llama-3.2-1B-Instruct

Ray places replicas, restarts them, routes requests and scales; the engine is the program that runs on one
machine, so its API is the same to the byte. docs/scale-out.md has the rest.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import time
from typing import Any, Dict, Mapping, Optional

import ray
from ray import serve
from ray.serve.config import AutoscalingConfig

from pagoda._relay import EngineLost, Receive, Scope, Send, get_json, relay, send_unavailable, Unavailable
from pagoda._supervisor import Supervisor
from pagoda.engine import normalized

_logger = logging.getLogger("ray.serve")

_MAX_UNANSWERED = 2  # health checks in a row
# An engine's end is seen in its connections first: meanwhile its socket may still take new ones, and lose them.
_DOUBT_S = 0.1

# What clients must not read in the cluster's dashboard, where a user_config is shown.
_SECRETS = ("api-key", "admin-key", "ssl-keyfile-password")


# Settings that may name a file of the folder where the application is built.
_FILES = ("model", "chat-template", "api-key-file", "ssl-certfile", "ssl-keyfile")


class _Ingress:
    """The ASGI application of a replica: all it does is find the replica that it runs in."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": message["type"] + ".complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        if scope["type"] != "http":
            return  # the engine has no WebSocket
        await serve.get_replica_context().servable_object.handle(scope, receive, send)


class PagodaReplica:
    """One replica: an engine, and the relay in front of it.

    settings:         of the engine; those of user_config stand above them
    hold_timeout:     seconds that a request waits for an engine that is being started again; an exchange of
                      engines has the limits of its drain and of its start, and is waited for
    stall_timeout:    seconds without a step, while requests run, after which the engine counts as hung
    """

    def __init__(self, settings: Dict[str, Any], startup_timeout: float, drain_timeout: float,
                 hold_timeout: float, stall_timeout: float) -> None:
        self._settings = {"log-level": "warning", **settings}
        self._settings.setdefault("admin-key", secrets.token_hex(16))
        self._admin_key = self._settings["admin-key"]
        self._hold_timeout = hold_timeout
        self._stall_timeout = stall_timeout
        self._supervisor = Supervisor(_logger, startup_timeout, drain_timeout)
        self._steps = (-1, time.monotonic())
        self._num_unanswered = 0
        self._doubted = ""  # a socket whose engine may be ending
        self._doubted_until = 0.0

    async def reconfigure(self, user_config: Optional[Mapping[str, Any]]) -> None:
        """Called by Serve at the start and whenever user_config changes: loads the model that it names."""
        settings = {**self._settings, **normalized(user_config or {})}
        self._admin_key = settings["admin-key"]
        await asyncio.get_running_loop().run_in_executor(None, self._supervisor.apply, settings)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One HTTP request. Waits while there is no engine, or one that has just ended."""
        deadline = time.monotonic() + self._hold_timeout
        while True:
            path = self._supervisor.socket
            if path is not None and (path != self._doubted or time.monotonic() > self._doubted_until):
                try:
                    if not await relay(path, scope, receive, send):
                        self._doubt(path)
                    return
                except Unavailable:
                    pass  # nothing of the request is read before there is a connection
                except EngineLost:
                    self._doubt(path)
                    raise
            if self._supervisor.exchanging:
                # Answers of any length may drain first. Serve sends new requests elsewhere, but for those on their way.
                deadline = time.monotonic() + self._hold_timeout
            elif time.monotonic() > deadline or self._supervisor.failure is not None:
                return await send_unavailable(send, "the engine is being started")
            await asyncio.sleep(0.02)

    def _doubt(self, path: str) -> None:
        self._doubted, self._doubted_until = path, time.monotonic() + _DOUBT_S

    async def _state(self) -> Dict[str, Any]:
        path = self._supervisor.socket
        if path is None:
            raise EngineLost("the engine is being started")
        state = await get_json(path, "/debug/state", {"authorization": f"Bearer {self._admin_key}"})
        engine: Dict[str, Any] = state["engine"]
        return engine

    async def check_health(self) -> None:
        """Called by Serve; raising has the replica replaced.

        An engine that hangs is ended here, so that its streams are told and it starts again: Serve would first wait
        for those streams.
        """
        if self._supervisor.failure is not None:
            raise RuntimeError(self._supervisor.failure)
        if self._supervisor.socket is None:
            return  # loading, which has a limit of its own
        try:
            engine = await self._state()
        except (EngineLost, OSError, TimeoutError, Unavailable) as error:
            self._num_unanswered += 1
            if self._num_unanswered >= _MAX_UNANSWERED:
                self._num_unanswered = 0
                self._supervisor.end_hung(str(error))
            return
        self._num_unanswered = 0
        stats = engine["stats"]
        busy = stats["num_running"] + stats["num_waiting"] > 0
        now = time.monotonic()
        if not busy or stats["num_steps"] != self._steps[0]:
            self._steps = (stats["num_steps"], now)
        stalled = max(now - self._steps[1], engine["step_running_s"])
        if stalled > self._stall_timeout:
            self._supervisor.end_hung(f"no step for {stalled:.0f} s while requests wait")

    async def record_autoscaling_stats(self) -> Dict[str, float]:
        """Called by Serve for policies that look into the engine."""
        try:
            stats = (await self._state())["stats"]
        except (EngineLost, OSError, TimeoutError, Unavailable):
            return {}
        total = max(1, stats["num_total_blocks"])
        return {"waiting": float(stats["num_waiting"]), "running": float(stats["num_running"]),
                "kv_usage": 1.0 - (stats["num_free_blocks"]) / total}

    async def __del__(self) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self._supervisor.stop)


# Arguments of build_app that are Serve's; every other one is a setting of the engine.
_DEFAULTS: Dict[str, Any] = {
    "num_replicas": None,  # a fixed number; without one the three below
    "min_replicas": 1,
    "max_replicas": 3,
    "target_ongoing_requests": 1,
    "autoscaling": "requests",
    "upscale_delay_s": 5,
    "downscale_delay_s": 60,
    "max_ongoing_requests": 128,
    "max_queued_requests": 256,
    "affinity": "none",
    "num_cpus": 1,
    "graceful_shutdown_timeout_s": 300,
    "health_check_period_s": 5,
    "startup_timeout_s": 1800,
    "hold_timeout_s": 30,
    "stall_timeout_s": 120,
}


def _as_number(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return int(value)
    except ValueError:
        pass
    try:
        return float(value)
    except ValueError:
        raise ValueError(f"{name}: must be a number, not {value!r}") from None


def _options(args: Mapping[str, Any]) -> Dict[str, Any]:
    options = dict(_DEFAULTS)
    for name in _DEFAULTS:
        if args.get(name) is not None:
            value = args[name]
            options[name] = value if name in ("autoscaling", "affinity") else _as_number(name, value)
    return options


def _settings(args: Mapping[str, Any]) -> Dict[str, Any]:
    settings = normalized({name: value for name, value in args.items() if name not in _DEFAULTS})
    if not settings.get("model"):
        settings.pop("model", None)
    # The replicas have a working folder of their own.
    for name in _FILES:
        if isinstance(settings.get(name), str) and os.path.exists(settings[name]):
            settings[name] = os.path.abspath(settings[name])
    return settings


def _scaling(options: Mapping[str, Any]) -> Dict[str, Any]:
    if options["num_replicas"] is not None:
        return {"num_replicas": options["num_replicas"]}
    config: Dict[str, Any] = {
        "min_replicas": options["min_replicas"],
        "max_replicas": options["max_replicas"],
        "target_ongoing_requests": options["target_ongoing_requests"],
        # Ray's own defaults ask for a replica some 50 s after a burst, and 600 s to let it go.
        "upscale_delay_s": options["upscale_delay_s"],
        "downscale_delay_s": options["downscale_delay_s"],
        "look_back_period_s": 10,
        "metrics_interval_s": 2,
    }
    if options["autoscaling"] == "engine":
        # Fields that a release does not have are dropped by it in silence.
        if "policy" not in (getattr(AutoscalingConfig, "model_fields", None) or AutoscalingConfig.__fields__):
            raise ValueError(f"autoscaling: Ray {ray.__version__} takes no policy of its applications; "
                             "engine needs a newer one")
        config["policy"] = {"policy_function": "pagoda._scaling:engine_policy"}
    elif options["autoscaling"] != "requests":
        raise ValueError(f"autoscaling: must be requests or engine, not {options['autoscaling']!r}")
    return {"autoscaling_config": AutoscalingConfig(**config)}


def _routing(options: Mapping[str, Any]) -> Dict[str, Any]:
    if options["affinity"] == "none":
        return {}
    classes = {"session": "ray.serve.experimental.consistent_hash_router:ConsistentHashRouter"}
    if options["affinity"] not in classes:
        raise ValueError(f"affinity: must be none or session, not {options['affinity']!r}")
    try:
        from ray.serve.config import RequestRouterConfig

        return {"request_router_config": RequestRouterConfig(request_router_class=classes[options["affinity"]])}
    except ImportError as error:
        raise ValueError(f"affinity: Ray {ray.__version__} has no router for {options['affinity']}s: {error}") from error


def build_app(args: Dict[str, Any]) -> Any:
    """The application, for `serve run` and for `import_path` of a config file.

    args:  those of _DEFAULTS, and settings of the engine (docs/settings.md), among them `model`
    """
    options = _options(args)
    settings = _settings(args)
    drain = max(1, int(options["graceful_shutdown_timeout_s"]) - 10)
    shown = {name: value for name, value in settings.items() if name not in _SECRETS}
    deployment = serve.deployment(
        name="Pagoda",
        max_ongoing_requests=options["max_ongoing_requests"],
        max_queued_requests=options["max_queued_requests"],
        graceful_shutdown_timeout_s=options["graceful_shutdown_timeout_s"],
        graceful_shutdown_wait_loop_s=1,
        health_check_period_s=options["health_check_period_s"],
        health_check_timeout_s=10,
        ray_actor_options={"num_cpus": options["num_cpus"]},
        # Never empty: Serve starts the engine by handing it over.
        user_config=shown or {"log-level": "warning"},
        logging_config={"enable_access_log": False},
        **_scaling(options),
        **_routing(options),
    )(serve.ingress(_Ingress())(PagodaReplica))
    return deployment.bind(settings, options["startup_timeout_s"], drain, options["hold_timeout_s"],
                           options["stall_timeout_s"])
