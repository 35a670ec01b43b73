"""Doing and undoing many steps: in order, each looked at first, asked about where it must be, and told of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from wizard.cluster import Cluster
from wizard.engine.ahead import Ahead
from wizard.engine.applying import Applier
from wizard.engine.confirming import Confirmer
from wizard.engine.here import is_here
from wizard.engine.hosts import Hosts, in_parallel
from wizard.engine.looking import Looker, Targets
from wizard.engine.observing import Costly
from wizard.engine.planned import Planned
from wizard.engine.running import Control, Runner
from wizard.engine.settings import Settings
from wizard.errors import WaitsForOwner
from wizard.events import Approve, Ask, Checked, Note, Observer, State, StepFinished
from wizard.journal import Journal
from wizard.model import HYPERVISOR, Blocked, Do, Nothing, Part, Refused, Risk, Step, Unknown

SEVERITY = (2, 4, 1, 5, 3, 0)
"""Exit statuses, the one to report first (DESIGN, command line)."""

Result = tuple[StepFinished, int]
"""How a step ended for one target, and the exit status that this means."""


@dataclass(frozen=True)
class Outcome:
    steps: tuple[StepFinished, ...]
    status: int


def worst(statuses: Sequence[int]) -> int:
    return min(statuses, key=SEVERITY.index, default=0)


def outcome(results: Sequence[Result]) -> Outcome:
    """Of a step that was taken up twice, what came of it in the end."""
    last = {(finished.step, finished.target): (finished, status) for finished, status in results}
    return Outcome(tuple(finished for finished, _ in last.values()), worst([status for _, status in last.values()]))


def together(targets: Targets, cluster: Cluster) -> list[Targets]:
    """In their order; neighbours of one step that may be done side by side are one group."""

    def at_once(pair: tuple[Step, str]) -> object:
        step, target = pair
        return (step.id, "" if step.side_by_side(cluster, target) else target)

    return [tuple(group) for _, group in groupby(targets, at_once)]


def _ends_it(result: Result) -> bool:
    finished, status = result
    return (status == 4 and finished.target == HYPERVISOR) or finished.state is State.RUNNING


class Doer:
    """One `apply` or `undo`, from its first look to its outcome."""

    def __init__(
        self,
        looker: Looker,
        hosts: Hosts,
        journal: Journal,
        settings: Settings,
        ask: Ask,
        tell: Observer,
        control: Control,
    ) -> None:
        self._looker, self._hosts, self._journal, self._settings = looker, hosts, journal, settings
        self._ask, self._tell, self._control = ask, tell, control
        runner = Runner(hosts, journal, tell, control, settings.take_over)
        confirmer = Confirmer(hosts, runner, ask, tell, control.let_go, settings.guard_seconds)
        self._applier = Applier(hosts, journal, runner, confirmer, control, tell)
        self._ahead = Ahead(looker, hosts)
        self._away = ""
        """A machine that was restarted and is not back as it was wanted: until then no other one is restarted."""

    def apply(self, targets: Targets, approved: Mapping[str, str], *, named: bool) -> Outcome:
        results = self._resume()
        stood: dict[tuple[str, str], State] = {}
        later = targets
        for group in together(targets, self._looker.file.cluster):
            if self._control.wanted:
                break
            later = later[len(group) :]
            done = self._apply_together(group, later, approved, stood, named=named)
            stood |= {(finished.step, finished.target): finished.state for finished, _ in done}
            results += done
            if any(map(_ends_it, done)):
                break
        return self._ended(results)

    def _apply_together(
        self,
        group: Targets,
        later: Targets,
        approved: Mapping[str, str],
        stood: Mapping[tuple[str, str], State],
        *,
        named: bool,
    ) -> list[Result]:
        """Each is looked at and asked about in turn; what is to be done is then done side by side, before `later`."""
        results: dict[str, Result] = {}
        work: dict[str, Callable[[], None]] = {}
        for number, (step, target) in enumerate(group, 1):
            decided = self._decide(step, target, approved, stood, named=named)
            if isinstance(decided, Planned):
                work[target] = partial(self._carry_out, decided, results)
                continue
            results[target] = decided
            if decided[0].state is State.DONE:
                self._ahead.look((*group[number:], *later))
        if work:
            self._ahead.changed()
        if len(work) == 1:
            next(iter(work.values()))()
        else:
            in_parallel(work)
        return [results[target] for _, target in group]

    def _carry_out(self, planned: Planned, results: dict[str, Result]) -> None:
        results[planned.target] = self._applier.apply(planned, lambda: self.look(planned.step, planned.target))
        if planned.risk is Risk.RESTARTS_MACHINE and results[planned.target][0].state is not State.DONE:
            self._away = planned.target

    def undo(self, targets: Targets) -> Outcome:
        results = self._resume()
        for step, target in targets:
            if self._control.wanted:
                break
            results.append(self._undo_one(step, target))
            if results[-1][1]:
                break
        return self._ended(results)

    def look(self, step: Step, target: str) -> Planned:
        """As it is now. What a remembered measurement has found wrong is measured anew: it may be cured by now."""
        [planned] = self._looker.plan(((step, target),), Costly.WHERE_MISSING)
        if planned.measured and isinstance(planned.plan, Blocked | Refused):
            [planned] = self._looker.plan(((step, target),), Costly.ALWAYS)
        return planned

    def _ended(self, results: Sequence[Result]) -> Outcome:
        ended = outcome(results)
        return Outcome(ended.steps, worst([ended.status, 5])) if self._control.wanted else ended

    def _resume(self) -> list[Result]:
        """Scripts that were running and guards that were armed when the wizard last ended come first."""
        results = []
        for standing in self._journal.standings().values():
            if standing.state in (State.RUNNING, State.GUARDED):
                self._tell(Note(f"{standing.step}@{standing.target} was under way: going on where it was"))
                results.append(self._applier.resume(standing))
        return [result for result in results if result is not None]

    # ------------------------------------------------------------ one step

    def _decide(
        self,
        step: Step,
        target: str,
        approved: Mapping[str, str],
        stood: Mapping[tuple[str, str], State],
        *,
        named: bool,
    ) -> Result | Planned:
        """What came of it without doing anything, or what is now to be done."""
        if unmet := [need for need in step.needs if not _met(need, target, stood)]:
            return self._told(step, target, State.BLOCKED, f"waits for {', '.join(unmet)}", 0)
        standing = self._journal.standings().get((step.id, target))
        if standing and standing.state is State.SKIPPED and not named:
            return self._told(step, target, State.SKIPPED, standing.reason, 0)
        planned = self._ahead.nothing(step, target) or self.look(step, target)
        if planned.state is State.GUARDED:
            return self._told(step, target, State.GUARDED, f"changed from elsewhere: {planned.reason}", 5, planned)
        match planned.plan:
            case Nothing(why=why):
                return self._as_it_is(planned, why)
            case Do():
                return self._approved(planned, approved)
            case Refused():
                return self._told(step, target, State.BLOCKED, planned.reason, 2, planned)
            case Blocked():
                return self._told(step, target, State.BLOCKED, planned.reason, 5, planned)
            case Unknown(wait=Part()):
                return planned  # nobody is asked whether one may wait
            case Unknown(unreachable=unreachable):
                return self._told(step, target, State.UNKNOWN, planned.reason, 4 if unreachable else 1, planned)

    def _approved(self, planned: Planned, approved: Mapping[str, str]) -> Result | Planned:
        if planned.risk is Risk.RESTARTS_MACHINE and self._away not in ("", planned.target):
            why = f"waits for {self._away}, which was restarted and is not back: one machine at a time"
            return self._told(planned.step, planned.target, State.BLOCKED, why, 0)
        seen = approved.get(planned.name)
        if seen != planned.digest:
            changed = "" if seen is None else "what would be done is no longer what you approved"
            if self._ask(_question(planned, changed)) is not True:
                why = f"nothing was done: {_not_approved(planned)}"
                return self._told(planned.step, planned.target, State.BLOCKED, why, 5)
        self._confirmable(planned)
        return planned

    def _undo_one(self, step: Step, target: str) -> tuple[StepFinished, int]:
        planned = self._look_back(step, target)
        match planned.plan:
            case Nothing(why=why):
                if (step.id, target) in self._journal.standings():
                    self._journal.append("undone", step.id, target, reason=why)
                return self._told(step, target, State.TODO, why, 0)
            case Do():
                if self._ask(_question(planned)) is not True:
                    return self._told(step, target, State.BLOCKED, f"nothing was undone: {_not_approved(planned)}", 5)
                self._confirmable(planned)
                return self._applier.apply(planned, lambda: self._look_back(step, target), undoing=True)
            case Unknown() | Blocked():
                return self._told(step, target, State.UNKNOWN, planned.reason, 1, planned)
            case Refused(findings=findings):
                drifted = any(finding.id == "drift" for finding in findings)
                return self._told(step, target, State.DRIFTED if drifted else State.BLOCKED, planned.reason, 1, planned)

    def _look_back(self, step: Step, target: str) -> Planned:
        [planned] = self._looker.plan_undo(((step, target),))
        return planned

    def _confirmable(self, planned: Planned) -> None:
        """A guarded change over loopback cannot be confirmed by a connection, only by somebody at the keyboard."""
        guarded = {part.on for part in planned.plan.parts if part.guard} if isinstance(planned.plan, Do) else set()
        if HYPERVISOR not in guarded or self._settings.at_keyboard:
            return
        accepted = "local-confirm" in self._looker.file.cluster.hypervisor.accept
        if is_here(self._hosts.connection(HYPERVISOR).address) and not accepted:
            raise WaitsForOwner(
                "this change is confirmed by a new connection, and from the hypervisor itself that proves nothing",
                where=planned.name,
                cure="use the wizard at the keyboard, or add local-confirm to hypervisor.accept in cluster.yaml",
            )

    # ------------------------------------------------------------ what is told

    def _as_it_is(self, planned: Planned, why: str) -> tuple[StepFinished, int]:
        standing = self._journal.standings().get((planned.step.id, planned.target))
        for check in planned.checks:
            self._tell(Checked(planned.step.id, planned.target, check))
        if standing is None or standing.state is not State.DONE:
            self._journal.append("done", planned.step.id, planned.target, reason=why)
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


def _met(need: str, target: str, stood: Mapping[tuple[str, str], State]) -> bool:
    """For the same target where the needed step has it, else for all that it has."""
    states = {of: state for (step, of), state in stood.items() if step == need}
    return all(state is State.DONE for state in ([states[target]] if target in states else states.values()))


def _not_approved(planned: Planned) -> str:
    if planned.risk is Risk.DESTROYS_DATA:
        return f"it destroys data of {planned.target}, which needs its name (headless: --destroy {planned.target})"
    return "it was not approved (headless: --yes)"


def _question(planned: Planned, changed: str = "") -> Approve:
    destroys = planned.target if planned.risk is Risk.DESTROYS_DATA else ""
    return Approve((planned,), planned.risk, changed, destroys)
