"""`pagoda lint-config`: mistakes in a Ray Serve config file that Ray itself passes over in silence."""

from __future__ import annotations

import argparse
import sys
from typing import Any, Dict, Iterator, List

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


def _keys(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield f"{path}{key}"
            yield from _keys(inner, f"{path}{key}.")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _keys(inner, f"{path}{index}.")


def _batch(args: Dict[str, Any], deployment: Dict[str, Any]) -> int:
    settings = {**args, **(deployment.get("user_config") or {})}
    return int(settings.get("max_num_seqs") or settings.get("max-num-seqs") or _DEFAULT_BATCH)


def _application_problems(application: Dict[str, Any]) -> Iterator[str]:
    args = application.get("args") or {}
    ours = str(application.get("import_path", "")).startswith("pagoda.serve")
    for deployment in application.get("deployments") or []:
        name = deployment.get("name", "?")
        # build_app sets these; a deployment of a config file that names one has the last word.
        limit = deployment.get("max_ongoing_requests", None if ours else _DEFAULT_MAX_ONGOING)
        batch = _batch(args, deployment)
        if limit is not None and limit < batch:
            yield f"{name}: max_ongoing_requests {limit} is below the engine's batch of {batch}, which can never fill"
        grace = deployment.get("graceful_shutdown_timeout_s", None if ours else _DEFAULT_GRACE_S)
        if grace is not None and grace < _LONG_ANSWER_S:
            yield f"{name}: graceful_shutdown_timeout_s {grace} cuts answers that take longer, whenever a replica stops"
        scaling = deployment.get("autoscaling_config") or {}
        target = scaling.get("target_ongoing_requests")
        if target is not None and limit is not None and target > limit:
            yield f"{name}: target_ongoing_requests {target} is above max_ongoing_requests {limit}: it never scales up"
        if scaling and deployment.get("num_replicas") not in (None, "auto"):
            yield f"{name}: num_replicas and autoscaling_config exclude each other"


def problems(config: Any) -> List[str]:
    """One line for each mistake."""
    if not isinstance(config, dict):
        return ["the file is no mapping"]
    found = [f"{path}: {_DEAD_KEYS[key]}" for path in _keys(config) for key in [path.rsplit(".", 1)[-1]]
             if key in _DEAD_KEYS]
    for application in config.get("applications") or []:
        found += _application_problems(application)
    return found


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
            config = yaml.safe_load(file)
        if isinstance(config, dict) and isinstance((config.get("spec") or {}).get("serveConfigV2"), str):
            config = {**yaml.safe_load(config["spec"]["serveConfigV2"]), "spec": config["spec"]}
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        print(f"pagoda lint-config: {error}", file=sys.stderr)
        return 2
    found = problems(config)
    for line in found:
        print(f"{options.file}: {line}")
    return 1 if found else 0
