"""What a step may answer: there is something to do, or why there is not; and what it found out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wizard.actions import Action


class Risk(StrEnum):
    """What applying can do to the host, mildest first; `words` is what the owner reads."""

    NONE = "none"
    BRIEF_INTERRUPTION = "brief-interruption"
    MAY_CUT_SSH = "may-cut-ssh"
    RESTARTS_MACHINE = "restarts-machine"
    DESTROYS_DATA = "destroys-data"

    @property
    def rank(self) -> int:
        return list(Risk).index(self)

    @property
    def words(self) -> str:
        return {
            Risk.NONE: "nothing is interrupted",
            Risk.BRIEF_INTERRUPTION: "a brief interruption",
            Risk.MAY_CUT_SSH: "may cut the connection; undone by itself unless confirmed",
            Risk.RESTARTS_MACHINE: "restarts a machine",
            Risk.DESTROYS_DATA: "destroys data",
        }[self]


class Verdict(StrEnum):
    OK = "ok"
    WARN = "warn"
    STOP = "stop"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Check:
    """A question with a verdict: `reason` is what was seen, `why` it matters, `cure` what to do.

    A `stop` with an `accept` id can be accepted in cluster.yaml (`hypervisor.accept`); one that `contradicts` the file
    (no such NIC) is bad input instead.
    """

    id: str
    title: str
    verdict: Verdict
    reason: str
    why: str = ""
    cure: str = ""
    accept: str = ""
    contradicts: bool = False


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, in words: where (a key of cluster.yaml or a place on a host), what, and the cure."""

    id: str
    message: str
    cure: str = ""
    where: str = ""


@dataclass(frozen=True)
class Probe:
    """A question asked over the new connection before a guarded change is kept: `argv` succeeds on the host.

    One that failed before the change too is reported, and does not stand in the way.
    """

    title: str
    argv: tuple[str, ...]


@dataclass(frozen=True)
class Guard:
    """How a change that may cut SSH is confirmed: where the host must answer afterwards, and what must hold there."""

    reach: tuple[str, ...]
    """Addresses to try, in order, over a new connection; empty: the one in use now."""
    probes: tuple[Probe, ...] = ()


@dataclass(frozen=True)
class Part:
    """One script on one host. `always` is its clean-up, run also when the script fails or is stopped."""

    on: str
    title: str
    actions: tuple[Action, ...]
    always: tuple[Action, ...] = ()
    risk: Risk = Risk.NONE
    guard: Guard | None = None
    limit: int = 900
    """Seconds after which the host ends the script."""
    answers_within: int = 0
    """Seconds for which its host is waited for where it does not answer yet, such as a guest that boots."""
    introduces: str = ""
    """The host whose SSH host keys this script prints, as found on its console (`remote.console`)."""
    restarts: bool = False
    """It ends by asking its host to restart (`actions.RESTART`): the next part waits until that has come up anew."""


@dataclass(frozen=True)
class Do:
    """There is something to do: these parts, in order. `why` is one sentence, `notes` what the owner should weigh."""

    why: str
    parts: tuple[Part, ...]
    notes: tuple[str, ...] = ()
    irreversible: str = ""

    @property
    def risk(self) -> Risk:
        return max((part.risk for part in self.parts), key=lambda risk: risk.rank, default=Risk.NONE)


@dataclass(frozen=True)
class Nothing:
    """All is as wanted, and why that is so."""

    why: str


@dataclass(frozen=True)
class Blocked:
    """Cannot be done until `by` (a step's id, or "you") has acted."""

    by: str
    why: str
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Refused:
    """The host contradicts cluster.yaml, or going on would do harm: these findings say what and the cure."""

    findings: tuple[Finding, ...]

    @property
    def why(self) -> str:
        return "; ".join(finding.message for finding in self.findings)


@dataclass(frozen=True)
class Unknown:
    """A fact that the plan needs could not be observed; `unreachable` when it is the host that does not answer."""

    fact: str
    why: str
    unreachable: bool = False
    wait: Part | None = None
    """It comes by itself, as after a boot: `apply` runs this part, which changes nothing but waits, and looks again."""


Plan = Do | Nothing | Blocked | Refused | Unknown
