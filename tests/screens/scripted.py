"""An engine that says what a test wants it to say: it stands in for the hosts, and nothing else is replaced."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from wizard.actions import Run, Wait, WriteFile
from wizard.cluster.file import ClusterFile, load
from wizard.engine.doing import Outcome
from wizard.engine.planned import Planned, first_state, parts_of
from wizard.engine.settings import Settings
from wizard.events import (
    Ask,
    Observer,
    PartFinished,
    PartOutput,
    PartStarted,
    State,
    StepFinished,
    StepStarted,
)
from wizard.journal import Standing
from wizard.model import (
    HYPERVISOR,
    Blocked,
    Check,
    Do,
    Guard,
    Nothing,
    Part,
    Plan,
    Probe,
    Risk,
    Stage,
    Step,
    Suggestion,
    Verdict,
    on_hypervisor,
)

HOSTILE = "old\ra [/x] b [red]c[/red] \x1b[31;1mESC\x1b]0;title\x07 \x9b2J \0NUL \u202e " + "x" * 10_000
"""What no host should print, and some will."""


def no_plan(*ignored: object) -> Plan:
    return Nothing("planned elsewhere")


def guests_of(cluster: Any) -> tuple[str, ...]:
    return tuple(guest.name for guest in cluster.guests)


LOOK = Step(
    "ground.look", "Look at the machine", "Nothing is built on ground that nobody looked at.", no_plan, on_hypervisor()
)
SPAN = Step(
    "road.span",
    "Span the bridge",
    "Guests reach the LAN over a bridge. The network card becomes its port.",
    no_plan,
    on_hypervisor(),
    fields=("bridge.port", "bridge.addresses", "bridge.gateway", "bridge.dhcp", "firewall.nat"),
)
SEAL = Step(
    "road.seal", "Seal the road", "What is not needed stays closed.", no_plan, on_hypervisor(), needs=("road.span",)
)
RAISE = Step(
    "homes.raise",
    "Raise a guest",
    "A node lives in a guest.",
    no_plan,
    on_hypervisor(),
    fields=("guests[].name", "guests[].role", "guests[].ssh"),
    targets=guests_of,
)
STAGES = (
    Stage("ground", "Ground", "What is there.", (LOOK,)),
    Stage("road", "Road", "How guests are reached.", (SPAN, SEAL)),
    Stage("homes", "Homes", "Where nodes live.", (RAISE,)),
)

FILE = WriteFile("/etc/systemd/network/05-homek8s-br0.network", "[Match]\nName=br0\n", None)
DO = Do(
    "br0 is not there yet",
    (
        Part(
            HYPERVISOR,
            "write the files",
            (FILE, Run(("networkctl", "reload"), "reload")),
        ),
    ),
)
CUTS = Do(
    "br0 is not there yet",
    (
        Part(
            HYPERVISOR,
            "move the address to br0",
            (FILE, Run(("networkctl", "reload"), "reload networkd"), Wait(("true",), 30, "br0 has its address")),
            risk=Risk.MAY_CUT_SSH,
            guard=Guard(("192.168.182.100",), (Probe("the gateway answers", ("ping",)),)),
        ),
    ),
    notes=("The connection pauses for about two seconds.",),
)
CHECKS = (
    Check("kvm", "Virtualisation", Verdict.OK, "/dev/kvm works"),
    Check("disk", "Room on disk", Verdict.WARN, "12 GiB are free", "Images are large.", "Remove what is not needed."),
    Check("console", "Console", Verdict.STOP, "there is none", "", "Attach one.", accept="no-console"),
)
FOUND = {
    "bridge.port": (
        Suggestion("enp4s0", "1 Gbit/s, cable in, carries this connection", "found on hypervisor"),
        Suggestion("enp5s0", "2.5 Gbit/s, no cable", "found on hypervisor"),
    ),
    "bridge.addresses": (Suggestion(("192.168.182.100/24",), "on enp4s0 now", "found on hypervisor"),),
    "bridge.gateway": (Suggestion("192.168.182.1", "the default route", "found on hypervisor"),),
}


def planned(step: Step, target: str, plan: Plan, state: State | None = None, **more: Any) -> Planned:
    first, reason = first_state(plan)
    scripts = ("#!/bin/sh\necho script\n",) * len(parts_of(plan))
    return Planned(step, target, plan, state or first, reason, scripts, **more)


def finished(step: Step, state: State = State.DONE, reason: str = "as wanted", **more: Any) -> StepFinished:
    return StepFinished(step.id, HYPERVISOR, state, reason, 3.0, **more)


@dataclass
class Stand:
    """What the engine is to say; also the factory that the app is given."""

    plans: dict[str, Planned] = field(default_factory=dict)
    remembered: tuple[Standing, ...] = ()
    read_only: str = ""
    found: Mapping[str, tuple[Suggestion, ...]] = field(default_factory=lambda: dict(FOUND))
    connect: Callable[[ScriptedEngine], None] = lambda engine: None
    apply: Callable[[ScriptedEngine, Sequence[str]], Outcome] = lambda engine, names: engine.work_well(names)
    undo: Callable[[ScriptedEngine, Sequence[str]], Outcome] = lambda engine, names: engine.work_well(names)
    engines: list[ScriptedEngine] = field(default_factory=list)
    may_find: threading.Event = field(default_factory=threading.Event)
    """Values for forms are found once it is set, as it is at first."""

    def __post_init__(self) -> None:
        self.may_find.set()

    def __call__(self, file: ClusterFile, settings: Settings, ask: Ask, observer: Observer) -> ScriptedEngine:
        self.engines.append(ScriptedEngine(self, file, ask, observer))
        return self.engines[-1]

    @property
    def engine(self) -> ScriptedEngine:
        return self.engines[-1]

    def says(self, step: Step, plan: Plan, target: str = HYPERVISOR, **more: Any) -> None:
        self.plans[f"{step.id}@{target}"] = planned(step, target, plan, **more)


class ScriptedEngine:
    def __init__(self, stand: Stand, file: ClusterFile, ask: Ask, observer: Observer) -> None:
        self.stand, self.cluster_file, self.ask, self.tell = stand, file, ask, observer
        self.stages = STAGES
        self.calls: list[tuple[object, ...]] = []
        self.stopped = threading.Event()
        """Set by each of the three ways to stop."""

    @property
    def read_only(self) -> str:
        return self.stand.read_only

    def connect(self) -> None:
        self.calls.append(("connect",))
        self.stand.connect(self)

    def status(self, names: Sequence[str] = ()) -> tuple[Planned, ...]:
        self.calls.append(("status",))
        cluster = self.cluster_file.cluster
        steps = [(step, target) for stage in STAGES for step in stage.steps for target in step.targets(cluster)]
        return tuple(self.stand.plans.get(f"{step.id}@{target}") or usual(step, target) for step, target in steps)

    def suggestions(self, step: Step) -> Mapping[str, tuple[Suggestion, ...]]:
        self.stand.may_find.wait(30)
        return {key: self.stand.found[key] for key in step.fields if key in self.stand.found}

    def remembered(self) -> tuple[Standing, ...]:
        return self.stand.remembered

    def check(self, names: Sequence[str] = ()) -> tuple[tuple[str, str, Check], ...]:
        return tuple((LOOK.id, HYPERVISOR, check) for check in CHECKS)

    def apply(self, names: Sequence[str] = (), approved: Mapping[str, str] | None = None) -> Outcome:
        self.calls.append(("apply", tuple(names), approved))
        return self.stand.apply(self, names)

    def undo(self, names: Sequence[str] = (), everything: bool = False) -> Outcome:
        self.calls.append(("undo", tuple(names)))
        return self.stand.undo(self, names)

    def skip(self, step: str, target: str, reason: str) -> None:
        self.calls.append(("skip", step, target, reason))

    def done_by_hand(self, step: str, target: str) -> Planned:
        self.calls.append(("by hand", step, target))
        return next(row for row in self.status() if row.name == f"{step}@{target}")

    def stop_after_this(self) -> None:
        self.calls.append(("stop after",))
        self.stopped.set()

    def stop_now(self) -> None:
        self.calls.append(("stop now",))
        self.stopped.set()

    def leave(self) -> None:
        self.calls.append(("leave",))
        self.stopped.set()

    def reload(self) -> None:
        self.calls.append(("reload",))
        self.cluster_file = load(self.cluster_file.path)

    def export(self, form: str = "md") -> str:
        return f"# Runbook ({form})\n"

    def close(self) -> None:
        self.calls.append(("close",))

    # ------------------------------------------------------------ for scripts

    def called(self, name: str) -> list[tuple[object, ...]]:
        return [call for call in self.calls if call[0] == name]

    def begin(self, step: Step = SPAN, target: str = HYPERVISOR) -> None:
        self.tell(StepStarted(step.id, target, step.title))
        self.tell(PartStarted(step.id, target, 1, 1, HYPERVISOR, "write the files", "attempt-1"))

    def say(self, text: str, step: Step = SPAN) -> None:
        self.tell(PartOutput(step.id, HYPERVISOR, HYPERVISOR, text))

    def end(self, *outcomes: StepFinished, status: int = 0) -> Outcome:
        for outcome in outcomes:
            self.tell(PartFinished(outcome.step, outcome.target, 1, HYPERVISOR, 0 if not status else 1, 3.0))
            self.tell(outcome)
        return Outcome(outcomes, status)

    def work_well(self, names: Sequence[str]) -> Outcome:
        self.begin()
        self.say("reloading\nreloaded\n")
        name = names[0] if names else SPAN.id
        step = next(step for stage in STAGES for step in stage.steps if name.startswith((step.id, stage.id)))
        self.stand.says(step, Nothing("br0 is as wanted"))
        return self.end(finished(step))


def usual(step: Step, target: str) -> Planned:
    match step.id:
        case "ground.look":
            return planned(step, target, Nothing("it was looked at"), checks=CHECKS)
        case "road.span":
            return planned(step, target, DO)
        case "road.seal":
            return planned(step, target, Blocked(SPAN.id, "there is no bridge"))
        case _:
            return planned(step, target, replace(DO, why=f"{target} is not there yet"))
