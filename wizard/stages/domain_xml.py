"""A change of a domain's definition that can be taken back: the definition as it was is kept on the host.

Each step that changes a domain keeps it once, before its first change, with the passwords that may be in it (0600,
never a fact, never shown). The way back is `virsh define` of what was kept, which also brings back controllers that
libvirt had added by itself. What the step left, without passwords, lies beside it: undo is refused where it no longer
is what libvirt has (`templates/host/domains.sh`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from xml.etree import ElementTree

from wizard.actions import Action, OnUndo, Run, TakeBack, unified
from wizard.facts.libvirt import DOMAINS, Domain
from wizard.model import AnyFact, Context, Fact, Finding, Output

DIRECTORY = "/var/lib/homek8s-wizard/domains"
STEPS = ("guests.reach", "guests.attach")
"""The steps that change definitions, in their order."""
ADDED_BY_LIBVIRT = ("audio", "watchdog", "memballoon", "seclabel")
"""Devices that a newer libvirt writes into every definition by itself."""


@dataclass(frozen=True)
class Kept:
    """`before`: a definition is kept for the way back; `left` is the one that the step left, without passwords."""

    before: bool
    left: str | None


@cache
def kept(domain: str, step: str) -> Fact[Kept]:
    """What `step` keeps of `domain`."""
    before, after = _before(domain, step), _after(domain, step)
    command = f"[ -e {before} ] && echo kept || echo none; [ -e {after} ] && echo left && cat {after}"
    return Fact(f"definition {domain} {step}", command, _kept)


def _kept(output: Output) -> Kept:
    first, _, rest = output.text.partition("\n")
    word, _, xml = rest.partition("\n")
    return Kept(first == "kept", xml if word == "left" else None)


def facts(domain: str) -> tuple[AnyFact[Any], ...]:
    """What a step that changes `domain` looks at, so that it can be taken back."""
    return (DOMAINS, *(kept(domain, step) for step in STEPS))


def _before(domain: str, step: str) -> str:
    return f"{DIRECTORY}/{domain}.{step}.before.xml"


def _after(domain: str, step: str) -> str:
    return f"{DIRECTORY}/{domain}.{step}.after.xml"


def changing(domain: str, step: str, *actions: Action) -> Iterator[Action]:
    """These actions change the definition: it is kept before them, and what they leave is remembered."""
    before = _before(domain, step)
    yield Run(("keep_domain", domain, before), words=f"keep the definition of {domain} for the way back")
    yield OnUndo(Run(("define_again", domain, before)))
    yield from actions
    yield Run(("leave_domain", domain, before), words=f"note how {domain} is defined now")


# ---------------------------------------------------------------- the way back


def conflicts(ctx: Context, name: str, step: str, inverses: tuple[Action, ...]) -> Iterator[Finding]:
    """What forbids to define `name` as it was: a definition that somebody changed since, or nothing to go back to."""
    domain, found = ctx.see(DOMAINS).get(name), ctx.see(kept(name, step))
    if domain is None or found.left is None or not any(map(_defines, inverses)):
        return
    if not found.before:
        why = f"the definition of {name} from before is no longer kept in {DIRECTORY}"
        yield Finding("drift", why, f"change {name} by hand: virsh edit {name}", name)
    elif not alike(found.left, domain.xml):
        yield _changed(ctx, domain, step, found.left)


def without_domain(inverses: tuple[Action, ...]) -> Iterator[Action]:
    """Those that still mean something once the domain is gone: of commands, the one that removes what was kept."""
    return (each for each in inverses if not isinstance(each, TakeBack) or _defines(each))


def _defines(action: Action) -> bool:
    return isinstance(action, TakeBack) and action.line.startswith("define_again ")


def _changed(ctx: Context, domain: Domain, step: str, left: str) -> Finding:
    why = f"the definition of {domain.name} was changed since:\n{unified(domain.name, left, domain.xml)}"
    for other in STEPS:
        theirs = ctx.see(kept(domain.name, other)).left
        if other != step and theirs is not None and alike(theirs, domain.xml):
            return Finding("drift", why, f"undo {other}@{domain.name} first: it came after this", domain.name)
    cure = f"put it back (virsh edit {domain.name}), or keep your change and leave this step as it is"
    return Finding("drift", why, cure, domain.name)


def alike(one: str, other: str) -> bool:
    """The same domain, apart from layout and from what libvirt adds by itself."""
    return _essence(ElementTree.fromstring(one)) == _essence(ElementTree.fromstring(other))


Essence = tuple[str, Mapping[str, str], str, tuple[Any, ...]]


def _essence(node: ElementTree.Element) -> Essence:
    children = tuple(_essence(child) for child in node if child.tag not in ("alias", *ADDED_BY_LIBVIRT))
    return node.tag, dict(node.attrib), (node.text or "").strip(), children
