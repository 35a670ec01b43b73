"""What a step may look at: facts, their values, and where they are seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    import libvirt

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


NOT_OBSERVED = "not observed"
NOT_MEASURED = "not measured yet"


@dataclass(frozen=True)
class Unseen:
    """A fact that could not be observed, with the reason (timeout, no permission, unparsable, not measured yet)."""

    reason: str
    unreachable: bool = False
    """Because its host does not answer, not because of what it said."""

    @property
    def untried(self) -> bool:
        """Nobody has looked yet, as before `apply` at what is costly, or on paper."""
        return self.reason in (NOT_OBSERVED, NOT_MEASURED)


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
        match self.seen.get((host, fact.id), Unseen(NOT_OBSERVED)):
            case Known(value):
                return value  # type: ignore[no-any-return]
            case Unseen(reason, unreachable):
                raise FactUnknown(fact.id, reason, unreachable)

    def look(self, fact: Fact[T] | LibvirtFact[T], host: str = HYPERVISOR) -> Known[T] | Unseen:
        """The fact as it was seen or not, for checks that report "unknown" themselves."""
        return self.seen.get((host, fact.id), Unseen(NOT_OBSERVED))
