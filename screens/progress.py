"""What a run's events amount to: where it is now, and the lines of its log."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from screens.plain import one_line, plain
from wizard.events import (
    Checked,
    Event,
    GuardArmed,
    GuardSettled,
    HostAwaited,
    HostConnected,
    HostLost,
    Note,
    PartFinished,
    PartOutput,
    PartStarted,
    StepFinished,
    StepStarted,
    Waiting,
)
from wizard.model import in_words


@dataclass(frozen=True)
class Progress:
    """Where a run is; empty words and zeros for what is not (yet) so."""

    step: str = ""
    target: str = ""
    title: str = ""
    part: int = 0
    parts: int = 0
    host: str = ""
    part_title: str = ""
    reverts_in: float = 0.0
    """Seconds that the guard was armed with."""
    lost: str = ""
    """Why there is no connection."""

    @property
    def where(self) -> str:
        if not self.part:
            return self.title
        return f"part {self.part} of {self.parts} on {in_words(self.host)}: {self.part_title}"


def after(progress: Progress, event: Event) -> Progress:
    match event:
        case StepStarted(step=step, target=target, title=title):
            return Progress(step=step, target=target, title=one_line(title))
        case PartStarted(part=part, parts=parts, host=host, title=title):
            host, title = one_line(host), one_line(title)
            return replace(progress, part=part, parts=parts, host=host, part_title=title, lost="")
        case GuardArmed(seconds=seconds):
            return replace(progress, reverts_in=seconds)
        case GuardSettled():
            return replace(progress, reverts_in=0.0)
        case HostLost(host=host, reason=reason):
            return replace(progress, lost=f"{one_line(host)}: {one_line(reason)}")
        case HostAwaited(host=host, left=left):
            return replace(progress, lost=f"waiting until {one_line(host)} answers, at most {left:.0f} s more")
        case HostConnected() | PartOutput() | PartFinished():
            return replace(progress, lost="") if progress.lost else progress
        case _:
            return progress


def lines(events: Iterable[Event]) -> list[str]:
    return [line for event in events for line in plain(_words(event)).split("\n")]


def _words(event: Event) -> str:
    """The event as it stands in the log; what a host printed keeps its lines."""
    match event:
        case PartOutput(text=text):
            return text.rstrip("\n")
        case StepStarted(target=target, title=title):
            return f"== {title} ({target})"
        case PartStarted(part=part, parts=parts, host=host, title=title):
            return f"-- part {part} of {parts} on {in_words(host)}: {title}"
        case PartFinished(part=part, rc=rc, seconds=seconds):
            return f"-- part {part} ended with {rc} after {seconds:.1f} s"
        case StepFinished(target=target, state=state, reason=reason, seconds=seconds):
            return f"== {target}: {state.value} after {seconds:.1f} s. {one_line(reason)}"
        case Checked(target=target, check=check):
            return f"[{check.verdict.value}] {target}: {check.title}: {one_line(check.reason)}"
        case _:
            return _connection_words(event)


def _connection_words(event: Event) -> str:
    match event:
        case HostConnected(host=host, address=address):
            return f"-- connected to {host} at {address}"
        case HostLost(host=host, reason=reason, retry_in=seconds):
            return f"-- connection to {host} lost ({reason}); what runs there goes on; next try in {seconds:.0f} s"
        case HostAwaited(host=host, reason=reason):
            return f"-- {host} does not answer yet: {reason}"
        case GuardArmed(host=host, seconds=seconds):
            return f"-- guard: {host} goes back by itself in {seconds:.0f} s unless the change is confirmed"
        case GuardSettled(host=host, kept=kept, reason=reason):
            return f"-- guard: {host} {'kept the change' if kept else 'went back to what it was'}: {reason}"
        case Waiting(host=host, words=words):
            return "\n".join(f"{host}: {line}" for line in words.splitlines())
        case Note(text=text):
            return text
        case _:
            return ""


def clock(seconds: float) -> str:
    """Elapsed time: "0:07", "12:40", "1:02:03"."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
