"""Proving who the owner is: keys of the agent, key files, passwords, in ssh's order and within the host's patience.

Order: with IdentitiesOnly the named keys alone; otherwise the agent's, then the key files; keys that need a passphrase
after those that do not, so that nothing is asked in vain; last the password, also as keyboard-interactive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from wizard.errors import HostUnavailable
from wizard.events import SecretKind
from wizard.model import Secret
from wizard.remote.login import TRIES, Login

if TYPE_CHECKING:
    import paramiko

_PER_CONNECTION = 4
"""sshd's MaxAuthTries is 6 by default, and some harden it; what is left over goes over a fresh connection."""


class OutOfTries(Exception):
    """The host takes no more attempts on this connection; there are more to make on a new one."""


class HungUp(Exception):
    """The connection ended during the login."""


@dataclass
class Attempts:
    """What was tried on all connections of one login, for the order and for the final words."""

    tried: list[str] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    """Fingerprints of keys the host did not accept: not offered again when it wants a new connection for more."""
    last: str = ""
    """The fingerprint of the key offered last."""
    passwords: int = 0
    offered: tuple[str, ...] = ()
    """What the host says it accepts: publickey, password, keyboard-interactive …"""


def authenticate(transport: paramiko.Transport, login: Login, attempts: Attempts) -> None:
    """Log in. Raises `HostUnavailable` when all ways are used up, `OutOfTries` or `HungUp` for a new connection."""
    _Authentication(transport, login, attempts).run()


class _Authentication:
    def __init__(self, transport: paramiko.Transport, login: Login, attempts: Attempts) -> None:
        self.transport, self.login, self.attempts = transport, login, attempts
        self.left = _PER_CONNECTION

    def run(self) -> None:
        if self._accepted(self.transport.auth_none):
            return
        if "publickey" in self.attempts.offered and self._with_keys():
            return
        if {"password", "keyboard-interactive"} & set(self.attempts.offered) and self._with_password():
            return
        raise self._refused()

    def _with_keys(self) -> bool:
        for name, key in candidates(self.login, self.attempts.refused):
            if self._spend(name, partial(self._key, key)):
                self.login.accepted_key = key.fingerprint
                return True
            self.attempts.refused.add(key.fingerprint)
            if "publickey" not in self.attempts.offered:
                return False
        return False

    def _key(self, key: paramiko.PKey, user: str) -> list[str]:
        self.attempts.last = key.fingerprint
        return self.transport.auth_publickey(user, key)

    def _with_password(self) -> bool:
        secrets, about = self.login.secrets, self.login.account
        with secrets.settling(SecretKind.SSH_PASSWORD, about):
            while self.attempts.passwords < TRIES:
                secret = secrets.get(SecretKind.SSH_PASSWORD, about) or self.login.secret(
                    SecretKind.SSH_PASSWORD, about, self.attempts.passwords + 1
                )
                if secret is None:
                    return False
                # Kept before it is proved right: if the host hung up meanwhile, it is not asked for again.
                secrets.keep(SecretKind.SSH_PASSWORD, about, secret)
                if self._spend("password", partial(self._password, secret)):
                    return True
                self.attempts.passwords += 1
                secrets.forget(SecretKind.SSH_PASSWORD, about, secret)
        return False

    def _password(self, secret: Secret, user: str) -> list[str]:
        return self.transport.auth_password(user, secret.reveal())

    def _spend(self, name: str, attempt: Callable[[str], list[str]]) -> bool:
        if self.left == 0:
            raise OutOfTries
        self.left -= 1
        if name not in self.attempts.tried:
            self.attempts.tried.append(name)
        return self._accepted(attempt)

    def _accepted(self, attempt: Callable[[str], list[str]]) -> bool:
        """Whether the host is satisfied now; notes what it accepts. Raises `HungUp`."""
        from paramiko import AuthenticationException, BadAuthenticationType, SSHException

        try:
            further = attempt(self.login.destination.user)
        except BadAuthenticationType as refusal:
            self.attempts.offered = tuple(refusal.allowed_types)
        except AuthenticationException as refusal:
            if not self.transport.is_active():
                raise HungUp(str(refusal)) from refusal
        except (SSHException, OSError, EOFError) as failure:
            raise HungUp(str(failure)) from failure
        else:
            self.attempts.offered = tuple(further) or self.attempts.offered
        return self.transport.is_authenticated()

    def _refused(self) -> HostUnavailable:
        tried = ", ".join(self.attempts.tried) or "nothing: no usable key, and no password was given"
        offered = ", ".join(self.attempts.offered) or "nothing"
        user = self.login.destination.user
        return HostUnavailable(
            f"login as {user} refused (tried: {tried}; the host accepts: {offered})",
            where=self.login.host,
            why="the key is not in authorized_keys there, the password is wrong, or there is no such account",
            cure=f"try `ssh {self.login.destination.typed}`; copy a key there with ssh-copy-id, or correct the user",
        )


# ---------------------------------------------------------------- which keys


def candidates(login: Login, refused: Set[str]) -> Iterator[tuple[str, paramiko.PKey]]:
    """The keys to offer, with the names errors call them by; a passphrase is asked for when its key's turn comes.

    `refused` are fingerprints to leave out; a key that the host accepted before comes first.
    """
    destination = login.destination
    agent = _agent_keys() if destination.use_agent else []
    locked: list[Path] = []
    open_files: list[tuple[str, paramiko.PKey]] = []
    for path in destination.identity_files:
        key = _load(path, None)
        if isinstance(key, Locked):
            locked.append(path)
        elif key is not None:
            open_files.append((f"key {path}", key))
    named = {*map(_public_blob, destination.identity_files), *(key.asbytes() for _, key in open_files)}
    if destination.identities_only:
        agent = [(name, key) for name, key in agent if key.asbytes() in named]
    else:
        agent.sort(key=lambda pair: pair[1].asbytes() not in named)
    ready = [*agent, *open_files] if not destination.identities_only else [*open_files, *agent]
    offered = set(refused)
    for name, key in sorted(ready, key=lambda pair: pair[1].fingerprint != login.accepted_key):
        if key.fingerprint not in offered:
            offered.add(key.fingerprint)
            yield name, key
    for path in locked:
        unlocked = _unlock(login, path, offered)
        if unlocked is not None:
            yield f"key {path}", unlocked


class Locked:
    """A key file that needs a passphrase."""


def _unlock(login: Login, path: Path, offered: set[str]) -> paramiko.PKey | None:
    """The key behind a passphrase; None when it was offered already, or nobody knows the passphrase."""
    public = _public_blob(path)
    if public is not None and _fingerprint(public) in offered:
        return None
    secrets, about = login.secrets, str(path)
    with secrets.settling(SecretKind.KEY_PASSPHRASE, about):
        for attempt in range(1, TRIES + 1):
            secret = secrets.get(SecretKind.KEY_PASSPHRASE, about)
            secret = secret or login.secret(SecretKind.KEY_PASSPHRASE, about, attempt)
            if secret is None:
                return None
            key = _load(path, secret)
            if not isinstance(key, Locked):
                secrets.keep(SecretKind.KEY_PASSPHRASE, about, secret)
                return key if key is not None and key.fingerprint not in offered else None
            secrets.forget(SecretKind.KEY_PASSPHRASE, about, secret)
    return None


def _load(path: Path, passphrase: Secret | None) -> paramiko.PKey | Locked | None:
    """A private key; Locked when it needs a(nother) passphrase, None when there is no key that can be used."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from paramiko import PasswordRequiredException, PKey, SSHException
    from paramiko.pkey import UnknownKeyType

    password = passphrase.reveal().encode() if passphrase else None
    try:
        return PKey.from_path(path, password)  # type: ignore[arg-type]
    except (PasswordRequiredException, TypeError):
        # What cryptography raises for a missing passphrase is a TypeError.
        return Locked()
    except SSHException:
        return _unpadded(path, password)
    except (OSError, ValueError, UnknownKeyType, UnsupportedAlgorithm):
        # With a passphrase the file was seen to be a locked key: then it is the passphrase that is wrong.
        return Locked() if passphrase else None


def _unpadded(path: Path, password: bytes | None) -> paramiko.PKey | None:
    """A key without a comment whose length needs no padding: every second ECDSA key. paramiko cuts all of it off."""
    import paramiko
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_ssh_private_key

    try:
        key = load_ssh_private_key(path.read_bytes(), password)
    except (OSError, ValueError, TypeError):
        return None
    if isinstance(key, EllipticCurvePrivateKey):
        return paramiko.ECDSAKey(vals=(key, key.public_key()))
    return paramiko.RSAKey(key=key) if isinstance(key, RSAPrivateKey) else None


def _agent_keys() -> list[tuple[str, paramiko.PKey]]:
    from paramiko import Agent, SSHException

    try:
        return [(f"agent key {key.comment or key.get_name()}", key) for key in Agent().get_keys()]
    except (SSHException, OSError, EOFError, ValueError):
        return []


def _public_blob(path: Path) -> bytes | None:
    """The public half of a key file, from the .pub beside it (or the file itself, when it is one)."""
    from wizard.remote.known_hosts import PublicKey

    for name in (path, path.with_name(path.name + ".pub")):
        try:
            return PublicKey.from_text(name.read_text("utf-8", "replace")).blob
        except (OSError, ValueError):
            continue
    return None


def _fingerprint(blob: bytes) -> str:
    from wizard.remote.known_hosts import PublicKey

    return PublicKey("", blob).fingerprint
