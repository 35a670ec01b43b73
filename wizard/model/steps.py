"""What there is to do: steps, in stages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wizard.model.plans import Check, Plan
from wizard.model.seen import HYPERVISOR, AnyFact, Context, Seen

if TYPE_CHECKING:
    from wizard.actions import Action
    from wizard.cluster import Cluster

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
