"""Network namespaces held by a file, and threads that step into one."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wizard.rehearsal.commands import run

CLONE_NEWNET = 0x40000000


@contextmanager
def entered(path: Path) -> Iterator[None]:
    """Put the current thread, and threads it starts, into the network namespace held by `path`; back at the end."""
    with path.open("rb") as there, open("/proc/thread-self/ns/net", "rb") as here:
        _setns(there.fileno())
        try:
            yield
        finally:
            _setns(here.fileno())


def held(path: Path) -> bool:
    """Whether the file holds a namespace; after a crash of the machine it is an ordinary empty file."""
    try:
        return path.stat().st_dev == os.stat("/proc/self/ns/net").st_dev
    except FileNotFoundError:
        return False


def make(path: Path) -> None:
    """Make a namespace that lives as long as its file is mounted; not `ip netns add`, which leaves a mount behind."""
    path.touch()
    run(["unshare", f"--net={path}", "true"])


def drop(path: Path) -> None:
    """Let go of the namespace; nothing happens when there is none."""
    while held(path):
        run(["umount", str(path)])
    path.unlink(missing_ok=True)


def _setns(handle: int) -> None:
    """setns(2); os.setns exists from Python 3.12 on."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(handle, CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"setns: {os.strerror(code)}")
