"""The events of the journal, and where they leave every step: a fold over them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from wizard.events import State


@dataclass(frozen=True)
class Entry:
    seq: int
    utc: str
    kind: str
    step: str
    target: str
    attempt: str
    payload: Mapping[str, Any]


@dataclass(frozen=True)
class Standing:
    """Where a step stands for one target, as far as the journal remembers; `attempt` is the last one."""

    step: str
    target: str
    state: State
    reason: str
    since: str
    attempt: str = ""


STATE_OF = {
    "started": State.RUNNING,
    "running": State.RUNNING,
    "guarded": State.GUARDED,
    "done": State.DONE,
    "failed": State.FAILED,
    "skipped": State.SKIPPED,
    "reverted": State.REVERTED,
    "undone": State.TODO,
    "interrupted": State.INTERRUPTED,
    "unknown": State.UNKNOWN,
    "blocked": State.BLOCKED,
}
"""The kinds of event that move a step; all others (intent, ended, measured, …) leave it where it is."""

Standings = dict[tuple[str, str], Standing]


def fold(entries: Iterable[Entry]) -> Standings:
    """Where every step stands after these events."""
    standings: Standings = {}
    for entry in entries:
        if (now := moved(entry)) is not None:
            standings[entry.step, entry.target] = now
    return standings


def moved(entry: Entry) -> Standing | None:
    """Where this event leaves its step; None when it does not move it."""
    state = STATE_OF.get(entry.kind)
    if state is None:
        return None
    reason = str(entry.payload.get("reason", "")).encode("utf-8", "replace").decode()
    return Standing(entry.step, entry.target, state, reason, entry.utc, entry.attempt)


def entry_of(row: tuple[Any, ...]) -> Entry:
    seq, utc, kind, step, target, attempt, payload = row
    return Entry(seq, utc, kind, step, target, attempt, json.loads(payload))
