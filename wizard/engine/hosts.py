"""The hosts of one cluster: their connections, opened when first needed and again when lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from wizard.cluster import Cluster
from wizard.engine.settings import Settings
from wizard.errors import HostLostError, HostUnavailable
from wizard.events import Ask, HostConnected, HostLost, Observer
from wizard.model import HYPERVISOR, Secret
from wizard.remote.connection import Connection, connect
from wizard.remote.destination import resolve
from wizard.remote.login import Login, Secrets
from wizard.remote.ssh_config import SshConfig

PATIENCE = 600.0
"""Seconds for which a lost host is tried again: a reboot with a long firmware check fits in."""


class Hosts:
    def __init__(self, cluster: Cluster, settings: Settings, directory: Path, ask: Ask, observer: Observer) -> None:
        self._cluster, self._settings, self._ask, self._tell = cluster, settings, ask, observer
        self._accepted_keys = directory / "known_hosts"
        self._secrets = Secrets()
        self._logins: dict[str, Login] = {}
        self._connections: dict[str, Connection] = {}
        self._lock = threading.Lock()

    def secrets(self) -> tuple[Secret, ...]:
        """What the owner has told so far, for masking output."""
        return self._secrets.all()

    def use(self, cluster: Cluster) -> None:
        """cluster.yaml has changed: hosts that are now reached otherwise are connected anew."""
        before, self._cluster = self._cluster, cluster
        if before.hypervisor.ssh != cluster.hypervisor.ssh:
            self.close()
            self._logins.clear()

    def destination(self, host: str) -> str:
        """What would be typed after `ssh`."""
        if host == HYPERVISOR:
            return self._cluster.hypervisor.ssh
        return next(guest.ssh for guest in self._cluster.guests if guest.name == host and guest.ssh)

    def _login(self, host: str) -> Login:
        with self._lock:
            if host not in self._logins:
                destination = resolve(self.destination(host), SshConfig(self._settings.ssh_config))
                self._logins[host] = Login(destination, self._ask, self._accepted_keys, self._secrets, host=host)
            return self._logins[host]

    def connection(self, host: str) -> Connection:
        """The connection in use, opened if there is none alive. Raises `HostUnavailable`."""
        connection = self._connections.get(host)
        if connection is None or not connection.alive:
            connection = self.fresh(host)
            self.adopt(host, connection)
            self._tell(HostConnected(host, connection.address))
        return connection

    def fresh(self, host: str, address: str | None = None, timeout: float = 20) -> Connection:
        """A new connection beside the one in use, to `address` if given; the same host key is expected there."""
        return connect(self._login(host), address=address, timeout=timeout)

    def adopt(self, host: str, connection: Connection) -> None:
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
    ) -> Connection:
        """After a loss: tries again, ever more slowly, at each of `addresses` in turn (None: the usual one).

        Raises `HostLostError` when patience ends or `stop` is set.
        """
        deadline, pause = time.monotonic() + patience, 0.5
        while not stop.is_set():
            for address in addresses:
                try:
                    connection = self.fresh(host, address, timeout=10)
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
