"""What the journal remembers of each step: every time it was begun, what was tried on which host, how it ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from wizard.journal import Entry
from wizard.model import Probe
from wizard.standing import STATE_OF

ENDS = frozenset(STATE_OF) - {"started", "running", "guarded"}
"""The kinds of event after which a step rests."""


@dataclass(frozen=True)
class Tried:
    """One attempt: one run of one part's script. `at` is when it was started, RFC 3339 UTC."""

    id: str
    at: str
    host: str
    title: str
    script: str
    part: int = 1
    parts: int = 1
    reach: tuple[str, ...] = ()
    probes: tuple[Probe, ...] = ()
    guarded: bool = False
    limit: int = 900
    """Seconds after which the host ended it, if it still ran."""
    word: str = ""
    """What the host said of its end: "ended", "interrupted"; empty when it has said nothing."""
    rc: int | None = None
    seconds: float | None = None
    kept: bool | None = None
    """Of a guarded part: confirmed, or gone back; None where it was not guarded or is not settled."""
    why: str = ""

    @property
    def took_effect(self) -> bool:
        return self.word == "ended" and self.rc == 0 and self.kept is not False

    @property
    def outcome(self) -> str:
        """How it ended, as Markdown; `why` says more."""
        if self.kept is False:
            return "**went back**"
        if not self.word:
            return "its end was not seen"
        if self.word != "ended":
            return "**interrupted**"
        if self.rc:
            return f"**failed** with status {self.rc}"
        return "done and kept" if self.kept else "done"


@dataclass
class Run:
    """From when a step was begun to when it came to rest. `outcome` is the journal's word, empty while it goes on."""

    at: str
    undoing: bool = False
    tried: list[Tried] = field(default_factory=list)
    outcome: str = ""
    reason: str = ""

    @property
    def took_effect(self) -> tuple[Tried, ...]:
        return tuple(each for each in self.tried if each.took_effect and not self.undoing)


Histories = Mapping[tuple[str, str], tuple[Run, ...]]


def histories(entries: Iterable[Entry]) -> Histories:
    """Each step and target's runs, oldest first."""
    found: dict[tuple[str, str], list[Run]] = {}
    for entry in entries:
        if entry.kind in _HEEDED:
            _take(found.setdefault((entry.step, entry.target), []), entry)
    return {name: tuple(runs) for name, runs in found.items()}


_HEEDED = {"started", "intent", "ended", "settled", *ENDS}


def _take(runs: list[Run], entry: Entry) -> None:
    if entry.kind == "started" or not runs or (entry.kind in ENDS and runs[-1].outcome):
        runs.append(Run(entry.utc, bool(entry.payload.get("undoing"))))
    run = runs[-1]
    if entry.kind == "intent":
        run.tried.append(_tried(entry))
    elif entry.kind in ENDS:
        run.outcome, run.reason = entry.kind, str(entry.payload.get("reason", ""))
    for each in runs:
        each.tried = [_told(tried, entry) if tried.id == entry.attempt else tried for tried in each.tried]


def _tried(entry: Entry) -> Tried:
    said = entry.payload
    probes = tuple(Probe(str(title), tuple(map(str, argv))) for title, *argv in said.get("probes") or ())
    return Tried(
        entry.attempt,
        entry.utc,
        said["host"],
        said["title"],
        said["script"],
        said["part"],
        said["parts"],
        tuple(said.get("reach") or ()),
        probes,
        said.get("reach") is not None,
        said.get("limit", 900),
    )


def _told(tried: Tried, entry: Entry) -> Tried:
    """What this event adds to what is known of the attempt."""
    said = entry.payload
    if entry.kind == "ended":
        return replace(tried, word=said["word"], rc=said["rc"], seconds=said["seconds"])
    if entry.kind == "settled":
        return replace(tried, kept=said["kept"], why=said["why"])
    return tried


def in_force(runs: tuple[Run, ...]) -> tuple[Tried, ...]:
    """The attempts whose work still stands: those that took effect since the step was last undone."""
    return tuple(tried for run in _since_undone(runs) for tried in run.took_effect)


def in_pieces(runs: tuple[Run, ...]) -> str:
    """When something of it began that may have left its work half done, RFC 3339 UTC; empty where what is in force is
    all. Under the guard nothing is left half done: what was not kept went back."""
    half = (tried for run in _since_undone(runs) for tried in run.tried if run.undoing or not tried.took_effect)
    return next((tried.at for tried in half if not tried.guarded), "")


def _since_undone(runs: tuple[Run, ...]) -> tuple[Run, ...]:
    last = max((index for index, run in enumerate(runs) if run.outcome == "undone"), default=-1)
    return runs[last + 1 :]


def alike(runs: tuple[Run, ...]) -> tuple[tuple[Run, ...], ...]:
    """Retries: runs one after another with the same scripts and the same end, together."""
    found: list[tuple[Run, ...]] = []
    for run in runs:
        if found and _shape(found[-1][-1]) == _shape(run):
            found[-1] = (*found[-1], run)
        else:
            found.append((run,))
    return tuple(found)


def _shape(run: Run) -> tuple[object, ...]:
    return run.undoing, run.outcome, run.reason, tuple((each.host, each.script, each.outcome) for each in run.tried)
