"""Step `verify.reboot`: the cluster comes back by itself after each node and the hypervisor restarted (DOMAIN S14).

Only when named. How to read it: the boot in which each machine is when the test begins is noted on the hypervisor.
Whoever is in another boot later on has been restarted, so a test that was cut off goes on where it was, from whatever
machine. That all nodes came back, and in which time, is noted there too, with a digest of what was tested.

That note says nothing about anything else, and no script could: whether every step before holds again, their own plans
say, from what is seen now. Two of them rest on measurements, which count when they are newer than the note. So the test
is passed when the engine looks at it afterwards, as after every step: it finds the measurements too old, and makes them
anew (`Doer.look`), be it in the run that restarted the machines, in one that went on, or on another machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from wizard.actions import RESTART, Run
from wizard.cluster import Cluster
from wizard.facts.kube_nodes import KUBE_NODES, KubeNodes
from wizard.facts.kube_system import NAMESPACES
from wizard.facts.ours import OURS, Ours
from wizard.facts.reboot_test import REBOOT_TEST, RECORD, CameBack, RebootTest, UnderWay
from wizard.marks import read_there
from wizard.model import (
    HYPERVISOR,
    AnyFact,
    Blocked,
    Context,
    Do,
    Fact,
    FactUnknown,
    Known,
    Nothing,
    Part,
    Plan,
    Risk,
    Seen,
    Step,
    Unseen,
)
from wizard.stages import (
    bridge,
    firewall,
    guests,
    isolated,
    join,
    nodes,
    preflight,
    verify_nodes,
    verify_peers,
    verify_pods,
)

ANSWERS = 600
"""Seconds for a machine to boot and answer."""
READY = 420
"""Seconds for a node to be Ready again once it answers: the API may have to come back first, and the pod network."""
PODS = 300
TOO_OLD = 2 * 60 * 60
"""Seconds after which a test that was not ended is begun anew: boots since then prove nothing."""
EARLIER: tuple[Step, ...] = (
    *preflight.STAGE.steps,
    *bridge.STAGE.steps,
    *firewall.STAGE.steps,
    *isolated.STAGE.steps,
    *guests.STAGE.steps,
    *join.STAGE.steps,
    verify_nodes.STEP,
    verify_peers.STEP,
    verify_pods.STEP,
)
"""What must hold again afterwards."""


def targets(cluster: Cluster) -> tuple[str, ...]:
    return (HYPERVISOR,) if nodes.first(cluster) else ()


def facts(cluster: Cluster, target: str) -> Mapping[str, tuple[AnyFact[Any], ...]]:
    found: dict[str, dict[str, AnyFact[Any]]] = {HYPERVISOR: {REBOOT_TEST.id: REBOOT_TEST}}
    for step in EARLIER:
        for each in step.targets(cluster):
            for host, some in step.facts(cluster, each).items():
                found.setdefault(host, {}).update({fact.id: fact for fact in some})
    return {host: tuple(some.values()) for host, some in found.items()}


def plan(ctx: Context, target: str) -> Plan:
    [first] = nodes.first(ctx.cluster)
    if not ctx.see(KUBE_NODES, first).there:
        return Blocked("verify.pods", "there is no cluster yet")
    seen, tested = ctx.see(REBOOT_TEST), subject(ctx.cluster)
    if seen.came_back and seen.came_back.subject == tested:
        return _holds(ctx, seen.came_back)
    begun = seen.under_way
    if begun and (begun.subject != tested or begun.age > TOO_OLD or begun.boots.keys() != set(_machines(ctx.cluster))):
        begun = None
    return Do(_why(ctx, seen.came_back, begun), tuple(_parts(ctx, tested, begun)), tuple(_notes(ctx.cluster)))


def subject(cluster: Cluster) -> str:
    """A digest of what the owner wants of hosts and cluster."""
    about = {"bridge", "firewall", "isolated", "kubernetes", "guests"}
    # Only what is written there: a key that a later version adds is no change. A Cni is no model of pydantic's.
    wanted = cluster.model_dump_json(include=about, exclude_unset=True, warnings=False)
    return hashlib.sha256(wanted.encode()).hexdigest()


# ---------------------------------------------------------------- afterwards


def _holds(ctx: Context, noted: CameBack) -> Plan:
    ready = f"all nodes were Ready within {noted.seconds} s of the hypervisor's restart"
    when = f"on {noted.at:%Y-%m-%d %H:%M} UTC {ready}"
    broken = list(_broken(ctx, noted.at))
    if broken:
        name, why = broken[0]
        more = f"; and {len(broken) - 1} more" if broken[1:] else ""
        return Blocked(name, f"{when}; since then: {why}{more}")
    again = "and since then all that was set up is as wanted, and every check holds"
    return Nothing(f"{when}, {again}; `undo verify.reboot` forgets it, to test again")


def _broken(ctx: Context, since: datetime) -> Iterator[tuple[str, str]]:
    """Earlier steps that do not hold, as far as is known `since` then, and why."""
    for step in EARLIER:
        for target in step.targets(ctx.cluster):
            if why := next(_not_measured(ctx, step, target, since), "") or _not_as_wanted(ctx, step, target):
                yield f"{step.id}@{target}", why


def _not_measured(ctx: Context, step: Step, target: str, since: datetime) -> Iterator[str]:
    """Of a check step: why what it measures is not known from after that."""
    for host, facts in step.facts(ctx.cluster, target).items():
        for fact in facts if step.only_checks else ():
            if isinstance(fact, Fact) and fact.costly:
                seen = ctx.look(fact, host)
                if isinstance(seen, Unseen):
                    yield seen.reason
                elif seen.at and datetime.fromisoformat(seen.at) < since:
                    yield "not measured again"


def _not_as_wanted(ctx: Context, step: Step, target: str) -> str:
    try:
        found = step.plan(ctx, target)
    except FactUnknown as unknown:
        return unknown.reason
    return "" if isinstance(found, Nothing) else found.why


# ---------------------------------------------------------------- what is done


def _machines(cluster: Cluster) -> tuple[str, ...]:
    """In the order in which they restart: workers, then control planes, the first of them last, then the hypervisor."""
    return (*reversed(nodes.every(cluster)), HYPERVISOR)


def _parts(ctx: Context, tested: str, begun: UnderWay | None) -> Iterator[Part]:
    boots = begun.boots if begun else {name: ctx.see(OURS, name).boot_id for name in _machines(ctx.cluster)}
    if begun is None:
        noted = tuple(f"{name}={boot}" for name, boot in boots.items())
        words = "note in which boot each machine is"
        yield Part(HYPERVISOR, words, (Run(("reboot_begin", tested, *noted), words),))
    last_to_come = ctx.see(OURS).boot_id == boots[HYPERVISOR]
    for name in _machines(ctx.cluster)[:-1]:
        to_come = ctx.see(OURS, name).boot_id == boots[name]
        if to_come:
            yield Part(name, f"restart {name}", (RESTART,), risk=Risk.RESTARTS_MACHINE, restarts=True)
        if to_come or last_to_come:
            yield _back(name)
    if last_to_come:
        when = Run(("reboot_note", "restarted"), "note when the hypervisor was asked to restart")
        words = "restart the hypervisor, and all guests with it"
        yield Part(HYPERVISOR, words, (when, RESTART), risk=Risk.RESTARTS_MACHINE, restarts=True)
    for name in nodes.every(ctx.cluster):
        yield _back(name)
    [first] = nodes.first(ctx.cluster)
    words = "note when all nodes were Ready again"
    yield Part(HYPERVISOR, words, (Run(("reboot_note", "ready"), words),))
    words = "wait until Kubernetes' own pods run again"
    yield Part(first, words, (Run(("system_pods_back", str(PODS), *NAMESPACES), f"{words} (at most {PODS} s)"),))
    words = "note that all nodes came back, and in which time"
    yield Part(HYPERVISOR, words, (Run(("reboot_came_back", tested), words, undo=Run(("rm", "-f", RECORD))),))


def _back(name: str) -> Part:
    words = f"wait until {name} is Ready again"
    back = Run(("node_back", name, str(READY)), f"{words} (at most {READY} s)")
    return Part(name, words, (back,), answers_within=ANSWERS)


# ---------------------------------------------------------------- what is said


def _why(ctx: Context, before: CameBack | None, begun: UnderWay | None) -> str:
    if begun:
        left = [name for name in _machines(ctx.cluster) if ctx.see(OURS, name).boot_id == begun.boots[name]]
        return f"begun {begun.age // 60} min ago; still to restart: {', '.join(left) or 'none, only to be looked at'}"
    if before:
        return f"cluster.yaml has changed since the last test, on {before.at:%Y-%m-%d %H:%M} UTC"
    return "nobody has tried yet whether the cluster comes back by itself"


def _notes(cluster: Cluster) -> Iterator[str]:
    yield (
        "Each guest restarts twice, alone and with the hypervisor. Nothing is drained before, as in a power cut: "
        "what runs on one node only is away meanwhile, some minutes in all."
    )
    if away := [guest.name for guest in cluster.guests if guest.physical]:
        yield f"{', '.join(away)} is a machine of its own: it restarts alone, and not with the hypervisor."
    if cluster.hypervisor.ssh.rpartition("@")[2] in ("localhost", "127.0.0.1", "::1"):
        yield (
            "The wizard runs on the hypervisor, so it ends when that restarts. "
            "Start it again afterwards, and apply verify.reboot once more: it goes on where it was."
        )


def look(cluster: Cluster, target: str) -> tuple[str, ...]:
    return (f"cat {RECORD}", *(f"ssh {cluster.destination(name) or name} uptime -s" for name in _machines(cluster)))


def fresh(cluster: Cluster) -> Mapping[tuple[str, str], Seen]:
    """A cluster that nobody has restarted yet."""
    boot = Known(Ours(machine_id="", boot_id=read_there("cat /proc/sys/kernel/random/boot_id")))
    return {
        (HYPERVISOR, REBOOT_TEST.id): Known(RebootTest()),
        **{(name, KUBE_NODES.id): Known(KubeNodes()) for name in nodes.first(cluster)},
        **{(name, OURS.id): boot for name in _machines(cluster)},
    }


STEP = Step(
    id="verify.reboot",
    title="Back after a restart",
    why="A power cut will come. Better you see now whether all comes back by itself, and how long that takes.",
    plan=plan,
    facts=facts,
    needs=("verify.nodes", "verify.peers", "verify.pods"),
    targets=targets,
    fresh=fresh,
    look=look,
    only_named=True,
)
