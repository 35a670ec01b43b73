"""Where the owner's kubeconfig is, and how it is changed on disk: locked as by kubectl, whole or not at all, 0600."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wizard.errors import WizardError
from wizard.kubeconfig.document import NotUnderstood, tree
from wizard.whole_file import replace

LONGEST = 16 * 1024 * 1024
PATIENCE = 5.0
"""Seconds for which a lock of kubectl's is waited for; it holds one for milliseconds."""


class KubeconfigError(WizardError):
    """The owner's kubeconfig is left as it is."""


def default_path() -> Path:
    """$KUBECONFIG where it names one file, else ~/.kube/config. Raises `KubeconfigError` where it names others."""
    usual = Path.home() / ".kube" / "config"
    named = [Path(each).expanduser() for each in os.environ.get("KUBECONFIG", "").split(os.pathsep) if each]
    if not named or usual in named:
        return usual
    if len(set(named)) == 1:
        return named[0].absolute()
    raise KubeconfigError(
        f"$KUBECONFIG names several files: {', '.join(map(str, named))}",
        where="KUBECONFIG",
        cure="start the wizard with KUBECONFIG set to the one that is to have the new cluster",
    )


def read(path: Path) -> str | None:
    """Its text, None where there is none. Raises `KubeconfigError`."""
    try:
        there = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KubeconfigError(f"cannot be looked at: {error.strerror}", where=str(path)) from None
    if not stat.S_ISREG(there.st_mode) or there.st_size > LONGEST:
        raise KubeconfigError("is no ordinary file, or a huge one", where=str(path))
    if there.st_uid != os.geteuid():
        raise KubeconfigError(
            "belongs to another account",
            where=str(path),
            why="it was made with sudo",
            cure=f'sudo chown "$USER": {path}',
        )
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise KubeconfigError(f"cannot be read: {type(error).__name__}", where=str(path)) from None


def backup_of(path: Path, name: str) -> Path:
    """The file as it was before the cluster `name` came into it; only its owner may read it too."""
    return path.with_name(f"{path.name}.before-{name}")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """While it is changed. kubectl holds FILE.lock, made anew, so (k8s.io/client-go/tools/clientcmd, lockFile)."""
    _make(path.parent)
    lock, deadline = Path(f"{path}.lock"), time.monotonic() + PATIENCE
    while True:
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            break
        except FileExistsError:
            if time.monotonic() > deadline:
                raise KubeconfigError(
                    "is locked",
                    where=str(path),
                    why=f"kubectl is changing it, or was ended while it did: there is {lock}",
                    cure=f"if no kubectl runs: rm {lock}",
                ) from None
            time.sleep(0.1)
        except OSError as error:
            raise KubeconfigError(f"cannot be changed: {error.strerror}", where=str(path)) from None
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def _make(directory: Path) -> None:
    """0700 if it is made here; one that is there may be anything, and keeps its mode."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise KubeconfigError(f"cannot be made: {error.strerror}", where=str(directory)) from None


def write(path: Path, text: str) -> None:
    """The file has this content, 0600, all at once; a symbolic link is followed."""
    real = path.resolve()
    try:
        replace(real, text)
        _sync(real.parent)
    except OSError as error:
        raise KubeconfigError(f"cannot be written: {error.strerror}", where=str(path)) from None


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


def put_back(path: Path, name: str, text: str, empty: bool) -> None:
    """The file without the cluster `name`, `text`; exactly as it was before that came, where nothing else changed.

    Where there was no file before and nothing is left in it, it goes, and its directory if that is then empty.
    """
    backup = backup_of(path, name)
    before = read(backup)
    if before is not None and _alike(before, text):
        write(path, before)
        backup.unlink()
    elif before is None and empty:
        path.unlink()
    else:
        write(path, text)


def tidy(path: Path) -> None:
    """The usual directory, where nothing is left in it."""
    if path == Path.home() / ".kube" / "config":
        with contextlib.suppress(OSError):
            path.parent.rmdir()


def _alike(one: str, other: str) -> bool:
    try:
        return tree(one) == tree(other)
    except NotUnderstood:
        return False
