"""Doing one step for one target: its parts in order, each journalled, guarded ones settled, then looked at again."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from wizard.diagnose import likely_cause
from wizard.engine.confirming import Confirmer
from wizard.engine.hosts import Hosts
from wizard.engine.planned import Planned
from wizard.engine.restarting import LIMIT, Restarter
from wizard.engine.running import Attempt, Control, LetGo, Runner, attempt_of
from wizard.errors import HostLostError, HostUnavailable, StepFailed, TookTooLong, WaitsForOwner
from wizard.events import Observer, State, StepFinished, StepStarted
from wizard.journal import Journal, Standing
from wizard.model import Nothing
from wizard.remote.job import JobState

RETRY = "Retry: the hosts are looked at again first, and only what is missing is done."
UNDO = "Undo: take back what was done of it."


@dataclass(frozen=True)
class Ended:
    """How a step's parts ended: `state` DONE means that all ran, not yet that all is as wanted."""

    state: State
    reason: str
    tail: str = ""
    status: int = 0


class Applier:
    def __init__(
        self,
        hosts: Hosts,
        journal: Journal,
        runner: Runner,
        confirmer: Confirmer,
        control: Control,
        tell: Observer,
    ) -> None:
        self._hosts, self._journal, self._runner, self._confirmer = hosts, journal, runner, confirmer
        self._control, self._tell = control, tell
        self._restarter = Restarter(hosts, tell, control)

    def apply(
        self, planned: Planned, again: Callable[[], Planned], *, undoing: bool = False
    ) -> tuple[StepFinished, int]:
        """Runs what is planned, then asks `again()`, which must say Nothing; the outcome and its exit status."""
        began = time.monotonic()
        step, target = planned.step, planned.target
        self._tell(StepStarted(step.id, target, step.title))
        self._journal.append("started", step.id, target, digest=planned.digest, undoing=undoing, reason=planned.reason)
        ended = self._attend(lambda: self._run_parts(planned))
        if ended.state is State.DONE:
            ended = self._attend(lambda: _verified(again()))
        return self._finish(step.id, target, ended, began, undoing=undoing)

    def resume(self, standing: Standing) -> tuple[StepFinished, int] | None:
        """Picks up what was running when the wizard ended. None: its script ended well; the plan says what is left."""
        began = time.monotonic()
        intents = [e for e in self._journal.entries() if e.kind == "intent" and e.attempt == standing.attempt]
        if not intents:
            self._journal.append("interrupted", standing.step, standing.target, reason="it had not begun")
            return None
        attempt = attempt_of(intents[-1])
        ended = self._attend(lambda: self._picked_up(attempt))
        if ended.state is State.DONE:
            self._journal.append(
                "interrupted", standing.step, standing.target, attempt.id, reason="its script has ended"
            )
            return None
        return self._finish(standing.step, standing.target, ended, began)

    # ------------------------------------------------------------ parts

    def _run_parts(self, planned: Planned) -> Ended:
        parts = planned.parts
        for number, (part, script) in enumerate(zip(parts, planned.scripts, strict=True), 1):
            attempt = Attempt.of(planned.step.id, planned.target, part, script, number, len(parts))
            if part.answers_within:
                self._hosts.await_answer(part.on, part.answers_within, self._control.let_go)
            before = self._confirmer.before(part.on, part.guard) if part.guard else ()
            boot = self._restarter.before(part.on) if part.restarts else ""
            self._journal.append("running", attempt.step, attempt.target, attempt.id, before=list(before), boot=boot)
            self._runner.start(attempt)
            if part.guard:
                self._confirmer.announce(attempt)
            ended = self._to_the_end(attempt, before, boot)
            if ended.state is not State.DONE:
                return ended
            if part.introduces and (key := self._runner.host_key(attempt.id)):
                self._hosts.introduce(part.introduces, key)
            if self._control.wanted and number < len(parts):
                return Ended(State.INTERRUPTED, f"stopped by you after part {number} of {len(parts)}", status=5)
        return Ended(State.DONE, "")

    def _picked_up(self, attempt: Attempt) -> Ended:
        running = self._when_run(attempt.id)
        boot = str(running.get("boot", ""))
        if boot:
            self._hosts.await_answer(attempt.host, LIMIT, self._control.let_go)
        if self._runner.state(attempt).word == "absent":
            return Ended(State.DONE, "")
        return self._to_the_end(attempt, tuple(map(bool, running.get("before", ()))), boot)

    def _when_run(self, attempt_id: str) -> Mapping[str, Any]:
        """What was noted when the attempt was begun."""
        entries = self._journal.entries()
        return next((each.payload for each in entries if (each.kind, each.attempt) == ("running", attempt_id)), {})

    def _to_the_end(self, attempt: Attempt, before: tuple[bool, ...], boot: str) -> Ended:
        """`boot` is the one that the attempt ends, where it restarts its host."""
        state = self._runner.follow(attempt)
        if attempt.guard is None:
            ended = self._judge(attempt, state)
            return self._come_back(attempt, boot) if boot and ended.state is State.DONE else ended
        if not state.succeeded:
            verdict = self._confirmer.outcome(attempt)
            judged = self._judge(attempt, state)
            return Ended(judged.state, f"{judged.reason}; {verdict.reason}", judged.tail, judged.status)
        self._journal.append("guarded", attempt.step, attempt.target, attempt.id, reason="waits to be confirmed")
        verdict = self._confirmer.settle(attempt, before)
        self._journal.append("settled", attempt.step, attempt.target, attempt.id, kept=verdict.kept, why=verdict.reason)
        if verdict.kept:
            return Ended(State.DONE, verdict.reason)
        return Ended(State.REVERTED, verdict.reason, self._runner.tail(attempt.id), status=1)

    def _come_back(self, attempt: Attempt, boot: str) -> Ended:
        """A wizard that is ended meanwhile goes on waiting when it is started again."""
        self._journal.append("awaiting-restart", attempt.step, attempt.target, attempt.id, boot=boot)
        self._restarter.wait(attempt.host, boot)
        return Ended(State.DONE, "")

    def _judge(self, attempt: Attempt, state: JobState) -> Ended:
        if state.succeeded:
            return Ended(State.DONE, "")
        tail = self._runner.tail(attempt.id)
        if state.word == "interrupted":
            why = (
                "ended by you"
                if self._control.end_now.is_set()
                else "the host restarted, or the script was ended there"
            )
            return Ended(State.INTERRUPTED, why, tail, status=1)
        return Ended(State.FAILED, f"{attempt.title}: the script ended with status {state.rc}", tail, status=1)

    # ------------------------------------------------------------ outcomes

    def _attend(self, deed: Callable[[], Ended]) -> Ended:
        """What went wrong on the way, as an outcome of the step."""
        try:
            return deed()
        except LetGo:
            return Ended(State.RUNNING, "goes on on the host; start the wizard again to look", status=5)
        except (HostLostError, HostUnavailable, TookTooLong) as error:
            return Ended(State.UNKNOWN, str(error), status=error.status)
        except StepFailed as error:
            return Ended(State.FAILED, str(error), error.tail, status=error.status)
        except WaitsForOwner as error:
            return Ended(State.BLOCKED, str(error), status=error.status)

    def _finish(
        self, step: str, target: str, ended: Ended, began: float, *, undoing: bool = False
    ) -> tuple[StepFinished, int]:
        kind = "undone" if undoing and ended.state is State.DONE else ended.state.value
        attempt = self._journal.standings().get((step, target))
        if ended.state is not State.RUNNING:
            self._journal.append(kind, step, target, attempt.attempt if attempt else "", reason=ended.reason)
        cause = likely_cause(ended.tail)
        finished = StepFinished(
            step,
            target,
            State.TODO if kind == "undone" else ended.state,
            ended.reason + (f"\nProbably: {cause.why}" if cause else ""),
            time.monotonic() - began,
            ended.tail,
            (() if ended.state is State.DONE else (*((cause.cure,) if cause else ()), RETRY, UNDO)),
        )
        self._tell(finished)
        return finished, ended.status


def _verified(planned: Planned) -> Ended:
    """The plan after the deed: Nothing is the proof."""
    if isinstance(planned.plan, Nothing):
        return Ended(State.DONE, planned.plan.why)
    return Ended(State.FAILED, f"all was run, and it is still not as wanted: {planned.reason}", status=1)
