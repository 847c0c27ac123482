"""Arguments of the application that this release of Ray may not know. No cluster."""

import sys

import pydantic
import pytest

import pagoda.serve

SMOKE = pytest.mark.smoke


class _OlderAutoscalingConfig(pydantic.BaseModel):
    min_replicas: int = 1


@SMOKE
def test_a_policy_that_this_ray_would_drop_in_silence_is_refused(monkeypatch):
    monkeypatch.setattr(pagoda.serve, "AutoscalingConfig", _OlderAutoscalingConfig)
    with pytest.raises(ValueError, match="autoscaling: .* engine needs a newer one"):
        pagoda.serve.build_app({"autoscaling": "engine"})


@SMOKE
def test_a_router_that_this_ray_does_not_have_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray.serve.experimental", None)
    monkeypatch.delitem(sys.modules, "ray.serve.experimental.consistent_hash_router", raising=False)
    with pytest.raises(ValueError, match="affinity: .* no router for sessions"):
        pagoda.serve.build_app({"affinity": "session"})
