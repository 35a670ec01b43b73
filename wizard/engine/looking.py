"""Looking at the hosts: what is observed for which steps, and what each would do, or undo, by that."""

from __future__ import annotations

from collections.abc import Sequence

from wizard import catalog
from wizard.cluster.file import ClusterFile
from wizard.engine.hosts import Hosts
from wizard.engine.observing import Costly, observe
from wizard.engine.planned import Planned
from wizard.engine.planning import plan_step, plan_undo, unless_stood_on
from wizard.engine.stale import about_it, last_applied
from wizard.errors import InputError, InputFinding
from wizard.events import Observer
from wizard.facts.ours import OURS
from wizard.journal import Journal
from wizard.model import Context, Do, Step

Targets = tuple[tuple[Step, str], ...]


class Looker:
    """One cluster.yaml against its hosts. It changes nothing, there or in the file."""

    def __init__(self, file: ClusterFile, hosts: Hosts, journal: Journal, guard_seconds: int, tell: Observer) -> None:
        self.file = file
        self._hosts, self._journal, self._guard_seconds, self._tell = hosts, journal, guard_seconds, tell

    def targets(self, names: Sequence[str], *, with_needs: bool = False, every: bool = False) -> Targets:
        """Every step that is meant, once per target it has. Raises `InputError` for names that mean nothing."""
        cluster = self.file.cluster
        chosen = catalog.chosen(names, with_needs=with_needs, every=every)
        _known(names, {target for step, one in chosen if one for target in step.targets(cluster)})
        wanted: dict[str, tuple[Step, set[str]]] = {}
        for step, one in chosen:
            wanted.setdefault(step.id, (step, set()))[1].add(one)
        return tuple(
            (step, target) for step, some in wanted.values() for target in step.targets(cluster) if some & {"", target}
        )

    def observe(self, targets: Sequence[tuple[Step, str]], costly: Costly = Costly.NEVER) -> Context:
        """What these steps look at. Raises `WaitsForOwner` when the journal belongs to another machine."""
        ctx = observe(self.file.cluster, self._hosts, self._journal, targets, costly, self._tell)
        self._journal.bind(ctx.see(OURS).machine_id)
        return ctx

    def plan(self, targets: Targets, costly: Costly = Costly.NEVER) -> tuple[Planned, ...]:
        """What each would do, all seen at once."""
        ctx = self.observe(targets, costly)
        standings, applied = self._journal.standings(), last_applied(self._journal)
        return tuple(plan_step(ctx, step, target, standings, self._guard_seconds, applied) for step, target in targets)

    def plan_undo(self, targets: Targets) -> tuple[Planned, ...]:
        """What would take each back; refused where a step that is not among `targets` stands on it."""
        ctx, seconds = self.observe(targets), self._guard_seconds
        planned = tuple(plan_undo(ctx, step, target, seconds) for step, target in targets)
        others = self._on_top(tuple(each.step.id for each in planned if isinstance(each.plan, Do)), targets)
        if not others:
            return planned
        seen = self.observe(others)
        return tuple(unless_stood_on(seen, each, others, seconds) for each in planned)

    def _on_top(self, taken_back: Sequence[str], among: Targets) -> Targets:
        """The steps that may stand on these, but for those among them: those are taken back before, or already were."""
        own = {(step.id, target) for step, target in among}
        return tuple(
            (step, target)
            for step in catalog.steps()
            if any(about_it(each, step.stands_on) for each in taken_back)
            for target in step.targets(self.file.cluster)
            if (step.id, target) not in own
        )


def _known(names: Sequence[str], targets: set[str]) -> None:
    """Raises `InputError` for names with a target that no step of theirs has."""
    cure = f"Known: {', '.join(sorted(targets))}"
    wrong = [name for name in names if "@" in name and name.partition("@")[2] not in targets]
    if wrong:
        raise InputError(
            [InputFinding("command line", 0, name, "there is no such target in cluster.yaml", cure) for name in wrong]
        )
