"""`pagoda lint-config`: mistakes in a Ray Serve config file that Ray itself passes over in silence."""

from __future__ import annotations

import argparse
import sys
from typing import Any, Dict, Iterator, List, Optional

_DEAD_KEYS = {
    "target_num_ongoing_requests_per_replica": "Ray drops it in silence; write target_ongoing_requests",
    "max_concurrent_queries": "Ray drops it in silence; write max_ongoing_requests",
    "serviceUnhealthySecondThreshold": "KubeRay no longer reads it",
    "deploymentUnhealthySecondThreshold": "KubeRay no longer reads it",
}
_DEFAULT_MAX_ONGOING = 5
_DEFAULT_BATCH = 64
_LONG_ANSWER_S = 60
_DEFAULT_GRACE_S = 20
# Arguments of build_app by which it sets up its deployment.
_OURS = ("max_ongoing_requests", "graceful_shutdown_timeout_s", "num_replicas")


class _Malformed(Exception):
    """The file has something else where Ray wants a mapping, a list or a number."""


def _mapping(value: Any, what: str) -> Dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _Malformed(f"{what}: must be a mapping")
    return value


def _mappings(value: Any, what: str) -> List[Dict[str, Any]]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise _Malformed(f"{what}: must be a list")
    return [_mapping(inner, f"{what}.{index}") for index, inner in enumerate(value)]


def _number(values: Dict[str, Any], key: str, what: str) -> Optional[float]:
    value = values.get(key)
    if value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        raise _Malformed(f"{what}: {key}: must be a number, not {value!r}") from None


def _keys(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield f"{path}{key}"
            yield from _keys(inner, f"{path}{key}.")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _keys(inner, f"{path}{index}.")


def _deployments(application: Dict[str, Any], args: Dict[str, Any], ours: bool) -> List[Dict[str, Any]]:
    """What Ray will see: build_app sets up one by its arguments, and one that the file names has the last word."""
    listed = _mappings(application.get("deployments"), "deployments")
    if not ours:
        return listed
    base = {key: args[key] for key in _OURS if args.get(key) is not None}
    if "num_replicas" not in base and args.get("target_ongoing_requests") is not None:
        base["autoscaling_config"] = {"target_ongoing_requests": args["target_ongoing_requests"]}
    return [{**base, **deployment} for deployment in listed or [{"name": "Pagoda"}]]


def _deployment_problems(deployment: Dict[str, Any], args: Dict[str, Any], ours: bool) -> Iterator[str]:
    name = str(deployment.get("name", "?"))
    settings = {key.replace("-", "_"): value
                for key, value in {**args, **_mapping(deployment.get("user_config"), f"{name}: user_config")}.items()}
    # build_app has good values of its own.
    limit = _number({"max_ongoing_requests": None if ours else _DEFAULT_MAX_ONGOING, **deployment},
                    "max_ongoing_requests", name)
    batch = _number(settings, "max_num_seqs", name) or _DEFAULT_BATCH
    if limit is not None and limit < batch:
        yield f"{name}: max_ongoing_requests {limit:g} is below the engine's batch of {batch:g}, which can never fill"
    grace = _number({"graceful_shutdown_timeout_s": None if ours else _DEFAULT_GRACE_S, **deployment},
                    "graceful_shutdown_timeout_s", name)
    if grace is not None and grace < _LONG_ANSWER_S:
        yield f"{name}: graceful_shutdown_timeout_s {grace:g} cuts answers that take longer, whenever a replica stops"
    scaling = _mapping(deployment.get("autoscaling_config"), f"{name}: autoscaling_config")
    target = _number(scaling, "target_ongoing_requests", name)
    if target is not None and limit is not None and target > limit:
        yield f"{name}: target_ongoing_requests {target:g} is above max_ongoing_requests {limit:g}: it never scales up"
    if scaling and deployment.get("num_replicas") not in (None, "auto"):
        yield f"{name}: num_replicas and autoscaling_config exclude each other"


def _application_problems(application: Dict[str, Any]) -> Iterator[str]:
    args = _mapping(application.get("args"), "args")
    ours = str(application.get("import_path", "")).startswith("pagoda.serve")
    for deployment in _deployments(application, args, ours):
        yield from _deployment_problems(deployment, args, ours)


def problems(config: Any) -> List[str]:
    """One line for each mistake."""
    if not isinstance(config, dict):
        return ["the file is no mapping"]
    found = [f"{path}: {_DEAD_KEYS[key]}" for path in _keys(config) for key in [path.rsplit(".", 1)[-1]]
             if key in _DEAD_KEYS]
    try:
        for application in _mappings(config.get("applications"), "applications"):
            found += _application_problems(application)
    except _Malformed as error:
        found.append(str(error))
    return found


def _unwrapped(document: Any, load: Any) -> Any:
    """The Serve config of a KubeRay RayService, which holds it as text; other documents as they are."""
    spec = document.get("spec") if isinstance(document, dict) else None
    text = spec.get("serveConfigV2") if isinstance(spec, dict) else None
    inner = load(text) if isinstance(text, str) else None
    return {**inner, "spec": spec} if isinstance(inner, dict) else document


def main(arguments: List[str]) -> int:
    parser = argparse.ArgumentParser(prog="pagoda lint-config", description="Finds mistakes in a Ray Serve config file "
                                     "that Ray passes over in silence. Exit code 1 when there are any.")
    parser.add_argument("file")
    options = parser.parse_args(arguments)
    try:
        import yaml  # comes with Ray
    except ImportError:
        print("pagoda lint-config: needs PyYAML, which comes with Ray", file=sys.stderr)
        return 2
    try:
        with open(options.file, encoding="utf-8") as file:
            documents = [_unwrapped(document, yaml.safe_load) for document in yaml.safe_load_all(file)]
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        print(f"pagoda lint-config: {error}", file=sys.stderr)
        return 2
    # Manifests stand together in a file, with nothing between two lines of dashes at times.
    found = [line for document in documents if document is not None for line in problems(document)]
    if all(document is None for document in documents):
        found = ["the file is no mapping"]
    for line in found:
        print(f"{options.file}: {line}")
    return 1 if found else 0
