"""What a runbook is made of, put in the order in which it is read. The wording is in templates/runbook."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from wizard.cluster import Cluster, Guest
from wizard.engine.planned import Planned
from wizard.events import State
from wizard.journal import Entry, Standing, fold
from wizard.model import HYPERVISOR, Blocked, Check, Do, Fact, Guard, Part, Refused, Stage, Step, in_words
from wizard.runbook.history import Histories, Run, Tried, alike, histories, in_force
from wizard.runbook.lasting import comes_back
from wizard.runbook.reading import Body, read_script


@dataclass(frozen=True)
class Material:
    """All that goes into a runbook. Where no host was looked at, `planned` is what a fresh one would need, and
    `unseen` says why. `at` is when it is made, RFC 3339 UTC."""

    cluster: Cluster
    yaml: str
    stages: tuple[Stage, ...]
    planned: tuple[Planned, ...]
    entries: tuple[Entry, ...]
    at: str
    unseen: str = ""
    fresh: tuple[Planned, ...] = ()
    """What a fresh host would need, wherever the hosts stand."""

    @property
    def looked(self) -> bool:
        return not self.unseen


class Scripts:
    """The full scripts in order of appearance; the same script is printed once."""

    def __init__(self) -> None:
        self.all: dict[str, str] = {}
        """Script to what it is about."""

    def number(self, script: str, about: str) -> int:
        self.all.setdefault(script, about)
        return list(self.all).index(script) + 1


@dataclass(frozen=True)
class Shown:
    """One part, readable: what really ran (`tried`), or would run."""

    title: str
    host: str
    number: int
    body: Body
    tried: Tried | None = None
    guard: Guard | None = None

    @property
    def attempt(self) -> str:
        return self.tried.id if self.tried else "ATTEMPT"

    @property
    def reach(self) -> tuple[str, ...]:
        return self.tried.reach if self.tried else self.guard.reach if self.guard else ()

    @property
    def probes(self) -> tuple[str, ...]:
        probes = self.tried.probes if self.tried else self.guard.probes if self.guard else ()
        return tuple(each.title for each in probes)


@dataclass(frozen=True)
class Past:
    """One or several like runs, and each attempt of theirs as (attempts of all of them, number of the script)."""

    runs: tuple[Run, ...]
    attempts: tuple[tuple[tuple[Tried, ...], int], ...]

    @property
    def last(self) -> Run:
        return self.runs[-1]


@dataclass(frozen=True)
class Subject:
    """A step for one target."""

    step: Step
    target: str
    alone: bool
    """The step has no other target."""
    standing: Standing | None
    planned: Planned | None
    past: tuple[Past, ...]
    ran: tuple[Shown, ...]
    would: tuple[Shown, ...]

    @property
    def name(self) -> str:
        return self.step.id if self.alone else f"{self.step.id}@{self.target}"

    @property
    def do(self) -> Do | None:
        return self.planned.plan if self.planned and isinstance(self.planned.plan, Do) else None

    @property
    def checks(self) -> tuple[Check, ...]:
        return self.planned.checks if self.planned else ()

    @property
    def cures(self) -> tuple[tuple[str, str], ...]:
        """What stands in the way, and what helps."""
        plan = self.planned.plan if self.planned else None
        findings = plan.findings if isinstance(plan, Refused | Blocked) else ()
        return tuple((first_line(each.message), each.cure) for each in findings)

    @property
    def undone_from(self) -> tuple[Shown, ...]:
        """The parts to take back, last first."""
        return tuple(reversed(self.ran or self.would))


def first_line(text: str) -> str:
    """What follows it is a diff, which may show more of a file than belongs on paper."""
    return text.strip().partition("\n")[0]


@dataclass(frozen=True)
class Entered:
    """A step with its targets."""

    step: Step
    subjects: tuple[Subject, ...]
    looks_at: tuple[tuple[str, tuple[str, ...]], ...]
    """(host, ids of its facts)."""


@dataclass(frozen=True)
class Chapter:
    stage: Stage
    steps: tuple[Entered, ...]


@dataclass(frozen=True)
class Book:
    material: Material
    chapters: tuple[Chapter, ...]
    facts: tuple[tuple[str, str], ...]
    """(id, command; empty where libvirt's own interface is asked)."""
    scripts: tuple[tuple[str, str], ...]
    """(what it is about, the script)."""
    lasting: tuple[str, ...]
    left_over: tuple[Standing, ...] = field(default=())
    """What the journal knows of steps that this version no longer has."""

    @property
    def subjects(self) -> tuple[Subject, ...]:
        return tuple(each for chapter in self.chapters for step in chapter.steps for each in step.subjects)

    @property
    def skipped(self) -> tuple[Subject, ...]:
        return tuple(each for each in self.subjects if each.standing and each.standing.state is State.SKIPPED)


def book(material: Material) -> Book:
    scripts, past = Scripts(), histories(material.entries)
    standings = fold(material.entries)
    chapters = tuple(
        Chapter(stage, tuple(_entered(material, step, past, standings, scripts) for step in stage.steps))
        for stage in material.stages
    )
    known = {step.id for stage in material.stages for step in stage.steps}
    subjects = [each for chapter in chapters for step in chapter.steps for each in step.subjects]
    return Book(
        material=material,
        chapters=chapters,
        facts=tuple(_facts(material)),
        scripts=tuple((about, script) for script, about in scripts.all.items()),
        lasting=comes_back(shown.body for each in subjects for shown in (*each.ran, *each.would)),
        left_over=tuple(each for each in standings.values() if each.step and each.step not in known),
    )


def _entered(
    material: Material,
    step: Step,
    past: Histories,
    standings: dict[tuple[str, str], Standing],
    scripts: Scripts,
) -> Entered:
    wanted = step.targets(material.cluster)
    remembered = (target for of, target in past if of == step.id)
    targets = tuple(dict.fromkeys((*wanted, *remembered)))
    planned = {each.target: each for each in material.planned if each.step.id == step.id}
    subjects = []
    for target in targets:
        runs = past.get((step.id, target), ())
        ran = tuple(_ran(step, target, tried, scripts) for tried in in_force(runs))
        plan = planned.get(target)
        would = () if plan is None or (ran and not material.looked) else tuple(_would(plan, scripts))
        told = tuple(_past(step, target, group, scripts) for group in alike(runs))
        standing = standings.get((step.id, target))
        subjects.append(Subject(step, target, len(targets) == 1, standing, plan, told, ran, would))
    hosts: dict[str, dict[str, None]] = {}
    for target in wanted:
        for host, facts in step.facts(material.cluster, target).items():
            hosts.setdefault(host, {}).update(dict.fromkeys(fact.id for fact in facts))
    return Entered(step, tuple(subjects), tuple((host, tuple(ids)) for host, ids in hosts.items()))


def _ran(step: Step, target: str, tried: Tried, scripts: Scripts) -> Shown:
    number = scripts.number(tried.script, about(step.id, target, tried.host, tried.part, tried.parts))
    return Shown(tried.title, tried.host, number, read_script(tried.script), tried)


def _would(planned: Planned, scripts: Scripts) -> Iterator[Shown]:
    parts: Sequence[Part] = planned.plan.parts if isinstance(planned.plan, Do) else ()
    for place, (part, script) in enumerate(zip(parts, planned.scripts, strict=True), 1):
        number = scripts.number(script, about(planned.step.id, planned.target, part.on, place, len(parts)))
        yield Shown(part.title, part.on, number, read_script(script), guard=part.guard)


def _past(step: Step, target: str, runs: tuple[Run, ...], scripts: Scripts) -> Past:
    attempts = tuple(
        (
            tuple(run.tried[place] for run in runs),
            scripts.number(tried.script, about(step.id, target, tried.host, tried.part, tried.parts)),
        )
        for place, tried in enumerate(runs[-1].tried)
    )
    return Past(runs, attempts)


def about(step: str, target: str, host: str, part: int, parts: int) -> str:
    of = f", part {part} of {parts}" if parts > 1 else ""
    return f"{step}@{target}{of}, on {in_words(host)}"


def _facts(material: Material) -> Iterator[tuple[str, str]]:
    """Each fact once, in the order in which steps look at them."""
    seen: set[str] = set()
    for stage in material.stages:
        for step in stage.steps:
            for target in step.targets(material.cluster):
                for facts in step.facts(material.cluster, target).values():
                    for fact in facts:
                        if fact.id not in seen:
                            seen.add(fact.id)
                            yield fact.id, fact.command if isinstance(fact, Fact) else ""


def hosts(cluster: Cluster) -> tuple[tuple[str, str, str], ...]:
    """(name, SSH destination, what it is), in the order in which they are worked on."""
    guests = [
        (
            guest.name,
            guest.ssh or "",
            f"{_kind(guest)}, {guest.role}" + (", made by the wizard" if guest.create else ""),
        )
        for guest in cluster.guests
    ]
    return ((HYPERVISOR, cluster.hypervisor.ssh, "the Linux machine that carries the guests"), *guests)


def _kind(guest: Guest) -> str:
    return "a machine of its own" if guest.physical else "a guest"
