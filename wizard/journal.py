"""Saved progress: an append-only log of events in SQLite, on the owner's machine (RELIABILITY 3.1).

Memory, never truth: what the hosts say decides. Every event is on disk (WAL, FULL) before `append` returns. Where a
step stands is a fold over the events; the table `standing` only keeps its result.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from wizard import journalfile
from wizard.errors import WaitsForOwner, WizardError
from wizard.journalfile import APPLICATION_ID, SCHEMA, Damaged
from wizard.standing import Entry, Standing, entry_of, fold, moved

__all__ = ["APPLICATION_ID", "SCHEMA", "Damaged", "Entry", "Journal", "Standing", "age", "fold"]

STARTING = 5.0
"""Seconds for which a second opener waits for the first one to make the journal."""


class Journal:
    """The log of one cluster in `directory` (0700). One writer at a time: a second one is read-only and says who.

    Its methods may be called from several threads. Raises `Damaged`, `NewerState`, or `WizardError` when it cannot be
    opened at all.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = directory / "journal.db"
        self._mutex = threading.RLock()
        with contextlib.ExitStack() as undone, self._savable():
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            directory.chmod(0o700)
            self._lock_file = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            undone.callback(os.close, self._lock_file)
            self.held_by = self._lock()
            self._make()
            self._db = journalfile.connect(self.path, read_only=bool(self.held_by))
            undone.callback(self._db.close)
            self._head_file = os.open(directory / "journal.db-head", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            undone.callback(os.close, self._head_file)
            if not self.held_by:
                journalfile.copy(self._db, self.path)
            self._open = undone.pop_all()

    def close(self) -> None:
        self._open.close()

    # ------------------------------------------------------------ opening

    def _lock(self) -> str:
        """Empty when this process may write; else who does. The kernel releases it when its holder dies."""
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return os.pread(self._lock_file, 200, 0).decode("utf-8", "replace").strip() or "another process"
        os.ftruncate(self._lock_file, 0)
        os.pwrite(self._lock_file, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        return ""

    def _make(self) -> None:
        """The journal is there; a new one only where there never was one."""
        deadline = time.monotonic() + STARTING
        while self.held_by and not self.path.exists():
            if time.monotonic() > deadline:
                raise WaitsForOwner(f"another wizard is just starting: {self.held_by}", where=str(self.directory))
            time.sleep(0.05)
        if self.path.exists():
            return
        backup = journalfile.backup_of(self.path)
        if backup.exists():
            raise Damaged(
                "the journal is gone; nothing was changed",
                where=str(self.path),
                cure=f"copy {backup} to {self.path}, or move the copy away too to begin anew",
            )
        journalfile.create(self.path)

    @contextlib.contextmanager
    def _savable(self) -> Iterator[None]:
        """What the disk refuses, as one plain error."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise WizardError(
                "progress cannot be saved, so nothing more is done",
                where=str(self.path),
                why=getattr(error, "strerror", None) or str(error),
                cure="make room on that disk, or make it writable, then start again",
            ) from error

    # ------------------------------------------------------------ writing

    def append(self, kind: str, step: str = "", target: str = "", attempt: str = "", **payload: Any) -> Entry:
        """Writes one event; when this returns it is on disk. Raises `WaitsForOwner` for a read-only journal."""
        if self.held_by:
            raise WaitsForOwner(f"another wizard works on this cluster: {self.held_by}", where=str(self.directory))
        text = json.dumps(payload, sort_keys=True)  # ASCII: a file's content may be no UTF-8
        with self._mutex, self._savable():
            with self._transaction():
                utc = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
                entry, hash_ = self._insert((utc, kind, step, target, attempt, text))
            self._put_head(entry.seq, hash_)
        return entry

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # SQLite itself ends one that finds no room
                self._db.execute("ROLLBACK")
            raise

    def _insert(self, row: tuple[str, ...]) -> tuple[Entry, str]:
        last = self._db.execute("SELECT seq, hash FROM event ORDER BY seq DESC LIMIT 1").fetchone() or (0, "")
        full = (last[0] + 1, *row)
        hash_ = journalfile.chained(last[1], full)
        self._db.execute("INSERT INTO event VALUES (?,?,?,?,?,?,?,?)", (*full, hash_))
        entry = entry_of(full)
        if (now := moved(entry)) is not None:
            self._db.execute(
                "INSERT OR REPLACE INTO standing VALUES (?,?,?,?,?,?)",
                (now.step, now.target, now.state.value, now.reason, now.since, now.attempt),
            )
        return entry, hash_

    def _put_head(self, seq: int, hash_: str) -> None:
        """Not synced: after a power cut it may be behind, which says nothing; it is never ahead of the journal."""
        with contextlib.suppress(OSError):
            line = journalfile.head_line(seq, hash_)
            os.pwrite(self._head_file, line, 0)
            os.ftruncate(self._head_file, len(line))

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
            with self._mutex, self._savable(), self._transaction():
                self._db.execute("INSERT INTO meta VALUES ('machine-id', ?)", (machine_id,))
                journalfile.seal(self._db)

    # ------------------------------------------------------------ reading

    def _meta(self, key: str) -> str:
        with self._mutex:
            return journalfile.meta(self._db, key)

    @property
    def lineage(self) -> str:
        return self._meta("lineage")

    @property
    def serial(self) -> int:
        """The number of the last event."""
        with self._mutex:
            return int(self._db.execute("SELECT coalesce(max(seq), 0) FROM event").fetchone()[0])

    def entries(self) -> Iterator[Entry]:
        """All events that there are now, oldest first."""
        with self._mutex:
            rows = self._db.execute("SELECT seq, utc, kind, step, target, attempt, payload FROM event ORDER BY seq")
            found = rows.fetchall()
        return map(entry_of, found)

    def standings(self) -> dict[tuple[str, str], Standing]:
        with self._mutex:
            return journalfile.read_standings(self._db)


def age(utc: str, now: float | None = None) -> str:
    """How long ago an event's time was, in words: "3 min ago"."""
    seconds = int((time.time() if now is None else now) - datetime.fromisoformat(utc).timestamp())
    for size, word in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {word} ago"
    return "just now"
