"""What would be done on a freshly installed host, without looking at any: for a runbook made unconnected."""

from __future__ import annotations

from collections.abc import Iterable

from wizard.cluster import Cluster
from wizard.engine.planned import Planned
from wizard.engine.planning import plan_step
from wizard.model import Context, Stage


def planned_fresh(cluster: Cluster, stages: Iterable[Stage], guard_seconds: int) -> tuple[Planned, ...]:
    """Every step and target, each as if those before it had just been done."""
    return tuple(
        plan_step(Context(cluster, step.fresh(cluster)), step, target, {}, guard_seconds)
        for stage in stages
        for step in stage.steps
        for target in step.targets(cluster)
    )
