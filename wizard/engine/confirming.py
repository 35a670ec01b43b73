"""A guarded change is in place: is the host still there, by a new connection, and does the owner want to keep it?

The host goes back by itself unless told to keep the change, so every way out of here but one leads back to what was;
what became of it is what the host says, never what was guessed.
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass

from wizard.engine.hosts import Hosts
from wizard.engine.running import Attempt, Runner
from wizard.errors import HostLostError, HostUnavailable, StepFailed
from wizard.events import Ask, GuardArmed, GuardSettled, KeepOrRevert, Observer, ProbeResult
from wizard.model import Guard
from wizard.remote import guard
from wizard.remote.shell import Shell

SETTLE = 20.0
"""Seconds for which probes that do not hold yet are asked again: switches learn, ARP and DNS come back."""
REVERT_LIMIT = 300.0
"""Seconds after its time within which a revert must have shown its outcome; a guest may be slow."""


@dataclass(frozen=True)
class Verdict:
    kept: bool
    reason: str


class Confirmer:
    def __init__(
        self, hosts: Hosts, runner: Runner, ask: Ask, tell: Observer, let_go: threading.Event, seconds: int
    ) -> None:
        self._hosts, self._runner, self._ask, self._tell, self._let_go = hosts, runner, ask, tell, let_go
        self._seconds = seconds

    def before(self, host: str, wanted: Guard) -> tuple[bool, ...]:
        """What held before the change: a probe that failed already does not stand in its way."""
        return guard.ask(self._hosts.connection(host), wanted.probes)

    def announce(self, attempt: Attempt) -> None:
        """From about now the host's clock runs; it may be lost before it says so itself."""
        self._tell(GuardArmed(attempt.step, attempt.target, attempt.host, self._seconds))

    def settle(self, attempt: Attempt, before: tuple[bool, ...]) -> Verdict:
        """From "armed" to "kept" or "reverted"."""
        deadline = time.monotonic() + self._seconds
        reached = self._reach(attempt, deadline)
        if reached is None:
            verdict = self.outcome(attempt, "no new connection succeeded, so the host went back")
        else:
            verdict = self._decide(attempt, before, *reached)
        self._tell(GuardSettled(attempt.step, attempt.target, attempt.host, verdict.kept, verdict.reason))
        return verdict

    def _reach(self, attempt: Attempt, deadline: float) -> tuple[Shell, str] | None:
        """A new connection, at one of the addresses where the host must now answer."""
        assert attempt.guard is not None
        addresses: tuple[str | None, ...] = attempt.guard.reach or (None,)
        while (left := deadline - time.monotonic()) > 0 and not self._let_go.is_set():
            for address in addresses:
                with contextlib.suppress(HostUnavailable, HostLostError):
                    connection = self._hosts.fresh(attempt.host, address, timeout=max(1, min(10, left)))
                    return connection, connection.address
            self._let_go.wait(1)
        return None

    def _decide(self, attempt: Attempt, before: tuple[bool, ...], connection: Shell, reached: str) -> Verdict:
        try:
            state = guard.look(connection, attempt.id)
            if state.seconds is None:
                return self._said(connection, state.outcome, "too late")
            deadline = time.monotonic() + state.seconds
            probes = self._probe(attempt, before, connection, deadline)
            question = KeepOrRevert(
                attempt.step, attempt.target, attempt.host, deadline - time.monotonic(), reached, probes
            )
            answer = self._ask(question)
            if answer is True and guard.keep(connection, attempt.id):
                self._hosts.adopt(attempt.host, connection)
                return Verdict(True, f"confirmed over a new connection to {reached}")
            if answer is False:
                guard.revert(connection, attempt.id)
        except (HostLostError, HostUnavailable) as error:
            return self.outcome(attempt, error.what)
        words = {True: "too late: the host had gone back already", False: "asked to go back"}
        reason = words[answer] if isinstance(answer, bool) else "nobody confirmed it"
        return self.outcome(attempt, "; ".join(_failed(probes)) or reason)

    def _probe(
        self, attempt: Attempt, before: tuple[bool, ...], connection: Shell, deadline: float
    ) -> tuple[ProbeResult, ...]:
        """Asks until all that held before holds again, for at most `SETTLE` seconds."""
        assert attempt.guard is not None
        until = min(time.monotonic() + SETTLE, deadline - 5)
        while True:
            now = guard.ask(connection, attempt.guard.probes)
            results = tuple(
                ProbeResult(probe.title, holds, held)
                for probe, holds, held in zip(attempt.guard.probes, now, before, strict=True)
            )
            if not _failed(results) or time.monotonic() > until or self._let_go.wait(1):
                return results

    def outcome(self, attempt: Attempt, reason: str = "it failed") -> Verdict:
        """Waits for the host to be back and asks it what it did."""
        deadline = time.monotonic() + REVERT_LIMIT
        while True:
            connection = self._runner.regain(attempt, reason)
            with contextlib.suppress(HostLostError):
                state = guard.look(connection, attempt.id)
                if not state.waits:
                    return self._said(connection, state.outcome, reason)
                deadline = max(deadline, time.monotonic() + (state.seconds or 0) + 30)
            if time.monotonic() > deadline:
                raise StepFailed(
                    "the host should have gone back to what was, and has not said so",
                    where=attempt.host,
                    why="its timer did not run, or taking back failed",
                    cure="look at `journalctl -u hk8s-guard` there; the files as they were are in "
                    f"/var/lib/homek8s-wizard/backup/{attempt.id}",
                )
            self._let_go.wait(1)

    def _said(self, connection: Shell, outcome: str, reason: str) -> Verdict:
        if outcome == "kept":
            return Verdict(True, "the host says that it was confirmed")
        by = {
            "reverted timer": "the time ran out",
            "reverted boot": "the host restarted before it was confirmed",
            "reverted owner": "as asked",
            "reverted failed": "the script failed",
        }.get(outcome, outcome or "nothing was left to confirm")
        return Verdict(False, f"{reason} ({by}); all is as it was")


def _failed(results: tuple[ProbeResult, ...]) -> list[str]:
    return [f"no longer so: {result.title}" for result in results if result.before and not result.holds]
