"""The way back of `join.pin`, and when it has to be gone: before the isolated network is (DOMAIN S12, S13).

What join.pin set is put back by its notes. Calico that join.cni pinned from its beginning has none: then the LAN is
told, as join.cni would have without an isolated network. Where the wizard did not install the pod network, its
addresses are somebody else's doing and stay; what they rest on is not taken away all the same.
"""

from __future__ import annotations

import shlex

from wizard.actions import Action
from wizard.facts.kube_nodes import KUBE_NODES
from wizard.facts.pod_network import POD_NETWORK, PodNetwork
from wizard.model import Context, Do, Nothing, Part, Plan, Risk
from wizard.stages import join_cni_calico
from wizard.stages.join_pin_ways import MOVED, RESTARTED, Way, told_to, way_of

LIMIT = RESTARTED + MOVED + 60
STANDS_ON = ("isolated", "guests.attach", "guests.address")
TITLE = "the pod network goes back"


def undo(ctx: Context, target: str, inverses: tuple[Action, ...]) -> Plan:
    """What was set before; where the cluster is gone, so is what was set in it."""
    network = ctx.see(POD_NETWORK, target)
    if not inverses:
        return _as_seen(ctx, target, network)
    if not network.there:
        return Do("the cluster is gone, and with it what was set", (Part(target, "close the notes", ()),))
    part = Part(target, TITLE, inverses, risk=Risk.BRIEF_INTERRUPTION, limit=LIMIT)
    return Do("the pod network finds nodes' addresses as before", (part,))


def _as_seen(ctx: Context, target: str, network: PodNetwork) -> Plan:
    way = _pinned(ctx, network)
    if way is None:
        return Nothing("nothing that the wizard did is left of it")
    detection = join_cni_calico.on_the_lan(ctx)
    told = told_to(way, network.detection, detection)
    if network.applied is None:
        return Nothing(f"{_words(way)}; the wizard did not set that. You can end it: `{shlex.join(told.argv)}`")
    awaited = (way.told_otherwise,) if way.by_operator else ()
    actions = (told, *awaited, way.restarted)
    there = " and ".join(detection.get("cidrs", ())) or "their InternalIPs"
    part = Part(target, TITLE, actions, risk=Risk.BRIEF_INTERRUPTION, limit=LIMIT)
    return Do(f"{_words(way)} since the pod network was installed; it is to take them from {there}", (part,))


def stands(ctx: Context, target: str, under: str) -> str:
    """Not on what a guest has that is no node of the cluster."""
    way = _pinned(ctx, ctx.see(POD_NETWORK, target))
    guests = {guest.name for guest in ctx.cluster.guests}
    if way is None or (under in guests and ctx.see(KUBE_NODES, target).get(under) is None):
        return ""
    return _words(way)


def _pinned(ctx: Context, network: PodNetwork) -> Way | None:
    isolated = ctx.cluster.isolated
    way = way_of(network, isolated.cidr) if isolated and network.there else ""
    return way if isinstance(way, Way) and way.pinned else None


def _words(way: Way) -> str:
    return f"{way.title} takes nodes' addresses from {way.cidr}"
