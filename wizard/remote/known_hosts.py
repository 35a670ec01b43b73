"""Which host keys are trusted: the owner's known_hosts files, only read, and one of ours, for keys accepted here.

Read are hashed names, wildcards and negation, `[host]:port`, `@revoked`; `@cert-authority` lines are left out, as host
certificates are not asked for. What cannot be read is skipped, as ssh does. Source: sshd(8), SSH_KNOWN_HOSTS.
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import hmac
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from wizard.whole_file import replace


@dataclass(frozen=True)
class PublicKey:
    """A host's key: its type as in known_hosts ("ssh-ed25519") and its wire form."""

    kind: str
    blob: bytes

    @property
    def fingerprint(self) -> str:
        """As ssh-keygen -l prints it: SHA256:…, base64 without padding."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")

    @classmethod
    def from_text(cls, text: str) -> PublicKey:
        """From `ssh-ed25519 AAAA… [comment]`, as in a .pub file or on a console. Raises ValueError."""
        kind, encoded, *_ = [*text.split(None, 2), "", ""]
        blob = _decoded(kind, encoded)
        if blob is None:
            raise ValueError("not a public key")
        return cls(kind, blob)


@dataclass(frozen=True)
class Place:
    """A line of a known_hosts file, from 1, and the fingerprint of the key it holds."""

    file: Path
    line: int
    kind: str
    fingerprint: str


@dataclass(frozen=True)
class Trusted:
    """The very key is known for this host."""


@dataclass(frozen=True)
class UnknownHost:
    """No key is known for this host."""


@dataclass(frozen=True)
class OtherTypeKnown:
    """Keys are known for this host, of other types than the one it showed."""

    known: tuple[Place, ...]


@dataclass(frozen=True)
class Changed:
    """Another key of the same type is known for this host."""

    known: Place


@dataclass(frozen=True)
class Revoked:
    """The key is marked @revoked."""

    known: Place


Verdict = Trusted | UnknownHost | OtherTypeKnown | Changed | Revoked


@dataclass(frozen=True)
class _Entry:
    file: Path
    line: int
    marker: str
    names: str
    key: PublicKey

    @property
    def place(self) -> Place:
        return Place(self.file, self.line, self.key.kind, self.key.fingerprint)


class KnownHosts:
    """The owner's files and `accepted`, a file of ours that need not exist. Files are read anew for each question."""

    def __init__(self, files: Sequence[Path], accepted: Path) -> None:
        self.files = tuple(files)
        self.accepted = accepted

    def verdict(self, host: str, port: int, key: PublicKey) -> Verdict:
        entries = self._entries_for(host, port)
        for entry in entries:
            if entry.marker == "@revoked" and entry.key == key:
                return Revoked(entry.place)
        known = [entry for entry in entries if not entry.marker]
        if any(entry.key == key for entry in known):
            return Trusted()
        same_kind = [entry.place for entry in known if entry.key.kind == key.kind]
        if same_kind:
            return Changed(same_kind[0])
        return OtherTypeKnown(tuple(entry.place for entry in known)) if known else UnknownHost()

    def kinds(self, host: str, port: int) -> tuple[str, ...]:
        """The types of the keys known for a host: those to ask it for first."""
        return tuple(dict.fromkeys(entry.key.kind for entry in self._entries_for(host, port) if not entry.marker))

    def record(self, host: str, port: int, key: PublicKey) -> None:
        """Trust this key for this host from now on, in place of any that was recorded here before. Raises OSError."""
        with _writing:
            name = host_name(host, port)
            kept = [line for line in _lines(self.accepted) if line.split(None, 1)[:1] != [name]]
            kept.append(f"{name} {key.kind} {base64.b64encode(key.blob).decode()}")
            _replace(self.accepted, "\n".join(kept) + "\n")

    def _entries_for(self, host: str, port: int) -> list[_Entry]:
        name = host_name(host, port)
        return [
            entry for file in (*self.files, self.accepted) for entry in _entries(file) if matches(entry.names, name)
        ]


_writing = threading.Lock()


def host_name(host: str, port: int) -> str:
    """The name under which ssh files a host: lower case, `[host]:port` unless the port is 22."""
    return host.lower() if port == 22 else f"[{host.lower()}]:{port}"


def matches(names: str, name: str) -> bool:
    """Whether the first field of an entry, hashed or a list of patterns, stands for `name` (see `host_name`)."""
    if names.startswith("|"):
        return _hash_matches(names, name)
    found = False
    for pattern in names.lower().split(","):
        if _pattern_matches(pattern.removeprefix("!"), name):
            if pattern.startswith("!"):
                return False
            found = True
    return found


def _pattern_matches(pattern: str, name: str) -> bool:
    if "*" not in pattern and "?" not in pattern:
        return pattern == name
    # In ssh a bracket is an ordinary character, in fnmatch it opens a set.
    return fnmatch.fnmatchcase(name, pattern.replace("[", "[[]"))


def _hash_matches(names: str, name: str) -> bool:
    fields = names.split("|")
    if len(fields) != 4 or fields[1] != "1":
        return False
    try:
        salt, digest = base64.b64decode(fields[2], validate=True), base64.b64decode(fields[3], validate=True)
    except binascii.Error:
        return False
    return hmac.compare_digest(hmac.digest(salt, name.encode(), "sha1"), digest)


def _entries(file: Path) -> Iterator[_Entry]:
    for number, line in enumerate(_lines(file), 1):
        fields = line.split()
        if not fields or fields[0].startswith("#"):
            continue
        marker = fields.pop(0) if fields[0].startswith("@") else ""
        if len(fields) < 3 or marker not in ("", "@revoked"):
            continue
        blob = _decoded(fields[1], fields[2])
        if blob is not None:
            yield _Entry(file, number, marker, fields[0], PublicKey(fields[1], blob))


def _decoded(kind: str, encoded: str) -> bytes | None:
    """The wire form of a key, which repeats its type (RFC 4253, 6.6); None for anything else."""
    try:
        blob = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None
    return blob if kind and blob.startswith(len(kind).to_bytes(4, "big") + kind.encode()) else None


def _lines(file: Path) -> list[str]:
    """The lines of a file, split as ssh does at newlines alone; none where there is no such file."""
    try:
        text = file.read_bytes().decode("utf-8", "replace")
    except OSError:
        return []
    return re.split(r"\r?\n", text.removesuffix("\n")) if text else []


def _replace(file: Path, text: str) -> None:
    """Written whole or not at all, readable by the owner alone."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace(file, text)


def algorithms(kinds: Iterable[str], offered: Sequence[str]) -> tuple[str, ...]:
    """The host key algorithms to ask for, known ones first (an RSA key signs as rsa-sha2-…, RFC 8332)."""
    known = set(kinds)
    first = [name for name in offered if name in known or ("ssh-rsa" in known and name.startswith("rsa-sha2-"))]
    return (*first, *(name for name in offered if name not in first))
