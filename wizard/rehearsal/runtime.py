"""Where one rehearsal keeps its files: everything below one directory, so that removing it is enough."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from wizard.rehearsal.error import BadRequest

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")


def cache() -> Path:
    """Root trees and running rehearsals; a real file system, because an overlay cannot be stacked on every other."""
    return Path(os.environ.get("HOMEK8S_CACHE") or "/var/cache/homek8s-wizard").absolute()


@dataclass(frozen=True)
class Runtime:
    """The files of one rehearsal. `directory` exists exactly as long as the rehearsal does."""

    name: str
    directory: Path

    @classmethod
    def named(cls, name: str) -> Runtime:
        """Raise BadRequest for a name that cannot be a machine's and a cluster's."""
        if not NAME.fullmatch(name):
            raise BadRequest(f"{name!r} is no name for a rehearsal: 1 to 40 of a-z, 0-9 and '-', not '-' at an end.")
        return cls(name, cache() / "rehearsals" / name)

    @property
    def spec(self) -> Path:
        return self.directory / "spec.json"

    @property
    def netns(self) -> Path:
        return self.directory / "lan.netns"

    @property
    def cluster_file(self) -> Path:
        return self.directory / "cluster.yaml"

    @property
    def pod_network(self) -> Path:
        return self.directory / "cni.yaml"

    @property
    def ssh_config(self) -> Path:
        return self.directory / "ssh_config"

    @property
    def known_hosts(self) -> Path:
        return self.directory / "known_hosts"

    @property
    def key(self) -> Path:
        return self.directory / "id_ed25519"

    @property
    def password_file(self) -> Path:
        return self.directory / "password"

    def process(self, role: str) -> Path:
        """Where the process with this role is recorded."""
        return self.directory / f"{role}.pid"

    def log(self, role: str) -> Path:
        return self.directory / f"{role}.log"

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Hold the rehearsal for one caller at a time; gives False when there is no such rehearsal (any more)."""
        while True:
            try:
                handle = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
            except FileNotFoundError:
                yield False
                return
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                # Commands run meanwhile inherit it (see `commands.run`): when we are killed, it holds until they end.
                os.set_inheritable(handle, True)
                if not _same(self.directory, handle):
                    continue
                yield True
                return
            finally:
                os.close(handle)


def existing() -> list[str]:
    """The names of all rehearsals on this machine, half-made ones included."""
    parent = cache() / "rehearsals"
    return sorted(entry.name for entry in parent.iterdir() if entry.is_dir()) if parent.is_dir() else []


def _same(directory: Path, handle: int) -> bool:
    """The one we waited for may have been removed, and made anew by somebody else, meanwhile."""
    try:
        return os.path.samestat(directory.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a whole file or nothing, with exactly this mode from its first byte on."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
    temporary.rename(path)
