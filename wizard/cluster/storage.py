"""Reading a small text file of the owner's, and replacing it whole or not at all."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from wizard.errors import InputError, InputFinding, WaitsForOwner

LARGEST = 1024 * 1024
"""Bytes that are read of a cluster.yaml."""


def content_of(path: Path) -> bytes:
    """The bytes of a file. Raises `InputError` for what is no file, cannot be read, or is larger than `LARGEST`."""
    try:
        content = first_bytes(path, LARGEST + 1)
    except FileNotFoundError:
        cure = "Start the wizard without it, copy examples/aki.yaml, or name another with -c FILE."
        raise refused(path, "there is no such file", cure) from None
    except OSError as error:
        raise refused(path, f"cannot be read: {error.strerror}", "Check its permissions.") from None
    except ValueError:
        raise refused(path, "is no name for a file", "Name a cluster.yaml with -c FILE.") from None
    if content is None:
        raise refused(path, "is not a file", "Name a cluster.yaml with -c FILE.")
    if len(content) > LARGEST:
        raise refused(path, "is larger than 1 MiB", "A cluster.yaml has a few KiB; is this the right file?")
    return content


def first_bytes(path: Path, most: int) -> bytes | None:
    """None for what is no regular file; a FIFO is not waited for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(most)
    finally:
        os.close(descriptor)


def decoded(content: bytes, file: str) -> str:
    """The text of a UTF-8 file, with its line ends and byte order mark as they are."""
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        message = f"byte 0x{content[error.start]:02x} is not UTF-8 text"
        raise InputError([InputFinding(file, line, "", message, "Save the file as UTF-8.")]) from None


def refused(path: Path, message: str, cure: str) -> InputError:
    return InputError([InputFinding(str(path), 0, "", message, cure)])


def save(path: Path, content: bytes, before: bytes | None) -> None:
    """Replaces a file, or what a link points to, keeping its mode and owner. `before` is what it held when it was read.

    Raises `WaitsForOwner` when it holds something else by now, OSError when it cannot be written.
    """
    target = Path(os.path.realpath(path))
    now = target.read_bytes() if target.exists() else None
    if now != before:
        what = "exists already" if before is None else "was removed" if now is None else "was changed by somebody else"
        cure = "Nothing was written. Look at the file, and load it again to go on from what it says now."
        raise WaitsForOwner(
            f"{what} since the wizard read it" if before is not None else what, where=str(path), cure=cure
        )
    if now != content:
        replace(target, content)


def replace(target: Path, content: bytes) -> None:
    """Atomically: a reader, or a loss of power, sees the old file or the new one."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            take_after(target, file.fileno())
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    directory = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def take_after(target: Path, descriptor: int) -> None:
    """The mode and owner of the file that is replaced; 0644 for a new one, as it holds no secrets."""
    try:
        old = target.stat()
    except FileNotFoundError:
        os.fchmod(descriptor, 0o644)
        return
    new = os.fstat(descriptor)
    if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode))
