"""Things that are made once, kept in the cache, and shared by all rehearsals."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

Say = Callable[[str], None]
Make = Callable[[Path, int], None]


def ensure(kept: Path, what: str, make: Make, say: Say) -> Path:
    """Give `kept`, calling `make(kept, lock)` first when it is not there; one maker at a time on this machine.

    `make` must bring it about in one last rename, and hand the lock's handle to programs that shall hold it longer
    than this process may live.
    """
    if kept.exists():
        return kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    with _maker(kept, what, say) as lock:
        if not kept.exists():
            make(kept, lock)
    return kept


@contextmanager
def _maker(kept: Path, what: str, say: Say) -> Iterator[int]:
    lock = os.open(kept.with_name(f".{kept.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"The same {what} is being built already: waiting for it.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock
    finally:
        os.close(lock)
