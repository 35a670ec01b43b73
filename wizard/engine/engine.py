"""The engine: one cluster.yaml, its hosts and its journal, and the verbs that front ends call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from wizard import catalog
from wizard.cluster.file import ClusterFile, load
from wizard.engine.doing import Doer, Outcome
from wizard.engine.hosts import Hosts
from wizard.engine.looking import Looker, Targets
from wizard.engine.observing import Costly
from wizard.engine.planned import Planned
from wizard.engine.running import Control
from wizard.engine.settings import Settings
from wizard.errors import WaitsForOwner
from wizard.events import Ask, Checked, Observer, State
from wizard.journal import Journal, Standing
from wizard.model import HYPERVISOR, Check, FactUnknown, Nothing, Stage, Step, Suggestion, Verdict


class Engine:
    """All methods block: call them from a thread of your own, one at a time; the three that stop, from any other."""

    def __init__(self, file: ClusterFile, settings: Settings, ask: Ask, observer: Observer) -> None:
        self.settings = settings
        self.stages: tuple[Stage, ...] = catalog.STAGES
        self._ask, self._tell = ask, observer
        directory = settings.directory(file.cluster.name)
        self.journal = Journal(directory)
        self.hosts = Hosts(file.cluster, settings, directory, ask, observer, beside=file.path.parent)
        self._looker = Looker(file, self.hosts, self.journal, settings.guard_seconds, observer)
        self._control = Control.new()

    @property
    def cluster_file(self) -> ClusterFile:
        return self._looker.file

    @property
    def read_only(self) -> str:
        """Empty, or which other process works on this cluster: then this one only looks."""
        return self.journal.held_by

    def reload(self) -> None:
        """cluster.yaml was saved: its new content counts from now on."""
        self._looker.file = load(self.cluster_file.path)
        self.hosts.use(self.cluster_file.cluster)

    def close(self) -> None:
        self.hosts.close()
        self.journal.close()

    # ------------------------------------------------------------ looking

    def connect(self) -> None:
        """Opens the hypervisor. Raises `HostUnavailable`."""
        self.hosts.connection(HYPERVISOR)

    def plan(self, names: Sequence[str] = ()) -> tuple[Planned, ...]:
        """What would change; nothing is touched. What a named step needs is planned too."""
        return self._looker.plan(self._looker.targets(names, with_needs=True))

    def status(self, names: Sequence[str] = ()) -> tuple[Planned, ...]:
        """Where every step stands, from the hosts; also those that are done only when named."""
        return self._looker.plan(self._looker.targets(names, every=True))

    def remembered(self) -> tuple[Standing, ...]:
        """Where the steps stood when the wizard last looked, without asking any host."""
        order = [step.id for step in catalog.steps()]
        known = [standing for standing in self.journal.standings().values() if standing.step in order]
        return tuple(sorted(known, key=lambda standing: (order.index(standing.step), standing.target)))

    def check(self, names: Sequence[str] = ()) -> tuple[tuple[str, str, Check], ...]:
        """All checks, the costly ones too, and for every other step whether it is as wanted."""
        rows: list[tuple[str, str, Check]] = []
        for planned in self._looker.plan(self._looker.targets(names), Costly.ALWAYS):
            checks = planned.checks if planned.step.only_checks else (_as_wanted(planned),)
            rows += [(planned.step.id, planned.target, check) for check in checks]
        for row in rows:
            self._tell(Checked(*row))
        return tuple(rows)

    def suggestions(self, step: Step) -> Mapping[str, tuple[Suggestion, ...]]:
        """Values found on the hosts for the fields of this step's form; empty where nothing could be seen."""
        targets = step.targets(self.cluster_file.cluster) or (HYPERVISOR,)
        ctx = self._looker.observe([(step, target) for target in targets])
        try:
            return step.defaults(ctx)
        except FactUnknown:
            return {}

    def plan_undo(self, names: Sequence[str] = (), everything: bool = False) -> tuple[Planned, ...]:
        """What would be taken back, last step first."""
        return self._looker.plan_undo(self._backwards(names, everything))

    def export(self, form: str = "md") -> str:
        """The runbook, as "md" or "html". Where no host can be reached, from what is remembered and what a fresh host
        would need."""
        from wizard.runbook import export

        if form not in ("md", "html"):
            raise ValueError(form)
        return export(self, self.hosts.secrets(), form)

    def export_scripts(self, directory: Path) -> int:
        """The same as scripts to run by hand, and README.txt; how many scripts. Raises `InputError` where the directory
        holds anything but an earlier export."""
        from wizard.runbook import export_scripts

        return export_scripts(self, directory, self.hosts.secrets())

    # ------------------------------------------------------------ doing

    def apply(self, names: Sequence[str] = (), approved: Mapping[str, str] | None = None) -> Outcome:
        """Brings it about, step by step: looks again, plans again, asks where the plan is not the approved one, runs.

        `approved` maps step@target to the digest that the owner has seen and accepted.
        """
        return self._doer().apply(self._meant(names), approved or {}, named=bool(names))

    def undo(self, names: Sequence[str] = (), everything: bool = False) -> Outcome:
        """Takes back, last step first; stops at the first that cannot be."""
        return self._doer().undo(self._backwards(names, everything))

    def skip(self, step: str, target: str, reason: str) -> None:
        """Left out until it is named; what needs it is blocked."""
        self._writable()
        self.journal.append("skipped", step, target, reason=reason or "skipped by you")

    def done_by_hand(self, step: str, target: str) -> Planned:
        """Looks again: done only if the plan says Nothing."""
        planned = self._doer().look(catalog.find(step), target)
        if isinstance(planned.plan, Nothing):
            self.journal.append("done", step, target, reason=f"done by hand: {planned.plan.why}")
        return planned

    def stop_after_this(self) -> None:
        """The running script ends as it does, then nothing more."""
        self._control.stop_after.set()

    def stop_now(self) -> None:
        """The running script and all that it started are ended on the host; what it did is then looked at anew."""
        self._control.end_now.set()

    def leave(self) -> None:
        """Stops watching; the running script goes on on the host."""
        self._control.let_go.set()

    def _meant(self, names: Sequence[str]) -> Targets:
        """What is to be done. What is done only when named comes first where it was under way, without being named too:
        half done it may be why the steps that it needs are not as wanted now."""
        unfinished = (State.RUNNING, State.GUARDED, *((State.INTERRUPTED,) if names else ()))
        standings = self.journal.standings()
        under_way = {of for of, standing in standings.items() if standing.state in unfinished}
        found = self._looker.targets(names, with_needs=bool(names), every=not names)
        first = [(step, target) for step, target in found if step.only_named and (step.id, target) in under_way]
        then = [each for each in found if each not in first and (names or not each[0].only_named)]
        return (*first, *then)

    def _doer(self) -> Doer:
        self._writable()
        self._control = Control.new()
        return Doer(self._looker, self.hosts, self.journal, self.settings, self._ask, self._tell, self._control)

    def _backwards(self, names: Sequence[str], everything: bool) -> tuple[tuple[Step, str], ...]:
        targets = self._looker.targets(() if everything else names, every=True)
        return tuple((step, target) for step, target in reversed(targets) if not step.only_checks)

    def _writable(self) -> None:
        if self.read_only:
            raise WaitsForOwner(
                f"another wizard works on this cluster: {self.read_only}",
                where=str(self.journal.directory),
                cure="go on there, or end it first",
            )


def _as_wanted(planned: Planned) -> Check:
    """A step as a check: as wanted, not yet, or not known."""
    verdict = {State.DONE: Verdict.OK, State.UNKNOWN: Verdict.UNKNOWN}.get(planned.state, Verdict.STOP)
    cure = f"homek8s-wizard apply {planned.step.id}" if verdict is Verdict.STOP else ""
    return Check(planned.step.id, planned.step.title, verdict, planned.reason, cure=cure)
