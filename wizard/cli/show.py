"""Plans, states, checks and events as text for a terminal: plain words in whole lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, is_dataclass
from enum import Enum
from typing import Any

from wizard.engine.planned import Planned
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
from wizard.model import Blocked, Check, Do, Refused, Unknown, in_words


def planned_text(planned: Planned) -> str:
    return "\n".join(_planned_lines(planned))


def _planned_lines(planned: Planned) -> Iterator[str]:
    yield f"{planned.name}: [{planned.state}] {planned.reason}"
    if isinstance(planned.plan, Refused):
        for finding in planned.plan.findings:
            yield f"    {finding.message}"
            yield f"    Next: {finding.cure}"
    if isinstance(planned.plan, Blocked):
        yield from (f"    Next: {finding.cure}" for finding in planned.plan.findings if finding.cure)
    if isinstance(planned.plan, Unknown) and planned.plan.wait:
        yield "    Nothing is to be changed for it: `apply` waits, and looks again."
    if not isinstance(planned.plan, Do):
        return
    yield f"    Risk: {planned.risk.words}"
    for note in notes(planned):
        yield f"    Note: {note}"
    for part in planned.plan.parts:
        yield f"    On {part.on}: {part.title}"
        for action in part.actions:
            yield f"      - {action.summary}"
            diff: str = getattr(action, "diff", "")
            yield from (f"          {line}" for line in diff.splitlines())


def notes(planned: Planned) -> tuple[str, ...]:
    """What its owner should know of a change before it is made."""
    return planned.plan.notes if isinstance(planned.plan, Do) else ()


def check_text(step: str, target: str, check: Check) -> str:
    lines = [f"[{check.verdict}] {check.title}: {check.reason}"]
    lines += [f"    Next: {check.cure}"] if check.cure and check.verdict != "ok" else []
    return "\n".join(lines)


def event_text(event: Event) -> str:
    """What the terminal shows of an event; empty for none."""
    match event:
        case HostConnected(host=host, address=address):
            return f"Connected to {host} ({address})."
        case HostLost(host=host, reason=reason, retry_in=seconds):
            return f"{host}: {reason}; trying again in {seconds:.0f} s. What runs there goes on."
        case HostAwaited(host=host, reason=reason, left=left):
            return f"  waiting until {host} answers over SSH (at most {left:.0f} s more): {reason}"
        case Waiting(host=host, words=words):
            return "\n".join(f"  {host}: {line}" for line in words.splitlines())
        case Note(text=text):
            return text
        case StepStarted(step=step, target=target, title=title):
            return f"{step}@{target}: {title}"
        case PartStarted(part=part, parts=parts, host=host, title=title):
            return f"  part {part} of {parts} on {in_words(host)}: {title}"
        case PartOutput(text=text):
            return "".join(f"    {line}\n" for line in text.splitlines()).removesuffix("\n")
        case PartFinished(rc=rc, seconds=seconds):
            return f"  ended with status {rc} after {seconds:.1f} s"
        case GuardArmed(host=host, seconds=seconds):
            return (
                f"  {host} goes back by itself in {seconds:.0f} s unless the change is confirmed over a new connection"
            )
        case GuardSettled(kept=kept, reason=reason):
            return f"  {'kept' if kept else 'reverted'}: {reason}"
        case Checked(step=step, target=target, check=check):
            return check_text(step, target, check)
        case StepFinished():
            return _finished(event)


def _finished(event: StepFinished) -> str:
    lines = [f"{event.step}@{event.target}: [{event.state}] {event.reason}"]
    if event.log_tail:
        lines += ["  The last lines on the host:", *(f"    {line}" for line in event.log_tail.splitlines())]
    return "\n".join([*lines, *(f"  Next: {text}" for text in event.next_steps)])


def as_json(value: Any) -> Any:
    """Dataclasses and enums as what json can write; an event carries its class name as `event`."""
    if is_dataclass(value) and not isinstance(value, type):
        return {"event": type(value).__name__, **{key: as_json(item) for key, item in asdict(value).items()}}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    return [as_json(item) for item in value] if isinstance(value, list | tuple) else value
