"""A login: where to, how to ask the owner, and what was answered, in memory, so that reconnecting asks nothing."""

from __future__ import annotations

import threading
from pathlib import Path

from wizard.events import Ask, HostKey, NeedSecret, Question, SecretKind
from wizard.model import Secret
from wizard.remote.destination import Destination
from wizard.remote.known_hosts import KnownHosts, PublicKey

TRIES = 3
"""How often a passphrase or password may be given."""


class Secrets:
    """What the owner has told so far. Shared by the logins of a run: a key's passphrase is asked once for all hosts."""

    def __init__(self) -> None:
        self._known: dict[tuple[SecretKind, str], Secret] = {}
        self._locks: dict[tuple[SecretKind, str], threading.RLock] = {}
        self._lock = threading.Lock()

    def get(self, kind: SecretKind, about: str) -> Secret | None:
        return self._known.get((kind, about))

    def keep(self, kind: SecretKind, about: str, secret: Secret) -> None:
        self._known[kind, about] = secret

    def forget(self, kind: SecretKind, about: str, wrong: Secret) -> None:
        """Drop a secret that turned out wrong, unless another has taken its place."""
        if self._known.get((kind, about)) is wrong:
            del self._known[kind, about]

    def settling(self, kind: SecretKind, about: str) -> threading.RLock:
        """Held while a secret is asked for and tried, so that parallel logins ask once."""
        with self._lock:
            return self._locks.setdefault((kind, about), threading.RLock())

    def all(self) -> tuple[Secret, ...]:
        """For masking output."""
        return tuple(self._known.values())


class Login:
    """One account on one machine. Survives its connections."""

    def __init__(
        self,
        destination: Destination,
        ask: Ask,
        accepted_keys: Path,
        secrets: Secrets | None = None,
        *,
        host: str = "",
    ) -> None:
        """`accepted_keys` is our known_hosts file, `host` the name questions and errors use (default: as typed)."""
        self.destination = destination
        self.host = host or destination.typed
        self.secrets = secrets or Secrets()
        self.known_hosts = KnownHosts(destination.known_hosts, accepted_keys)
        self.asked = 0
        """Counts the questions, to tell a login that timed out while the owner thought from one that failed."""
        self.accepted_key = ""
        """The fingerprint of the key that opened the last connection; offered first."""
        self._ask = ask
        self._jumps = tuple(Login(jump, ask, accepted_keys, self.secrets) for jump in destination.jumps)

    @property
    def jumps(self) -> tuple[Login, ...]:
        """The logins to go through, nearest first."""
        return self._jumps

    @property
    def account(self) -> str:
        return self.destination.account

    def trusts(self, question: HostKey) -> bool:
        return self._answer(question) is True

    def trust(self, key: PublicKey) -> None:
        """Record the host's key, accepted by the owner or known from where the host was made. Raises OSError."""
        self.known_hosts.record(self.destination.key_name, self.destination.port, key)

    def secret(self, kind: SecretKind, about: str, attempt: int) -> Secret | None:
        """Ask the owner; None when nobody answers. Remembering it, once it proved right, is the caller's."""
        answer = self._answer(NeedSecret(self.host, kind, about, attempt))
        return answer if isinstance(answer, Secret) else None

    def _answer(self, question: Question) -> object:
        self.asked += 1
        return self._ask(question)


_deciding = threading.Lock()


def deciding_host_key() -> threading.Lock:
    """Held from looking a key up to recording the answer, so that parallel logins ask about a host once."""
    return _deciding
