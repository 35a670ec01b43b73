"""Stage `bridge`: guests share the LAN with their host, over a bridge that a network card is a port of.

How to read `bridge.port`: it looks at links, routes, networkd's files and its state, and at the path of our own
connection (`bridge_scene`). Twice it compares that with what is wanted: as it is now (`bridge_claims`), and as it will
be after the next boot (`bridge_files`). What is missing is brought about by one script (`bridge_change`): the way back
is noted, a former port is released, files are written, networkd reads them. A port that carries SSH is changed under
the guard. Undo (`bridge_undo`) is the same way back, from wherever the host is by then.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wizard.actions import Action
from wizard.cluster import Cluster
from wizard.facts.network import NAMESERVERS
from wizard.model import HYPERVISOR, AnyFact, Blocked, Context, Do, Finding, Nothing, Plan, Refused, Stage, Step
from wizard.stages import bridge_files, bridge_network, fresh
from wizard.stages.bridge_change import change
from wizard.stages.bridge_claims import as_wanted, missing
from wizard.stages.bridge_defaults import defaults
from wizard.stages.bridge_notes import mentions, notes
from wizard.stages.bridge_refusals import contradictions, obstacles
from wizard.stages.bridge_scene import FACTS, Scene
from wizard.stages.bridge_undo import take_back


def plan(ctx: Context, target: str) -> Plan:
    """The bridge has this port and these addresses: now, and after every boot."""
    if ctx.cluster.bridge is None:
        return Nothing("cluster.yaml asks for no bridge")
    scene = Scene.of(ctx, ctx.cluster.bridge)
    if findings := contradictions(scene):
        return Refused(findings)
    differs = differences(scene)
    if not differs:
        return Nothing(as_it_is(scene))
    if findings := obstacles(scene):
        return Refused(findings)
    if scene.port is not None and scene.port.carrier is False:
        return no_cable(scene)
    return Do("; ".join(differs), (change(scene),), notes(ctx, scene))


def differences(scene: Scene) -> tuple[str, ...]:
    """In words, what is not as wanted: now, or at the next boot, which another manager of the links is trusted with."""
    if scene.bridge is None:
        return (f"there is no {scene.wanted.name}",)
    at_boot = () if _manager(scene) else tuple(each.otherwise for each in bridge_files.unmet(scene))
    return missing(as_wanted(scene)) or at_boot


def as_it_is(scene: Scene) -> str:
    """Why there is nothing to do."""
    wanted = scene.wanted
    address = " and ".join(map(str, wanted.addresses)) or ("its address by DHCP" if wanted.dhcp else "no address")
    manager = _manager(scene) or "systemd-networkd"
    foreign = bridge_files.adopted(scene) if not _manager(scene) else ()
    by = f", from {', '.join(foreign)}, which stay as they are" if foreign else ""
    return f"{wanted.name} has port {wanted.port} and {address}, by {manager}{by}"


def no_cable(scene: Scene) -> Blocked:
    port = scene.wanted.port
    why = f"{port} has no carrier: no cable, or nothing at its other end"
    return Blocked("you", why, (Finding("no-carrier", why, f"plug {port}'s cable in, then try again", "bridge.port"),))


def undo(ctx: Context, target: str, inverses: tuple[Action, ...]) -> Plan:
    if ctx.cluster.bridge is None:
        why = "cluster.yaml has no `bridge` any more, so it is not known which links to look after"
        return Refused((Finding("no-bridge-section", why, "put the section back, then undo again", "bridge"),))
    return take_back(Scene.of(ctx, ctx.cluster.bridge), inverses)


def facts(cluster: Cluster, target: str) -> Mapping[str, tuple[AnyFact[Any], ...]]:
    named = (mentions(cluster.bridge.port),) if cluster.bridge else ()
    return {HYPERVISOR: (*FACTS, NAMESERVERS, *named)}


def _manager(scene: Scene) -> str:
    """Another program that manages the port or the bridge; empty for systemd-networkd."""
    owners = (scene.owners.of(name) for name in (scene.wanted.port, scene.wanted.name))
    return next((owner.program for owner in owners if owner), "")


PORT = Step(
    id="bridge.port",
    title="The bridge and its network card",
    why="Guests reach the LAN as machines of their own: the bridge is a switch inside the host, the network card its "
    "uplink. The host's own address moves from the card to the bridge.",
    plan=plan,
    facts=facts,
    needs=("preflight.hypervisor", "preflight.packages"),
    fields=(
        "bridge.name",
        "bridge.port",
        "bridge.addresses",
        "bridge.dhcp",
        "bridge.keep_mac",
        "bridge.gateway",
        "bridge.nameservers",
    ),
    defaults=defaults,
    undo=undo,
    fresh=fresh.bridge_port,
    look=fresh.look_at_bridge,
)

STAGE = Stage(
    id="bridge",
    title="Bridge",
    why="One network card carries the host and all guests, each with an address of its own on the LAN.",
    steps=(PORT, bridge_network.STEP),
)
