"""The vocabulary: what a step is, what it may look at, and what it may answer.

A step is a pure function from what the owner wants (`Cluster`) and what the hosts say (`Context.see`) to a plan.
Nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    import libvirt

    from wizard.actions import Action
    from wizard.cluster import Cluster

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

HYPERVISOR = "hypervisor"
"""The one target, and the one host, that every cluster has."""

OWNER = "owner"
"""The owner's own machine, as a target and as a host: the same scripts, by a local sh, without root."""


def in_words(host: str) -> str:
    """A host, or a target, as the owner reads it."""
    return "your own machine" if host == OWNER else host


class Secret:
    """A value that must not be seen: it prints as `***`, only `reveal()` gives it away."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __str__(self) -> str:
        return "***"

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return "***"

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("a secret is never serialised")


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


# ---------------------------------------------------------------- what is seen


@dataclass(frozen=True)
class Output:
    """What a fact's command printed: `out` at most 1 MiB, `err` at most 4 KiB, exit status `rc`."""

    rc: int
    out: bytes
    err: bytes = b""
    asked: tuple[float, float] = field(default=(0.0, 0.0), kw_only=True)
    """By our own clock (seconds since 1970), when it was asked for and when it was there; zeros where nobody knows."""

    @property
    def text(self) -> str:
        return self.out.decode("utf-8", "replace")

    @property
    def complaint(self) -> str:
        return self.err.decode("utf-8", "replace").strip()


class FactError(Exception):
    """A parser's word that the output cannot be understood; its text becomes the reason of an `Unseen`."""


@dataclass(frozen=True)
class Fact(Generic[T_co]):
    """One observation: a read-only sh command, run as root, and a pure parser of its output.

    "Command absent" and "no such file" are values that `parse` returns; `FactError` (or any ValueError, KeyError,
    json error) says that nothing is known.
    """

    id: str
    command: str
    parse: Callable[[Output], T_co]
    limit: int = 15
    """Seconds after which the command is ended and the fact is unknown."""
    costly: bool = False
    """Seconds of load on the host: observed only by `apply` and `check`, its last value is remembered. Each line that
    it prints on stderr meanwhile is shown: what it waits for."""


@dataclass(frozen=True)
class LibvirtFact(Generic[T_co]):
    """One observation through the libvirt API; `read` gets an open connection, or None where no libvirtd answers."""

    id: str
    read: Callable[[libvirt.virConnect | None], T_co]
    limit: int = 15


AnyFact = Fact[T_co] | LibvirtFact[T_co]


@dataclass(frozen=True)
class Known(Generic[T_co]):
    """A fact's value, and when it was observed (RFC 3339 UTC; empty for "just now")."""

    value: T_co
    at: str = ""


@dataclass(frozen=True)
class Unseen:
    """A fact that could not be observed, with the reason (timeout, no permission, unparsable, not measured yet)."""

    reason: str
    unreachable: bool = False
    """Because its host does not answer, not because of what it said."""


Seen = Known[Any] | Unseen


class FactUnknown(Exception):
    """Raised by `Context.see`; the engine answers the step's plan with `Unknown`."""

    def __init__(self, fact: str, reason: str, unreachable: bool = False) -> None:
        super().__init__(f"{fact}: {reason}")
        self.fact, self.reason, self.unreachable = fact, reason, unreachable


@dataclass(frozen=True)
class Context:
    """Everything a step may look at: the owner's file and the facts, keyed by (host, fact id)."""

    cluster: Cluster
    seen: Mapping[tuple[str, str], Seen] = field(default_factory=dict)

    def see(self, fact: Fact[T] | LibvirtFact[T], host: str = HYPERVISOR) -> T:
        """The fact's value. Raises `FactUnknown`, which a plan lets pass: needing it is then Unknown, never "todo"."""
        match self.seen.get((host, fact.id), Unseen("not observed")):
            case Known(value):
                return value  # type: ignore[no-any-return]
            case Unseen(reason, unreachable):
                raise FactUnknown(fact.id, reason, unreachable)

    def look(self, fact: Fact[T] | LibvirtFact[T], host: str = HYPERVISOR) -> Known[T] | Unseen:
        """The fact as it was seen or not, for checks that report "unknown" themselves."""
        return self.seen.get((host, fact.id), Unseen("not observed"))


# ---------------------------------------------------------------- what is answered


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

# ---------------------------------------------------------------- what there is to do

Facts = Callable[["Cluster", str], Mapping[str, tuple[AnyFact[Any], ...]]]
"""Which facts a step looks at, per host, for one target."""


def on_hypervisor(*facts: AnyFact[Any]) -> Facts:
    return lambda cluster, target: {HYPERVISOR: facts}


def hypervisor_only(cluster: Cluster) -> tuple[str, ...]:
    return (HYPERVISOR,)


def no_checks(ctx: Context, target: str) -> tuple[Check, ...]:
    return ()


@dataclass(frozen=True)
class Step:
    """One thing to bring about. The same `plan` is preview, work, verification and drift check."""

    id: str
    title: str
    why: str
    plan: Callable[[Context, str], Plan]
    facts: Facts
    needs: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    """The keys of cluster.yaml that its form shows, dotted: "bridge.port"."""
    defaults: Callable[[Context], Mapping[str, tuple[Suggestion, ...]]] = lambda ctx: {}
    """Values found on the hosts for those keys, best first."""
    targets: Callable[[Cluster], tuple[str, ...]] = hypervisor_only
    checks: Callable[[Context, str], tuple[Check, ...]] = no_checks
    fresh: Callable[[Cluster], Mapping[tuple[str, str], Seen]] = lambda cluster: {}
    """What (host, fact id) would be on a freshly installed host when this step's turn comes; for a runbook made
    unconnected. What only the host knows is a marked placeholder."""
    look: Callable[[Cluster, str], tuple[str, ...]] = lambda cluster, target: ()
    """Read-only commands with which the owner sees for themselves that it is as wanted."""
    undo: Callable[[Context, str, tuple[Action, ...]], Plan] | None = None
    """From the recorded inverses (last first) to what undoing means; None: just run them."""
    side_by_side: Callable[[Cluster, str], bool] = lambda cluster, target: False
    """May this target be done beside others of the same step? They are approved first, then done in parallel."""
    asks_about: tuple[str, ...] = ()
    """Of a check step: the stages and steps that bring about what it measures. What was measured before one of them was
    applied again is stale: `apply` measures anew."""
    only_named: bool = False
    """Done only when named by its own id: neither with its stage nor with everything."""
    changes_target: bool = True
    """Do its scripts change the target itself? If not, a guest that is off is no obstacle to undoing it."""
    undone_as_seen: bool = False
    """Is there something to undo also where nothing is noted of it? `undo` is then asked without inverses."""
    stands_on: tuple[str, ...] = ()
    """The stages and steps whose work it may be using: while it `stands`, taking them back is refused."""
    stands: Callable[[Context, str, str], str] = lambda ctx, target, under: ""
    """How it uses now, by whomever that was set, what those steps did for the target `under`; "" when it does not."""
    undone_from_afar: bool = False
    """While the target does not answer, `undo` is asked without inverses: what other hosts can do then, or what it
    means that nothing can be done."""

    @property
    def only_checks(self) -> bool:
        return self.checks is not no_checks


@dataclass(frozen=True)
class Suggestion:
    """A value for a field, what to show beside it ("1 Gbit/s, cable in, carries SSH") and where it was found."""

    value: object
    label: str
    source: str


@dataclass(frozen=True)
class Stage:
    id: str
    title: str
    why: str
    steps: tuple[Step, ...]
