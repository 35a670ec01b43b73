"""Which scripts bring another machine to where this one is: for every step and target in the order of the catalog.

What really ran and still stands comes first. Else what would be done now, or where the host cannot be asked, what a
freshly installed one would need.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from wizard.engine.planned import Planned
from wizard.events import State
from wizard.journal import fold
from wizard.marks import commands_in, marks_in
from wizard.model import Do, Guard, Part, Probe, Step, Unknown
from wizard.runbook.book import Material
from wizard.runbook.dates import when
from wizard.runbook.history import Tried, histories, in_force, in_pieces

NOW = "what would be done now"
FRESH = "what a freshly installed host needs"


@dataclass(frozen=True)
class Replay:
    """One part of a step. `origin` says in words where the script is from."""

    step: Step
    target: str
    host: str
    title: str
    script: str
    origin: str
    limit: int
    reach: tuple[str, ...] = ()
    probes: tuple[Probe, ...] = ()
    marks: tuple[tuple[str, str], ...] = ()
    """(what stands between the braces, its command) of the marks in whose place the host's answers are put."""

    @property
    def name(self) -> str:
        return f"{self.step.id}@{self.target}"

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(command for _, command in self.marks))


@dataclass(frozen=True)
class LeftOut:
    """A step without a script, and why."""

    step: Step
    target: str
    why: str

    @property
    def name(self) -> str:
        return f"{self.step.id}@{self.target}"


def replays(material: Material) -> tuple[Replay | LeftOut, ...]:
    past, standings = histories(material.entries), fold(material.entries)
    planned = {each.name: each for each in material.planned}
    fresh = {each.name: each for each in material.fresh or material.planned}
    found: list[Replay | LeftOut] = []
    for step, target in _targets(material):
        runs, name = past.get((step.id, target), ()), f"{step.id}@{target}"
        standing = standings.get((step.id, target))
        if step.only_named:
            found.append(LeftOut(step, target, f"done only when named: `homek8s-wizard apply {step.id}`"))
        elif halfway := in_pieces(runs):
            origin = f"{FRESH}; what ran here was cut off half-way at {when(halfway)}, so it is not all there is"
            found += _would(material, fresh[name], origin)
        elif ran := in_force(runs):
            found += _ran(step, target, ran, planned[name] if material.looked else None)
        elif standing and standing.state is State.SKIPPED:
            found.append(LeftOut(step, target, f"skipped: {standing.reason}"))
        elif _not_seen(planned[name], material):
            found += _would(material, fresh[name], FRESH)
        else:
            found += _would(material, planned[name], NOW)
    return tuple(found)


def _targets(material: Material) -> Iterator[tuple[Step, str]]:
    for stage in material.stages:
        for step in stage.steps:
            for target in step.targets(material.cluster):
                yield step, target


def _not_seen(planned: Planned, material: Material) -> bool:
    return not material.looked or (isinstance(planned.plan, Unknown) and planned.plan.unreachable)


def _ran(step: Step, target: str, ran: tuple[Tried, ...], now: Planned | None) -> Iterator[Replay]:
    """A script that ran twice in a row is there once."""
    since = f"; by now more would be done: {now.reason}" if now and isinstance(now.plan, Do) else ""
    for place, each in enumerate(ran):
        if place and (each.host, each.script) == (ran[place - 1].host, ran[place - 1].script):
            continue
        origin = f"what ran here at {when(each.at)}{since}"
        yield Replay(step, target, each.host, each.title, each.script, origin, each.limit, each.reach, each.probes)


def _would(material: Material, planned: Planned, origin: str) -> Iterator[Replay | LeftOut]:
    if not isinstance(planned.plan, Do):
        yield LeftOut(planned.step, planned.target, _why_not(planned))
        return
    told = _told_there(material, planned.step) if origin != NOW else frozenset[str]()
    for part, script in zip(planned.plan.parts, planned.scripts, strict=True):
        yield _from_plan(planned, part, script, origin, told)


def _from_plan(planned: Planned, part: Part, script: str, origin: str, told: frozenset[str]) -> Replay:
    guard = part.guard or Guard(())
    marks = tuple(sorted((each for each in marks_in(script) if each[1] in told), key=lambda mark: mark[1]))
    of = (planned.step, planned.target, part.on, part.title, script, origin, part.limit)
    return Replay(*of, guard.reach, guard.probes, marks)


def _told_there(material: Material, step: Step) -> frozenset[str]:
    """The commands that the step's own picture of a fresh host names. What else looks like a mark is only text."""
    return frozenset(commands_in(repr(step.fresh(material.cluster))))


def _why_not(planned: Planned) -> str:
    if planned.step.only_checks:
        return "it changes nothing; `homek8s-wizard check` asks its questions"
    if isinstance(planned.plan, Unknown):
        return "what it would do depends on the host, and could not be known here"
    return planned.reason
