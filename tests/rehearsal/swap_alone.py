"""The command with what `join.prerequisites` does about swap, and no more of it: for guests that become no nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from wizard import catalog, cli
from wizard.cluster import Cluster
from wizard.facts.kubeadm import KUBEADM
from wizard.facts.node_swap import SWAP
from wizard.model import AnyFact, Context, Do, Nothing, Part, Plan, Step
from wizard.stages import guests_silent, join, join_swap
from wizard.stages.join_area import NODE_FILES
from wizard.stages.join_prerequisites import STEP


def _plan(ctx: Context, target: str) -> Plan:
    lacks, actions = tuple(join_swap.lacks(ctx, target)), tuple(join_swap.actions(ctx, target))
    if not actions:
        return Nothing("no swap")
    return Do("; ".join(lacks), (Part(target, f"the system on {target}", actions, limit=120),))


def _facts(cluster: Cluster, target: str) -> Mapping[str, tuple[AnyFact[Any], ...]]:
    return {**guests_silent.facts(cluster, target), target: (SWAP, NODE_FILES, KUBEADM)}


def _alone(step: Step) -> Step:
    return replace(step, plan=_plan, facts=_facts, needs=()) if step.id == STEP.id else step


def main() -> None:
    catalog.STAGES = tuple(
        replace(stage, steps=tuple(map(_alone, stage.steps))) if stage.id == join.STAGE.id else stage
        for stage in catalog.STAGES
    )
    cli.main()
