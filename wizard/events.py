"""What the engine tells (events) and asks (questions). Front ends draw the first and answer the second."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from wizard.model import Check, Risk, Secret

if TYPE_CHECKING:
    from wizard.engine.planned import Planned


class State(StrEnum):
    """Where a step stands for one target; the words of `status --json`."""

    TODO = "todo"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"
    STALE = "stale"
    RUNNING = "running"
    GUARDED = "guarded"
    INTERRUPTED = "interrupted"
    DRIFTED = "drifted"
    REVERTED = "reverted"
    BLOCKED = "blocked"
    CHECK = "check"


# ---------------------------------------------------------------- events


@dataclass(frozen=True)
class HostConnected:
    host: str
    address: str


@dataclass(frozen=True)
class HostLost:
    """The connection broke; what runs on the host goes on there."""

    host: str
    reason: str
    retry_in: float


@dataclass(frozen=True)
class HostAwaited:
    """The host is expected to answer soon: it boots. `left` seconds from now this is given up."""

    host: str
    reason: str
    left: float


@dataclass(frozen=True)
class Waiting:
    """What a host that is being asked waits for meanwhile; `words` may be several lines."""

    host: str
    words: str


@dataclass(frozen=True)
class Note:
    """Something worth a line in the log."""

    text: str


@dataclass(frozen=True)
class StepStarted:
    step: str
    target: str
    title: str


@dataclass(frozen=True)
class PartStarted:
    step: str
    target: str
    part: int
    parts: int
    host: str
    title: str
    attempt: str


@dataclass(frozen=True)
class PartOutput:
    """Sanitised text that the host printed; whole lines, never a control character but newline and tab."""

    step: str
    target: str
    host: str
    text: str


@dataclass(frozen=True)
class PartFinished:
    step: str
    target: str
    part: int
    host: str
    rc: int
    seconds: float


@dataclass(frozen=True)
class GuardArmed:
    """The host reverts by itself in `seconds` unless the change is confirmed."""

    step: str
    target: str
    host: str
    seconds: float


@dataclass(frozen=True)
class GuardSettled:
    """What the host says became of it: kept or reverted, and why."""

    step: str
    target: str
    host: str
    kept: bool
    reason: str


@dataclass(frozen=True)
class Checked:
    step: str
    target: str
    check: Check


@dataclass(frozen=True)
class StepFinished:
    """`next_steps` are sentences: what the owner can do now (empty when all is well)."""

    step: str
    target: str
    state: State
    reason: str
    seconds: float
    log_tail: str = ""
    next_steps: tuple[str, ...] = ()


Event = (
    HostConnected
    | HostLost
    | HostAwaited
    | Waiting
    | Note
    | StepStarted
    | PartStarted
    | PartOutput
    | PartFinished
    | GuardArmed
    | GuardSettled
    | Checked
    | StepFinished
)
Observer = Callable[[Event], None]


# ---------------------------------------------------------------- questions


@dataclass(frozen=True)
class HostKey:
    """An unknown host shows its key: trust it? Answered with a bool."""

    host: str
    address: str
    key_type: str
    fingerprint: str
    """As ssh prints it: SHA256:…"""
    note: str = ""
    """What the owner should weigh: that the host is known by a key of another type."""


class SecretKind(StrEnum):
    SUDO = "sudo"
    SSH_PASSWORD = "ssh-password"
    KEY_PASSPHRASE = "key-passphrase"


@dataclass(frozen=True)
class NeedSecret:
    """Answered with a `Secret`. `attempt` counts from 1; `about` names the account or the key file."""

    host: str
    kind: SecretKind
    about: str
    attempt: int = 1


@dataclass(frozen=True)
class Approve:
    """May this be done? Answered with a bool. `changed` says why it is asked again, `destroys` names what would go."""

    planned: tuple[Planned, ...]
    risk: Risk
    changed: str = ""
    destroys: str = ""


@dataclass(frozen=True)
class ProbeResult:
    title: str
    holds: bool
    before: bool


@dataclass(frozen=True)
class KeepOrRevert:
    """A guarded change is in place; the host reverts in `seconds`. Answered with True (keep) or False (revert now)."""

    step: str
    target: str
    host: str
    seconds: float
    reached: str
    """The address at which a new connection succeeded; empty when none did."""
    probes: tuple[ProbeResult, ...]

    @property
    def holds(self) -> bool:
        return bool(self.reached) and all(probe.holds or not probe.before for probe in self.probes)


@dataclass(frozen=True)
class Choose:
    """One of a few answers, given as its key; the first is the safe default."""

    title: str
    text: str
    options: tuple[tuple[str, str], ...]


Question = HostKey | NeedSecret | Approve | KeepOrRevert | Choose
Answer = bool | str | Secret | None
"""None: nobody answered; the engine then stops where it is (status 5, or 4 for a login)."""
Ask = Callable[[Question], Answer]
