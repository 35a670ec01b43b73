"""How `bridge.port` is taken back, however often it was applied: from create, move and change to before the first."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import replace

from wizard.actions import Action, OnUndo, RestoreFile, Run, TakeBack, Wait
from wizard.model import HYPERVISOR, Do, Finding, Guard, Part, Plan, Refused, Risk
from wizard.stages.bridge_change import COME_BACK, LIMIT, RELOAD, RESTART, SETTLE, announce, interruption, let_go
from wizard.stages.bridge_claims import as_now, probe
from wizard.stages.bridge_files import released_path
from wizard.stages.bridge_scene import Scene

RELEASED = re.compile(re.escape(released_path("NIC")).replace("NIC", "(.+)"))
LETS_GO = re.compile(r"^sh -c .* nomaster")
AT_THE_END = re.compile(r"^await |^bash |^networkctl reload")
WAITED_FOR = re.compile(r" ([0-9a-f.:]+)/\d+ ")
"""An address in the test that the way back waits for (`bridge_claims.has_address`)."""


def take_back(scene: Scene, inverses: tuple[Action, ...]) -> Plan:
    """Refused while something else still depends on a bridge that would go."""
    goes = any(isinstance(each, TakeBack) and "ip link delete" in each.line for each in inverses)
    if goes and (findings := tuple(_dependants(scene))):
        return Refused(findings)
    part = Part(
        on=HYPERVISOR,
        title=f"take back {scene.wanted.name} with port {scene.wanted.port}",
        actions=(*_forward_again(scene), *_backward(scene, inverses)),
        risk=Risk.MAY_CUT_SSH if scene.carries_ssh else interruption(scene),
        guard=_guard(scene, inverses) if scene.carries_ssh else None,
        limit=LIMIT,
    )
    what = f"{scene.wanted.name} goes" if goes else f"{scene.wanted.name} goes back to its former port and files"
    return Do(f"{what}; the files are as they were before", (part,))


def _dependants(scene: Scene) -> Iterator[Finding]:
    """Guests' taps, other software's ports, and guests that would find no bridge at their next start."""
    name = scene.wanted.name
    networks = [network.name for network in scene.networks if name in (network.bridge, network.live_bridge)]
    for domain in scene.domains:
        if domain.uses_bridge(name) or any(domain.uses_network(network) for network in networks):
            state = "is running on" if domain.active else "is defined on"
            cure = f"move it to another network, or shut it down and remove that NIC: virsh domiflist {domain.name}"
            yield Finding("in-use", f"the guest {domain.name} {state} {name}", cure, domain.name)
    taps = {nic.tap for domain in scene.domains for nic in domain.live_interfaces}
    for link in scene.passengers:
        if link.name not in taps:
            why = f"{link.name} ({link.kind or 'a link'}) hangs in {name}, and is not the wizard's"
            yield Finding("in-use", why, f"take it out first: ip link set {link.name} nomaster", link.name)


def _backward(scene: Scene, inverses: tuple[Action, ...]) -> Iterator[Action]:
    """In two stages, as the way there: no NIC returns to the bridge before the present one has left it."""
    commands = [each for each in inverses if isinstance(each, TakeBack)]
    restored = [each for each in inverses if isinstance(each, RestoreFile)]
    returning = [each for each in restored if RELEASED.fullmatch(each.path)]
    yield from (each for each in restored if each not in returning)
    yield from (each for each in commands if LETS_GO.search(each.line))
    if nics := [RELEASED.fullmatch(each.path)[1] for each in returning]:  # type: ignore[index]
        yield OnUndo(let_go(scene, *nics))
    yield from returning
    yield from (each for each in commands if not (LETS_GO.search(each.line) or AT_THE_END.search(each.line)))
    yield from _settle(commands)
    yield from (each for each in inverses if not isinstance(each, RestoreFile | TakeBack))


def _settle(commands: list[TakeBack]) -> Iterator[Action]:
    before = waited_for(commands)
    if any(each.line == shlex.join(RELOAD) for each in commands):
        yield Run(RELOAD)
        yield Run(RESTART, unless=replace(before, limit=COME_BACK).argv())
    yield before
    yield from (each for each in commands if each.line.startswith("bash "))


def waited_for(commands: list[TakeBack]) -> Wait:
    """What the ways back wait for. Of a link that several applications touched, the earliest knows how it was."""
    words = (shlex.split(each.line) for each in commands if _waits(each))
    tests = {about: test for _await, _seconds, about, _sh, _c, test in words}
    return Wait(("sh", "-c", " && ".join(tests.values()) or "true"), SETTLE, "the network is as it was before")


def _waits(command: TakeBack) -> bool:
    return command.line.startswith("await ") and " || " not in command.line


def _forward_again(scene: Scene) -> Iterator[Action]:
    """Under the guard: if the undoing is not confirmed, the bridge is built again from our files, which are back."""
    for link in scene.touched:
        yield from (OnUndo(run) for run in announce(scene, link.name, [each.interface for each in link.addresses]))
    now = Wait(probe(claim for claims in as_now(scene).values() for claim in claims), SETTLE, "all is as it was")
    yield OnUndo(Run(now.argv(), words=now.summary))
    yield OnUndo(Run(RESTART, unless=replace(now, limit=COME_BACK).argv()))
    yield OnUndo(Run(RELOAD))


def _guard(scene: Scene, inverses: tuple[Action, ...]) -> Guard:
    """The host answers where it did before; the addresses are those that the way back waits for."""
    before = [found for each in inverses if isinstance(each, TakeBack) for found in WAITED_FOR.findall(each.line)]
    now = [scene.ssh.address] if scene.ssh else []
    return Guard(tuple(dict.fromkeys([*now, *before])))
