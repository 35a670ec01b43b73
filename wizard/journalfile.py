"""The journal's file on disk: made whole, checked whole, copied (RELIABILITY 3.1).

SQLite notices a truncated file, not a flipped bit, and silently drops the end of a damaged write-ahead log. So every
event carries the hash of the one before, `meta` carries a seal, and the file beside it, `journal.db-head`, says which
event was last: a journal that ends earlier has lost some.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wizard import __version__
from wizard.errors import NewerState, WizardError
from wizard.events import State
from wizard.standing import Entry, Standing, Standings, entry_of, fold

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


def chained(before: str, row: tuple[Any, ...]) -> str:
    """The hash of an event (seq … payload) that follows the one with hash `before`."""
    return hashlib.sha256(json.dumps([before, *row], ensure_ascii=False).encode()).hexdigest()


# ---------------------------------------------------------------- making, opening, copying


def create(path: Path) -> None:
    """A new, empty journal at `path` (0600): there whole or not at all."""
    part = path.with_name(path.name + "-new")
    for left in (part, *beside(part)):
        left.unlink(missing_ok=True)
    os.close(os.open(part, os.O_CREAT | os.O_EXCL, 0o600))
    with contextlib.closing(sqlite3.connect(part, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {SCHEMA}; COMMIT;")
        db.execute("INSERT INTO meta VALUES ('lineage', ?), ('app', ?)", (str(uuid.uuid4()), __version__))
        seal(db)
    settle(part, path)


def beside(path: Path) -> tuple[Path, ...]:
    """The files that SQLite and we keep beside a journal."""
    return tuple(path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal", "-head"))


def settle(part: Path, path: Path) -> None:
    """`part` becomes `path`, on disk when this returns."""
    for name in (part, part.parent):
        with _opened(name) as file:
            os.fsync(file)
    part.replace(path)
    with _opened(path.parent) as directory:
        os.fsync(directory)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    file = os.open(path, os.O_RDONLY)
    try:
        yield file
    finally:
        os.close(file)


def connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """The journal, verified; a refused file is not changed. Raises `Damaged`, `NewerState`, and sqlite3.Error for what
    the disk refuses."""
    try:
        _looked_at(path)
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
        if read_only:
            db.execute("PRAGMA query_only = ON")
        else:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = EXTRA")  # where WAL cannot be had, the directory is synced too
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        if _primary(error) in _DISK:
            raise
        raise damaged(path, str(error)) from error
    return db


_DISK = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
}
"""What SQLite says about the disk and the file's rights, not about the journal."""


def _primary(error: Exception) -> int:
    """SQLite's result code without its extension; 0 where the error is Python's own."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _looked_at(path: Path) -> None:
    """Checks it through a connection that cannot write, so that what is refused stays as it is."""
    try:
        _checked(path, "ro")
    except sqlite3.OperationalError as error:
        if _primary(error) != sqlite3.SQLITE_READONLY:
            raise
        _checked(path, "rw")  # its last writer was killed in a way that only a writer can set right


def _checked(path: Path, mode: str) -> None:
    last = read_head(path)
    with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=10)) as db:
        application, version = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in _STAMPS)
        if application != APPLICATION_ID:
            raise damaged(path, "this is not a journal of homek8s-wizard")
        if version > SCHEMA:
            raise NewerState(
                f"the journal was written by a newer version (its format is {version}, this version knows {SCHEMA})",
                where=str(path),
                cure="use that newer version; nothing was changed",
            )
        if version < SCHEMA:
            raise damaged(path, f"there has never been a format {version}")
        db.execute("BEGIN")
        if wrong := _wrong(db, last):
            raise damaged(path, wrong)


_STAMPS = ("application_id", "user_version")


def copy(db: sqlite3.Connection, path: Path) -> None:
    """A copy of the verified journal beside it."""
    part = backup_of(path).with_suffix(".part")
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_CREAT | os.O_EXCL, 0o600))
    db.execute("VACUUM INTO ?", (str(part),))
    settle(part, backup_of(path))


def backup_of(path: Path) -> Path:
    return path.with_name("journal.backup.db")


def damaged(path: Path, why: str) -> Damaged:
    names = f"{path} and all files whose names begin with {path.name}"
    copied = f", then copy {backup_of(path)} to {path}" if backup_of(path).exists() else " to begin anew"
    return Damaged(
        "the journal is damaged; nothing was changed",
        where=str(path),
        why=why,
        cure=f"move away {names}{copied}; the hosts say themselves what is done",
    )


# ---------------------------------------------------------------- checking


def _wrong(db: sqlite3.Connection, last: tuple[int, str] | None) -> str:
    """Empty, or what is not as it was written; `last` is what `journal.db-head` says."""
    if (answer := db.execute("PRAGMA quick_check").fetchone()[0]) != "ok":
        return str(answer)
    try:
        standings, hashes = _followed(db)
    except _Broken as broken:
        return str(broken)
    if standings != read_standings(db):
        return "the summary is not what its events say"
    if meta(db, "seal") != _sealed(db):
        return "its first page is not what was written"
    if last is not None and (last[0] > len(hashes) or (last[0] and hashes[last[0] - 1] != last[1])):
        return f"its last event is number {len(hashes)}, and number {last[0]} was written"
    return ""


class _Broken(Exception):
    """An event is not what was written."""


def _followed(db: sqlite3.Connection) -> tuple[Standings, list[str]]:
    """Along the chain of hashes: where the steps stand by the events, and the events' hashes."""
    hashes: list[str] = []
    entries: list[Entry] = []
    for row in db.execute("SELECT seq, utc, kind, step, target, attempt, payload, hash FROM event ORDER BY seq"):
        text = all(isinstance(value, str) for value in row[1:])
        if not text or row[0] != len(hashes) + 1 or chained(hashes[-1] if hashes else "", row[:7]) != row[7]:
            raise _Broken(f"event {len(hashes) + 1} is not what was written")
        hashes.append(row[7])
        entries.append(entry_of(row[:7]))
    return fold(entries), hashes


def read_standings(db: sqlite3.Connection) -> Standings:
    rows = db.execute("SELECT step, target, state, reason, since, attempt FROM standing").fetchall()
    known = {state.value: state for state in State}
    return {(row[0], row[1]): Standing(row[0], row[1], known.get(row[2], State.UNKNOWN), *row[3:]) for row in rows}


def meta(db: sqlite3.Connection, key: str) -> str:
    row = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return str(row[0]) if row else ""


def seal(db: sqlite3.Connection) -> None:
    """To be called after every change of `meta`, in the same transaction."""
    db.execute("INSERT OR REPLACE INTO meta VALUES ('seal', ?)", (_sealed(db),))


def _sealed(db: sqlite3.Connection) -> str:
    rows = db.execute("SELECT key, value FROM meta WHERE key != 'seal' ORDER BY key").fetchall()
    return hashlib.sha256(repr(rows).encode("utf-8", "replace")).hexdigest()


def head_line(seq: int, hash_: str) -> bytes:
    """What `journal.db-head` says: its own checksum tells a damaged line, which says nothing, from a lost event."""
    line = f"{seq} {hash_}"
    return f"{line} {hashlib.sha256(line.encode()).hexdigest()}\n".encode()


def read_head(path: Path) -> tuple[int, str] | None:
    """The last event that was written, None where nobody can tell."""
    try:
        said = beside(path)[-1].read_bytes()
        seq, hash_, _ = said.decode("ascii").split(" ")
        return (int(seq), hash_) if said == head_line(int(seq), hash_) else None
    except (OSError, ValueError):
        return None
