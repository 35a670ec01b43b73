"""Saved progress: an append-only log of events in SQLite, on the owner's machine (RELIABILITY 3.1).

Memory, never truth: what the hosts say decides. Every event is on disk (WAL, FULL) before `append` returns; each row
carries the hash of the one before, because SQLite does not notice flipped bits. Where a step stands is a fold over the
events; the table `standing` only keeps its result.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import socket
import sqlite3
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from wizard import __version__
from wizard.errors import NewerState, WaitsForOwner, WizardError
from wizard.events import State

APPLICATION_ID = 0x686B3873  # "hk8s"
SCHEMA = 1

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE event (
    seq INTEGER PRIMARY KEY, utc TEXT NOT NULL, kind TEXT NOT NULL, step TEXT NOT NULL, target TEXT NOT NULL,
    attempt TEXT NOT NULL, payload TEXT NOT NULL, hash TEXT NOT NULL);
CREATE TABLE standing (
    step TEXT NOT NULL, target TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL, since TEXT NOT NULL,
    attempt TEXT NOT NULL, PRIMARY KEY (step, target));
CREATE TRIGGER event_is_never_changed BEFORE UPDATE ON event BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER event_is_never_deleted BEFORE DELETE ON event BEGIN SELECT RAISE(ABORT, 'append only'); END;
"""


class Damaged(WizardError):
    """The journal on disk is not what was written; it is left as it is."""


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


_STATE_OF = {
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


def fold(entries: Iterable[Entry]) -> dict[tuple[str, str], Standing]:
    """Where every step stands after these events."""
    standings: dict[tuple[str, str], Standing] = {}
    for entry in entries:
        state = _STATE_OF.get(entry.kind)
        if state is not None:
            standings[entry.step, entry.target] = _moved(entry, state)
    return standings


def _moved(entry: Entry, state: State) -> Standing:
    reason = str(entry.payload.get("reason", ""))
    return Standing(entry.step, entry.target, state, reason, entry.utc, entry.attempt)


class Journal:
    """The log of one cluster in `directory` (0700). One writer at a time: a second one is read-only and says who."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)
        self.directory = directory
        self.path = directory / "journal.db"
        self.held_by = self._lock()
        self._db = self._open()
        if not self.held_by:
            self._back_up()

    # ------------------------------------------------------------ opening

    def _lock(self) -> str:
        """Empty when this process may write; else who does. The kernel releases it when its holder dies."""
        self._lock_file = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return os.pread(self._lock_file, 200, 0).decode("utf-8", "replace").strip() or "another process"
        os.ftruncate(self._lock_file, 0)
        os.pwrite(self._lock_file, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        return ""

    def _open(self) -> sqlite3.Connection:
        fresh = not self.path.exists()
        if fresh:
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL, 0o600))
        db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=10)
        try:
            self._prepare(db, fresh or self.path.stat().st_size == 0)
        except sqlite3.DatabaseError as error:
            db.close()
            raise self._damaged(str(error)) from error
        except WizardError:
            db.close()
            raise
        return db

    def _prepare(self, db: sqlite3.Connection, fresh: bool) -> None:
        if fresh and not self.held_by:
            self._create(db)
        application, version = (
            db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
        )
        if application != APPLICATION_ID:
            raise self._damaged("this is not a journal of homek8s-wizard")
        if version > SCHEMA:
            raise NewerState(
                f"the journal was written by a newer version (its format is {version}, this version knows {SCHEMA})",
                where=str(self.path),
                cure="use that newer version; nothing was changed",
            )
        db.execute("PRAGMA synchronous = FULL")
        self._verify(db)

    def _create(self, db: sqlite3.Connection) -> None:
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {SCHEMA}; COMMIT;")
        db.execute("INSERT INTO meta VALUES ('lineage', ?), ('app', ?)", (str(uuid.uuid4()), __version__))

    def _verify(self, db: sqlite3.Connection) -> None:
        if (answer := db.execute("PRAGMA quick_check").fetchone()[0]) != "ok":
            raise self._damaged(answer)
        before, expected = "", 1
        for row in db.execute("SELECT seq, utc, kind, step, target, attempt, payload, hash FROM event ORDER BY seq"):
            if row[0] != expected or _hash(before, row[:7]) != row[7]:
                raise self._damaged(f"event {row[0]} is not what was written")
            before, expected = row[7], expected + 1

    def _damaged(self, why: str) -> Damaged:
        backup = self.path.with_name("journal.backup.db")
        cure = f"move it away and copy {backup} in its place" if backup.exists() else "move it away to begin anew"
        return Damaged(
            "the journal is damaged; nothing was changed",
            where=str(self.path),
            why=why,
            cure=f"{cure}; the hosts say themselves what is done",
        )

    def _back_up(self) -> None:
        part, backup = (self.path.with_name(f"journal.backup.{end}") for end in ("part", "db"))
        part.unlink(missing_ok=True)
        self._db.execute("VACUUM INTO ?", (str(part),))
        part.chmod(0o600)
        part.replace(backup)

    # ------------------------------------------------------------ writing

    def append(self, kind: str, step: str = "", target: str = "", attempt: str = "", **payload: Any) -> Entry:
        """Writes one event; when this returns it is on disk. Raises `WaitsForOwner` for a read-only journal."""
        if self.held_by:
            raise WaitsForOwner(f"another wizard works on this cluster: {self.held_by}", where=str(self.directory))
        utc = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        text = json.dumps(payload, ensure_ascii=False, sort_keys=True)
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                entry = self._insert((utc, kind, step, target, attempt, text))
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise WizardError(
                "progress cannot be saved, so nothing more is done",
                where=str(self.path),
                why=str(error),
                cure="make room on that disk, or make it writable, then start again",
            ) from error
        return entry

    def _insert(self, row: tuple[str, ...]) -> Entry:
        last = self._db.execute("SELECT seq, hash FROM event ORDER BY seq DESC LIMIT 1").fetchone() or (0, "")
        full = (last[0] + 1, *row)
        self._db.execute("INSERT INTO event VALUES (?,?,?,?,?,?,?,?)", (*full, _hash(last[1], full)))
        entry = _entry(full)
        if (state := _STATE_OF.get(entry.kind)) is not None:
            now = _moved(entry, state)
            self._db.execute(
                "INSERT OR REPLACE INTO standing VALUES (?,?,?,?,?,?)",
                (now.step, now.target, now.state.value, now.reason, now.since, now.attempt),
            )
        return entry

    def bind(self, machine_id: str) -> None:
        """Ties this journal to one hypervisor. Raises `WaitsForOwner` when it belongs to another."""
        bound = self._meta("machine-id")
        if bound and bound != machine_id:
            raise WaitsForOwner(
                f"the progress saved here belongs to another machine (machine-id {bound}, this one has {machine_id})",
                where=str(self.directory),
                why="the hypervisor was installed anew, or cluster.yaml now names another one",
                cure="give the cluster another name in cluster.yaml, or move that directory away",
            )
        if not bound and not self.held_by:
            self._db.execute("INSERT INTO meta VALUES ('machine-id', ?)", (machine_id,))

    # ------------------------------------------------------------ reading

    def _meta(self, key: str) -> str:
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return str(row[0]) if row else ""

    @property
    def lineage(self) -> str:
        return self._meta("lineage")

    @property
    def serial(self) -> int:
        """The number of the last event."""
        return int(self._db.execute("SELECT coalesce(max(seq), 0) FROM event").fetchone()[0])

    def entries(self) -> Iterator[Entry]:
        for row in self._db.execute("SELECT seq, utc, kind, step, target, attempt, payload FROM event ORDER BY seq"):
            yield _entry(row)

    def standings(self) -> dict[tuple[str, str], Standing]:
        rows = self._db.execute("SELECT step, target, state, reason, since, attempt FROM standing")
        return {(row[0], row[1]): Standing(row[0], row[1], State(row[2]), *row[3:]) for row in rows}

    def close(self) -> None:
        self._db.close()
        os.close(self._lock_file)


def _hash(before: str, row: tuple[Any, ...]) -> str:
    return hashlib.sha256(json.dumps([before, *row], ensure_ascii=False).encode()).hexdigest()


def _entry(row: tuple[Any, ...]) -> Entry:
    seq, utc, kind, step, target, attempt, payload = row
    return Entry(seq, utc, kind, step, target, attempt, json.loads(payload))


def age(utc: str, now: float | None = None) -> str:
    """How long ago an event's time was, in words: "3 min ago"."""
    seconds = int((time.time() if now is None else now) - datetime.fromisoformat(utc).timestamp())
    for size, word in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {word} ago"
    return "just now"
