"""The way back of `join.cni`: what was applied is deleted, last first, and nodes forget the network."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from wizard.actions import Action, Run
from wizard.facts.pod_network import CNI_DIRECTORY, CNI_FILES, POD_NETWORK
from wizard.model import Context, Do, Known, Part, Plan, Risk
from wizard.stages import nodes

LIMIT = 900


def undo(ctx: Context, target: str, inverses: tuple[Action, ...]) -> Plan:
    """Where the cluster is gone, with what was applied in it, only files are left to be taken back."""
    there = ctx.see(POD_NETWORK, target).there
    back = inverses if there else tuple(each for each in inverses if not _asks_the_cluster(each))
    cleaned = {name: _cleaned(ctx, name) if there else () for name in nodes.every(ctx.cluster)}
    first = (*back, *cleaned.pop(target, ()))
    others = (Part(name, f"{name} forgets the pod network", away, limit=60) for name, away in cleaned.items() if away)
    parts = (Part(target, "take the pod network back", first, risk=Risk.BRIEF_INTERRUPTION, limit=LIMIT), *others)
    why = "pods are no longer connected, and no node is ready" if there else "the cluster is gone; files are left"
    return Do(why, parts, tuple(_notes(ctx)))


def _asks_the_cluster(action: Action) -> bool:
    return "network_delete " in action.shell() or "cilium uninstall" in action.shell()


def _cleaned(ctx: Context, name: str) -> tuple[Run, ...]:
    """After the agents are gone, which would write their files again."""
    seen = ctx.look(CNI_FILES, name)
    if not isinstance(seen, Known) or not seen.value.own:
        return ()
    paths = " ".join(shlex.quote(f"{CNI_DIRECTORY}/{each}") for each in seen.value.own)
    return (Run(("sh", "-c", f"rm -rf {paths}"), words=f"remove {paths}"),)


def _notes(ctx: Context) -> Iterator[str]:
    for name in nodes.every(ctx.cluster):
        if not isinstance(ctx.look(CNI_FILES, name), Known):
            yield f"{name} does not answer: remove the pod network's files from its {CNI_DIRECTORY} later."
    yield "Interfaces and packet filter rules of the pod network stay on each node until it restarts."
