"""`pagoda status`: what a Ray cluster serves, from its REST API."""

from __future__ import annotations

import argparse
import http.client
import json
import os
import pathlib
import sys
import time
import urllib.error
import urllib.request
from typing import Any, Dict, List, Optional, Tuple

RUNNING, NOT_RUNNING, UNREACHABLE = 0, 1, 2  # exit codes


def _token() -> Optional[str]:
    """The cluster's token, where Ray's own commands find it."""
    if os.environ.get("RAY_AUTH_TOKEN"):
        return os.environ["RAY_AUTH_TOKEN"]
    path = os.environ.get("RAY_AUTH_TOKEN_PATH") or str(pathlib.Path.home() / ".ray" / "auth_token")
    try:
        return pathlib.Path(path).read_text().strip() or None
    except OSError:
        return None


def fetch(address: str, timeout: float = 10) -> Any:
    """`GET /api/serve/applications/`; OSError or ValueError when there is no such answer."""
    request = urllib.request.Request(address.rstrip("/") + "/api/serve/applications/")
    token = _token()
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=timeout) as reply:
        return json.load(reply)


def _replicas(deployment: Dict[str, Any]) -> str:
    states: Dict[str, int] = {}
    for replica in deployment.get("replicas") or []:
        states[replica["state"]] = states.get(replica["state"], 0) + 1
    wanted = deployment.get("target_num_replicas")
    shown = ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "none"
    return shown if wanted is None else f"{shown} of {wanted}"


def describe(details: Dict[str, Any]) -> Tuple[List[str], bool]:
    """Lines for people, and whether all is well: proxies HEALTHY and every application RUNNING."""
    lines = []
    # The API has no status of the controller: it names its actor while that lives.
    controller = bool((details.get("controller_info") or {}).get("actor_id"))
    lines.append(f"Controller    {'HEALTHY' if controller else 'not running'}")
    proxies = details.get("proxies") or {}
    for node, proxy in sorted(proxies.items()):
        lines.append(f"Proxy         {proxy['status']}  (node {node[:8]}, {proxy.get('node_ip', '?')})")
    applications = details.get("applications") or {}
    for name, application in sorted(applications.items()):
        lines.append(f"Application   {application['status']}  {name}, route {application.get('route_prefix')}")
        if application.get("message"):
            lines.append(f"    {application['message'].strip()}")
        for title, deployment in sorted((application.get("deployments") or {}).items()):
            lines.append(f"  Deployment  {deployment['status']}  {title}, replicas: {_replicas(deployment)}")
            if deployment.get("message"):
                lines.append(f"    {deployment['message'].strip()}")
    if not applications:
        lines.append("Application   none")
    well = (controller and bool(applications) and bool(proxies)
            and all(proxy["status"] == "HEALTHY" for proxy in proxies.values())
            and all(application["status"] == "RUNNING" for application in applications.values()))
    return lines, well


def main(arguments: List[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="pagoda status", description="What a Ray cluster serves. Exit code 0: all proxies are HEALTHY and all "
        "applications RUNNING; 1: not so; 2: no answer.")
    parser.add_argument("--address", default=os.environ.get("RAY_API_SERVER_ADDRESS", "http://127.0.0.1:8265"),
                        help="of Ray's dashboard (default: $RAY_API_SERVER_ADDRESS, else %(default)s)")
    parser.add_argument("--watch", action="store_true", help="show it again every two seconds")
    parser.add_argument("--json", action="store_true", help="print Ray's own answer")
    options = parser.parse_args(arguments)
    while True:
        try:
            details = fetch(options.address)
            lines, well = describe(details)
        except urllib.error.HTTPError as error:
            print(f"pagoda status: {options.address}: HTTP status {error.code}"
                  + (" (the cluster wants RAY_AUTH_TOKEN)" if error.code == 401 else ""), file=sys.stderr)
            return UNREACHABLE
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError, AttributeError) as error:
            print(f"pagoda status: {options.address}: {error}", file=sys.stderr)
            return UNREACHABLE
        print(json.dumps(details, indent=2) if options.json else "\n".join(lines), flush=True)
        code = RUNNING if well else NOT_RUNNING
        if not options.watch:
            return code
        try:
            time.sleep(2)
        except KeyboardInterrupt:
            return code
        print()
