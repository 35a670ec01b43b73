"""The hosts of one cluster: their connections, opened when first needed and again when lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from wizard.cluster import Cluster
from wizard.engine.settings import Settings
from wizard.errors import HostKeyRefused, HostLostError, HostUnavailable
from wizard.events import Ask, HostAwaited, HostConnected, HostLost, Observer
from wizard.facts.guests import ADDRESSES, console, console_log
from wizard.facts.libvirt import DOMAINS
from wizard.model import HYPERVISOR, OWNER, Context, Known, Secret
from wizard.remote.connection import connect
from wizard.remote.destination import resolve
from wizard.remote.known_hosts import PublicKey
from wizard.remote.local import LocalConnection
from wizard.remote.login import Login, Secrets
from wizard.remote.observe import observe
from wizard.remote.shell import Shell
from wizard.remote.ssh_config import SshConfig
from wizard.stages.guest_nics import is_physical
from wizard.stages.guests_defaults import known_addresses

PATIENCE = 600.0
"""Seconds for which a lost host is tried again: a reboot with a long firmware check fits in."""
SAY_EVERY = 30.0
"""Seconds between two words about a host that is waited for, unless its answer changes."""
GUEST_TIMEOUT = 8.0
"""Seconds for a guest to answer: it is near, and one that is off should not hold up the others."""


class Hosts:
    def __init__(
        self, cluster: Cluster, settings: Settings, state: Path, ask: Ask, observer: Observer, beside: Path = Path()
    ) -> None:
        """`state` is the cluster's state directory; `beside` is where cluster.yaml is, and the files that it names."""
        self._cluster, self._settings, self._ask, self._tell = cluster, settings, ask, observer
        self._accepted_keys = state / "known_hosts"
        self._here = LocalConnection(beside, state / "here")
        self._secrets = Secrets()
        self._minted: list[Secret] = []
        self._logins: dict[str, Login] = {}
        self._silent: set[str] = set()
        """Those that did not answer where libvirt said: it is asked again, as a lease may bring another address."""
        self._connections: dict[str, Shell] = {}
        self._opening: dict[str, threading.RLock] = {}
        self._lock = threading.Lock()

    def secrets(self) -> tuple[Secret, ...]:
        """What the owner has told, and what hosts have minted, so far: for masking output."""
        return (*self._secrets.all(), *self._minted)

    def mask(self, minted: Secret) -> None:
        """A secret that a host has minted: it is masked wherever output is shown."""
        self._minted.append(minted)

    def use(self, cluster: Cluster) -> None:
        """cluster.yaml has changed: hosts that are now reached otherwise are connected anew."""
        before, self._cluster = self._cluster, cluster
        if before.hypervisor.ssh != cluster.hypervisor.ssh or before.guests != cluster.guests:
            self.close()
            self._logins.clear()

    def destination(self, host: str) -> str:
        """What would be typed after `ssh`; where the owner gave no address, the one that libvirt knows.

        Raises `HostUnavailable` where nobody knows one.
        """
        return self._cluster.destination(host) or self._cluster.at(self._address_of(host))

    def _address_of(self, guest: str) -> str:
        seen = observe(self.connection(HYPERVISOR), (ADDRESSES, DOMAINS))
        found = known_addresses(
            Context(self._cluster, {(HYPERVISOR, fact): each for fact, each in seen.items()}), guest
        )
        if not found:
            raise HostUnavailable(
                "its address is not known",
                where=guest,
                why="the guest is off, or it runs no guest agent and has not spoken to the hypervisor lately",
                cure="write `ssh: USER@ADDRESS` for it in cluster.yaml, or install qemu-guest-agent in it",
            )
        return str(found[0])

    def _login(self, host: str) -> Login:
        with self._lock:
            known, silent = self._logins.get(host), host in self._silent
        if known is not None and not silent:
            return known
        try:
            typed = self.destination(host)
        except (HostUnavailable, HostLostError):
            if known is None:
                raise
            return known  # nobody knows better
        login = known
        if login is None or login.destination.typed != typed:
            destination = resolve(typed, SshConfig(self._settings.ssh_config))
            login = Login(destination, self._ask, self._accepted_keys, self._secrets, host=host)
        with self._lock:
            self._silent.discard(host)
            if self._logins.get(host) is known:
                self._logins[host] = login
            return self._logins.get(host, login)

    def introduce(self, host: str, key: PublicKey) -> None:
        """The host's key, learned where the host was made: it is trusted from now on, in place of an older one."""
        self._login(host).trust(key)

    def connection(self, host: str) -> Shell:
        """The connection in use, opened if there is none alive; the owner's own machine needs none.

        Raises `HostUnavailable`.
        """
        if host == OWNER:
            return self._here
        with self._lock:
            opening = self._opening.setdefault(host, threading.RLock())
        with opening:  # one of several threads opens it, the others get the same
            connection = self._connections.get(host)
            if connection is None or not connection.alive:
                connection = self.fresh(host, timeout=20 if host == HYPERVISOR else GUEST_TIMEOUT)
                self.adopt(host, connection)
                self._tell(HostConnected(host, connection.address))
            return connection

    def connected(self) -> frozenset[str]:
        """The hosts with a connection in use; the owner's own machine needs none."""
        return frozenset({OWNER, *(host for host, connection in self._connections.items() if connection.alive)})

    def fresh(self, host: str, address: str | None = None, timeout: float = 20) -> Shell:
        """A new connection beside the one in use, to `address` if given; the same host key is expected there."""
        if host == OWNER:
            return self._here
        login = self._login(host)
        try:
            return connect(login, address=address, timeout=timeout)
        except HostUnavailable:
            if address is None and not self._cluster.destination(host):
                with self._lock:
                    self._silent.add(host)
            raise

    def adopt(self, host: str, connection: Shell) -> None:
        """From now on this is the connection in use."""
        before = self._connections.get(host)
        self._connections[host] = connection
        if before is not None and before is not connection:
            before.close()

    def regain(
        self,
        host: str,
        reason: str,
        *,
        addresses: Sequence[str | None] = (None,),
        patience: float = PATIENCE,
        stop: threading.Event,
    ) -> Shell:
        """After a loss: tries again, ever more slowly, at each of `addresses` in turn (None: the usual one).

        Raises `HostLostError` when patience ends or `stop` is set, `HostKeyRefused` when another machine answers.
        """
        deadline, pause = time.monotonic() + patience, 0.5
        while not stop.is_set():
            for address in addresses:
                try:
                    connection = self.fresh(host, address, timeout=10)
                except HostKeyRefused:
                    raise
                except (HostUnavailable, HostLostError) as error:
                    reason = error.what
                else:
                    self.adopt(host, connection)
                    self._tell(HostConnected(host, connection.address))
                    return connection
            if time.monotonic() > deadline:
                break
            self._tell(HostLost(host, reason, pause))
            stop.wait(pause)
            pause = min(pause * 1.6, 15)
        raise HostLostError(
            "the connection was lost; what was started there goes on by itself",
            where=host,
            why=reason,
            cure="start the wizard again when the host answers: it goes on where it was",
        )

    def await_answer(self, host: str, patience: float, stop: threading.Event) -> None:
        """Waits, at most `patience` seconds, for a host that may still be booting. Raises `HostUnavailable`."""
        deadline, said = time.monotonic() + patience, ("", patience + SAY_EVERY)
        while True:
            try:
                self.connection(host)
                return
            except HostKeyRefused:
                raise
            except (HostUnavailable, HostLostError) as error:
                left = deadline - time.monotonic()
                if stop.is_set():
                    raise
                if left < 0:
                    raise self._with_console(host, error) from error
                if error.what != said[0] or left < said[1] - SAY_EVERY:
                    said = (error.what, left)
                    self._tell(HostAwaited(host, f"{error.what}{self._on_console(host)}", left))
                stop.wait(2)

    def _with_console(self, host: str, error: HostUnavailable | HostLostError) -> HostUnavailable | HostLostError:
        """Of a guest on the hypervisor, its console is a place to look at too."""
        if not self._has_console(host):
            return error
        said = self._on_console(host)
        log = f", or {console_log(host)}" if said else ""
        look = f"look at its console, on the hypervisor: virsh console {host} (leave with Ctrl+]){log}"
        cure = f"{error.cure}; or {look}" if error.cure else look
        return HostUnavailable(f"{error.what}{said}", where=error.where, why=error.why, cure=cure)

    def _has_console(self, host: str) -> bool:
        return host != HYPERVISOR and not is_physical(self._cluster, host)

    def _on_console(self, host: str) -> str:
        """The last that a guest has said there, where it is logged."""
        if not self._has_console(host):
            return ""
        try:
            seen = observe(self.connection(HYPERVISOR), (console(host),))[console(host).id]
        except (HostUnavailable, HostLostError):
            return ""
        return f"; its console says: {seen.value}" if isinstance(seen, Known) and seen.value else ""

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()


def in_parallel(work: dict[str, Callable[[], None]]) -> None:
    """Runs each host's work in a thread of its own; the first error is raised when all have ended."""
    errors: list[BaseException] = []

    def guarded(run: Callable[[], None]) -> None:
        try:
            run()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(run,), name=host, daemon=True) for host, run in work.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
