"""The engine: one cluster.yaml, its hosts and its journal, and the verbs that front ends call."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wizard import catalog
from wizard.clusterfile import ClusterFile, load
from wizard.engine.applying import Applier
from wizard.engine.confirming import Confirmer
from wizard.engine.hosts import Hosts
from wizard.engine.observing import Costly, observe
from wizard.engine.planned import Planned
from wizard.engine.planning import plan_step, plan_undo
from wizard.engine.running import Control, Runner
from wizard.engine.settings import Settings
from wizard.errors import WaitsForOwner
from wizard.events import Approve, Ask, Checked, Note, Observer, State, StepFinished
from wizard.facts.ours import OURS
from wizard.journal import Journal, Standing
from wizard.model import (
    HYPERVISOR,
    Blocked,
    Check,
    Context,
    Do,
    FactUnknown,
    Nothing,
    Refused,
    Risk,
    Stage,
    Step,
    Suggestion,
    Unknown,
    Verdict,
)

SEVERITY = (2, 4, 1, 5, 3, 0)
"""Exit statuses, the one to report first (DESIGN, command line)."""


@dataclass(frozen=True)
class Outcome:
    steps: tuple[StepFinished, ...]
    status: int


def worst(statuses: Sequence[int]) -> int:
    return min(statuses, key=SEVERITY.index, default=0)


class Engine:
    """All methods block: call them from a thread of your own, one at a time; the three that stop, from any other."""

    def __init__(self, file: ClusterFile, settings: Settings, ask: Ask, observer: Observer) -> None:
        self.cluster_file = file
        self.settings = settings
        self.stages: tuple[Stage, ...] = catalog.STAGES
        self._ask, self._tell = ask, observer
        directory = settings.directory(file.cluster.name)
        self.journal = Journal(directory)
        self.hosts = Hosts(file.cluster, settings, directory, ask, observer)
        self._control = Control.new()

    @property
    def read_only(self) -> str:
        """Empty, or which other process works on this cluster: then this one only looks."""
        return self.journal.held_by

    def reload(self) -> None:
        """cluster.yaml was saved: its new content counts from now on."""
        self.cluster_file = load(self.cluster_file.path)
        self.hosts.use(self.cluster_file.cluster)

    def close(self) -> None:
        self.hosts.close()
        self.journal.close()

    # ------------------------------------------------------------ looking

    def connect(self) -> None:
        """Opens the hypervisor. Raises `HostUnavailable`."""
        self.hosts.connection(HYPERVISOR)

    def _observe(self, targets: Sequence[tuple[Step, str]], costly: Costly = Costly.NEVER) -> Context:
        ctx = observe(self.cluster_file.cluster, self.hosts, self.journal, targets, costly)
        self.journal.bind(ctx.see(OURS).machine_id)
        return ctx

    def _targets(self, names: Sequence[str], *, with_needs: bool = False) -> tuple[tuple[Step, str], ...]:
        """Every step that is meant, once per target it has."""
        cluster = self.cluster_file.cluster
        return tuple(
            (step, target)
            for step, one in catalog.chosen(names, with_needs=with_needs)
            for target in ((one,) if one else step.targets(cluster))
        )

    def _plan(self, ctx: Context, step: Step, target: str) -> Planned:
        return plan_step(ctx, step, target, self.journal.standings(), self.settings.guard_seconds)

    def plan(self, names: Sequence[str] = ()) -> tuple[Planned, ...]:
        """What would change; nothing is touched. What a named step needs is planned too."""
        targets = self._targets(names, with_needs=True)
        ctx = self._observe(targets)
        return tuple(self._plan(ctx, step, target) for step, target in targets)

    def status(self, names: Sequence[str] = ()) -> tuple[Planned, ...]:
        """Where every step stands, from the hosts."""
        targets = self._targets(names)
        ctx = self._observe(targets)
        return tuple(self._plan(ctx, step, target) for step, target in targets)

    def remembered(self) -> tuple[Standing, ...]:
        """Where the steps stood when the wizard last looked, without asking any host."""
        order = [step.id for step in catalog.steps()]
        known = [standing for standing in self.journal.standings().values() if standing.step in order]
        return tuple(sorted(known, key=lambda standing: (order.index(standing.step), standing.target)))

    def check(self, names: Sequence[str] = ()) -> tuple[tuple[str, str, Check], ...]:
        """All checks, the costly ones too, and for every other step whether it is as wanted."""
        targets = self._targets(names)
        ctx = self._observe(targets, Costly.ALWAYS)
        rows: list[tuple[str, str, Check]] = []
        for step, target in targets:
            planned = self._plan(ctx, step, target)
            checks = planned.checks if step.only_checks else (_as_wanted(planned),)
            rows += [(step.id, target, check) for check in checks]
        for row in rows:
            self._tell(Checked(*row))
        return tuple(rows)

    def suggestions(self, step: Step) -> Mapping[str, tuple[Suggestion, ...]]:
        """Values found on the hosts for the fields of this step's form; empty where nothing could be seen."""
        cluster = self.cluster_file.cluster
        ctx = self._observe([(step, target) for target in step.targets(cluster) or (HYPERVISOR,)])
        try:
            return step.defaults(ctx)
        except FactUnknown:
            return {}

    def export(self, form: str = "md") -> str:
        """The runbook. Where no host can be reached, from what is remembered and what a fresh host would need."""
        from wizard.runbook import export

        if form != "md":
            raise ValueError(form)
        return export(self, self.hosts.secrets())

    # ------------------------------------------------------------ doing

    def apply(self, names: Sequence[str] = (), approved: Mapping[str, str] | None = None) -> Outcome:
        """Brings it about, step by step: looks again, plans again, asks where the plan is not the approved one, runs.

        `approved` maps step@target to the digest that the owner has seen and accepted.
        """
        self._writable()
        self._control = Control.new()
        finished, statuses = self._resume()
        stood: dict[str, State] = {}
        for step, target in self._targets(names, with_needs=bool(names)):
            if self._control.wanted:
                statuses.append(5)
                break
            done, status = self._apply_one(step, target, approved or {}, stood, named=bool(names))
            stood[step.id] = _worse(stood.get(step.id, State.DONE), done.state)
            finished.append(done)
            statuses.append(status)
            if status == 4 or done.state is State.RUNNING:
                break
        return Outcome(tuple(finished), worst(statuses))

    def _apply_one(
        self, step: Step, target: str, approved: Mapping[str, str], stood: Mapping[str, State], *, named: bool
    ) -> tuple[StepFinished, int]:
        if unmet := [need for need in step.needs if stood.get(need, State.DONE) is not State.DONE]:
            return self._told(step, target, State.BLOCKED, f"waits for {', '.join(unmet)}", 0)
        standing = self.journal.standings().get((step.id, target))
        if standing and standing.state is State.SKIPPED and not named:
            return self._told(step, target, State.SKIPPED, standing.reason, 0)
        planned = self._look(step, target)
        match planned.plan:
            case Nothing(why=why):
                return self._as_it_is(planned, why)
            case Do():
                return self._approved_and_done(planned, approved)
            case Refused():
                return self._told(step, target, State.BLOCKED, planned.reason, 2, planned)
            case Blocked():
                return self._told(step, target, State.BLOCKED, planned.reason, 5, planned)
            case Unknown():
                return self._told(step, target, State.UNKNOWN, planned.reason, 1, planned)

    def _look(self, step: Step, target: str) -> Planned:
        return self._plan(self._observe([(step, target)], Costly.WHERE_MISSING), step, target)

    def _approved_and_done(self, planned: Planned, approved: Mapping[str, str]) -> tuple[StepFinished, int]:
        seen = approved.get(planned.name)
        if seen != planned.digest:
            changed = "" if seen is None else "what would be done is no longer what you approved"
            if self._ask(Approve((planned,), planned.risk, changed)) is not True:
                return self._told(planned.step, planned.target, planned.state, "not approved, so nothing was done", 5)
        self._confirmable(planned)
        return self._applier().apply(planned, lambda: self._look(planned.step, planned.target))

    def _confirmable(self, planned: Planned) -> None:
        """A guarded change over loopback cannot be confirmed by a connection, only by somebody at the keyboard."""
        guarded = planned.risk is Risk.MAY_CUT_SSH
        accepted = "local-confirm" in self.cluster_file.cluster.hypervisor.accept
        if (
            guarded
            and is_loopback(self.hosts.connection(HYPERVISOR).address)
            and not (self.settings.at_keyboard or accepted)
        ):
            raise WaitsForOwner(
                "this change is confirmed by a new connection, and from the hypervisor itself that proves nothing",
                where=planned.name,
                cure="use the wizard at the keyboard, or add local-confirm to hypervisor.accept in cluster.yaml",
            )

    def _as_it_is(self, planned: Planned, why: str) -> tuple[StepFinished, int]:
        standing = self.journal.standings().get((planned.step.id, planned.target))
        for check in planned.checks:
            self._tell(Checked(planned.step.id, planned.target, check))
        if standing is None or standing.state is not State.DONE:
            self.journal.append("done", planned.step.id, planned.target, reason=why)
        return self._told(planned.step, planned.target, State.DONE, why, 0)

    def _told(
        self, step: Step, target: str, state: State, reason: str, status: int, planned: Planned | None = None
    ) -> tuple[StepFinished, int]:
        for check in planned.checks if planned else ():
            self._tell(Checked(step.id, target, check))
        findings = planned.plan.findings if planned and isinstance(planned.plan, Refused | Blocked) else ()
        cures = tuple(finding.cure for finding in findings if finding.cure)
        finished = StepFinished(step.id, target, state, reason, 0.0, next_steps=cures)
        self._tell(finished)
        return finished, status

    def _applier(self) -> Applier:
        runner = Runner(self.hosts, self.journal, self._tell, self._control, self.settings.take_over)
        seconds = self.settings.guard_seconds
        confirmer = Confirmer(self.hosts, runner, self._ask, self._tell, self._control.let_go, seconds)
        return Applier(self.journal, runner, confirmer, self._control, self._tell)

    def _resume(self) -> tuple[list[StepFinished], list[int]]:
        """Scripts that were running and guards that were armed when the wizard last ended come first."""
        finished: list[StepFinished] = []
        statuses: list[int] = []
        for standing in self.remembered():
            if standing.state in (State.RUNNING, State.GUARDED):
                self._tell(Note(f"{standing.step}@{standing.target} was under way: going on where it was"))
                if (ended := self._applier().resume(standing)) is not None:
                    finished.append(ended[0])
                    statuses.append(ended[1])
        return finished, statuses

    # ------------------------------------------------------------ undoing

    def plan_undo(self, names: Sequence[str] = (), everything: bool = False) -> tuple[Planned, ...]:
        """What would be taken back, last step first."""
        named = reversed(self._targets(names if not everything else ()))
        targets = [(step, target) for step, target in named if not step.only_checks]
        ctx = self._observe(targets)
        return tuple(plan_undo(ctx, step, target, self.settings.guard_seconds) for step, target in targets)

    def undo(self, names: Sequence[str] = (), everything: bool = False) -> Outcome:
        self._writable()
        self._control = Control.new()
        finished, statuses = self._resume()
        for step, target in reversed(self._targets(names if not everything else ())):
            if step.only_checks:
                continue
            done, status = self._undo_one(step, target)
            finished.append(done)
            statuses.append(status)
            if status:
                break
        return Outcome(tuple(finished), worst(statuses))

    def _undo_one(self, step: Step, target: str) -> tuple[StepFinished, int]:
        planned = self._look_back(step, target)
        match planned.plan:
            case Nothing(why=why):
                if (step.id, target) in self.journal.standings():
                    self.journal.append("undone", step.id, target, reason=why)
                return self._told(step, target, State.TODO, why, 0)
            case Do():
                if self._ask(Approve((planned,), planned.risk)) is not True:
                    return self._told(step, target, State.DONE, "not approved, so nothing was undone", 5)
                self._confirmable(planned)
                return self._applier().apply(planned, lambda: self._look_back(step, target), undoing=True)
            case Unknown() | Blocked():
                return self._told(step, target, State.UNKNOWN, planned.reason, 1, planned)
            case Refused():
                return self._told(step, target, State.DRIFTED, planned.reason, 1, planned)

    def _look_back(self, step: Step, target: str) -> Planned:
        return plan_undo(self._observe([(step, target)]), step, target, self.settings.guard_seconds)

    # ------------------------------------------------------------ the owner's word

    def skip(self, step: str, target: str, reason: str) -> None:
        """Left out until it is named; what needs it is blocked."""
        self._writable()
        self.journal.append("skipped", step, target, reason=reason or "skipped by you")

    def done_by_hand(self, step: str, target: str) -> Planned:
        """Looks again: done only if the plan says Nothing."""
        self._writable()
        planned = self._look(catalog.find(step), target)
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

    def _writable(self) -> None:
        if self.read_only:
            raise WaitsForOwner(
                f"another wizard works on this cluster: {self.read_only}",
                where=str(self.journal.directory),
                cure="go on there, or end it first",
            )


def _as_wanted(planned: Planned) -> Check:
    """A step as a check: as wanted, not yet, or not known."""
    verdict = {State.DONE: Verdict.OK, State.UNKNOWN: Verdict.UNKNOWN}.get(planned.state, Verdict.WARN)
    cure = f"homek8s-wizard apply {planned.step.id}" if verdict is Verdict.WARN else ""
    return Check(planned.step.id, planned.step.title, verdict, planned.reason, cure=cure)


def _worse(one: State, other: State) -> State:
    """A step with several targets is done when all are."""
    return other if one is State.DONE else one


def is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback
