"""An autoscaling policy that looks into the engines: waiting requests and the use of their caches."""

from __future__ import annotations

import math
from typing import Any, Dict, List, Mapping, Tuple

_BUSY_KV_USAGE = 0.85
_IDLE_KV_USAGE = 0.4


def wanted_replicas(current: int, ongoing: float, target: float, waiting: float, kv_usage: float) -> float:
    """How many replicas the load asks for.

    One more for each `target` requests that wait in engines; one more when the caches are nearly full; and
    fewer only when nothing waits, the caches are mostly free and the requests fit into fewer replicas.
    """
    if waiting > 0:
        return current + max(1.0, waiting / target)
    if kv_usage > _BUSY_KV_USAGE:
        return current + 1
    if kv_usage < _IDLE_KV_USAGE:
        return min(current, ongoing / target)
    return current


def _values(metrics: Any) -> List[float]:
    """Latest values of a metric by replica: numbers, or series of (time, value)."""
    values = []
    for series in dict(metrics or {}).values():
        last = series[-1] if isinstance(series, (list, tuple)) and series else series
        last = getattr(last, "value", last)
        if isinstance(last, (int, float)):
            values.append(float(last))
    return values


def engine_policy(ctx: Any) -> Tuple[int, Dict[str, Any]]:
    """For Serve's autoscaling_config.policy, which wants whole replicas. Bounds and delays are Serve's."""
    metrics: Mapping[str, Any] = ctx.raw_metrics or {}
    waiting = sum(_values(metrics.get("waiting")))
    usage = _values(metrics.get("kv_usage"))
    wanted = wanted_replicas(max(1, ctx.current_num_replicas), ctx.total_num_requests,
                             ctx.config.get_target_ongoing_requests(), waiting,
                             sum(usage) / len(usage) if usage else 0.0)
    return max(math.ceil(wanted), ctx.capacity_adjusted_min_replicas), dict(ctx.policy_state or {})
