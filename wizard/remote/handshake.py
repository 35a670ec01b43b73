"""From a login to an authenticated SSH transport: dial (through jump hosts), check the host's key, log in."""

from __future__ import annotations

import logging
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from wizard.errors import HostKeyRefused, HostUnavailable
from wizard.events import HostKey
from wizard.remote.authenticate import Attempts, HungUp, OutOfTries, authenticate
from wizard.remote.dial import tcp
from wizard.remote.known_hosts import (
    Changed,
    OtherTypeKnown,
    PublicKey,
    Revoked,
    UnknownHost,
    Verdict,
    algorithms,
    host_name,
)
from wizard.remote.login import Login, deciding_host_key

if TYPE_CHECKING:
    import paramiko

_CONNECTIONS = 6
"""How many connections one login may take, where the host allows few attempts on each."""

# Without a handler, Python would write paramiko's errors to the terminal.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


def open_transport(
    login: Login, through: paramiko.Transport | None, address: str | None, timeout: float
) -> tuple[paramiko.Transport, PublicKey]:
    """A transport that is logged in, and the host's key. Raises `HostUnavailable`.

    `through` is the jump host's transport, `address` is dialled in place of the destination's.
    """
    attempts = Attempts()
    for _ in range(_CONNECTIONS):
        asked = login.asked
        transport = _negotiated(login, through, address, timeout)
        try:
            key = _check_host_key(transport, login, address)
            authenticate(transport, login, attempts)
            return transport, key
        except OutOfTries:
            transport.close()
        except HungUp as hung_up:
            transport.close()
            # Thinking takes longer than sshd's LoginGraceTime: what was answered is remembered, so try again.
            if login.asked == asked:
                if not attempts.last or attempts.last in attempts.refused:
                    raise _cut_off(login, str(hung_up)) from hung_up
                attempts.refused.add(attempts.last)
        except BaseException:
            transport.close()
            raise
    raise _cut_off(login, "too many attempts")


def _negotiated(
    login: Login, through: paramiko.Transport | None, address: str | None, timeout: float
) -> paramiko.Transport:
    """A transport with keys exchanged, nobody trusted yet."""
    import paramiko

    sock = _socket(login, through, address, timeout)
    transport = paramiko.Transport(sock)
    transport.banner_timeout = transport.handshake_timeout = timeout
    options = transport.get_security_options()
    destination = login.destination
    kinds = login.known_hosts.kinds(destination.key_name, destination.port)
    options.key_types = algorithms(kinds, options.key_types)
    try:
        transport.start_client(timeout=2 * timeout)
    except (paramiko.SSHException, OSError, EOFError) as failure:
        transport.close()
        raise _no_ssh(login, failure) from failure
    if not transport.initial_kex_done:
        transport.close()
        raise _no_ssh(login, TimeoutError("no key exchange in time"))
    return transport


def _socket(
    login: Login, through: paramiko.Transport | None, address: str | None, timeout: float
) -> socket.socket | paramiko.Channel:
    destination = login.destination
    host = address or destination.host
    if through is None:
        return tcp(host, destination.port, family=destination.family, timeout=timeout, label=login.host)
    from paramiko import SSHException

    try:
        return through.open_channel("direct-tcpip", (host, destination.port), ("127.0.0.1", 0), timeout=timeout)
    except (SSHException, EOFError, OSError) as failure:
        raise HostUnavailable(
            f"the jump host cannot reach {host} port {destination.port}: {failure}",
            where=login.host,
            why="the machine is off or has another address, or the jump host forbids forwarding (AllowTcpForwarding)",
            cure=f"try `ssh {destination.typed}`, and check the ProxyJump line",
        ) from failure


def _no_ssh(login: Login, failure: Exception) -> HostUnavailable:
    from paramiko.ssh_exception import IncompatiblePeer

    if isinstance(failure, IncompatiblePeer):
        return HostUnavailable(
            f"no common algorithm: {failure}",
            where=login.host,
            why="its SSH server is so old that it offers SHA-1 alone, which is not safe any more",
            cure="upgrade its SSH server",
        )
    return HostUnavailable(
        f"the host accepts the connection, but does not speak SSH in time ({failure or type(failure).__name__})",
        where=login.host,
        why="another service listens here, sshd is overloaded, or it keeps this address out after failed logins",
        cure="check the port; if logins failed just now, wait a minute; `journalctl -u ssh` on the host tells",
    )


def _cut_off(login: Login, detail: str) -> HostUnavailable:
    return HostUnavailable(
        f"the host ended the connection during the login ({detail})",
        where=login.host,
        why="too many keys were offered (MaxAuthTries), or it keeps this address out after failed logins",
        cure="name the right key with IdentityFile and IdentitiesOnly yes in ~/.ssh/config, wait a minute, try again",
    )


# ---------------------------------------------------------------- the host's key


def _check_host_key(transport: paramiko.Transport, login: Login, address: str | None) -> PublicKey:
    """The host's key, when it is trusted or the owner says so, who is asked once. Raises `HostUnavailable`."""
    shown = transport.get_remote_server_key()
    key = PublicKey(shown.get_name(), shown.asbytes())
    verdict = _verdict(login, key)
    if isinstance(verdict, UnknownHost | OtherTypeKnown):
        with deciding_host_key():
            # Another connection to this host may have asked meanwhile.
            verdict = _verdict(login, key)
            if isinstance(verdict, UnknownHost | OtherTypeKnown):
                _ask_owner(login, key, address or login.destination.host, verdict)
    if isinstance(verdict, Changed):
        raise _changed(login, key, verdict)
    if isinstance(verdict, Revoked):
        raise _revoked(login, key, verdict)
    return key


def _verdict(login: Login, key: PublicKey) -> Verdict:
    return login.known_hosts.verdict(login.destination.key_name, login.destination.port, key)


def _ask_owner(login: Login, key: PublicKey, address: str, verdict: UnknownHost | OtherTypeKnown) -> None:
    note = _other_types(verdict) if isinstance(verdict, OtherTypeKnown) else ""
    if not login.trusts(HostKey(login.host, address, key.kind, key.fingerprint, note)):
        raise _not_trusted(login, key)
    # Without room to write it down, it is asked again next time.
    with suppress(OSError):
        login.trust(key)


def _other_types(known: OtherTypeKnown) -> str:
    places = ", ".join(f"{place.kind} in {place.file} line {place.line}" for place in known.known)
    return f"this host is known by another key, which it does not offer now: {places}"


def _console_check(key: PublicKey) -> str:
    name = key.kind.removeprefix("ssh-").split("-")[0]
    return f"on its console, `ssh-keygen -lf /etc/ssh/ssh_host_{name}_key.pub` prints the true fingerprint"


def _changed(login: Login, key: PublicKey, changed: Changed) -> HostKeyRefused:
    destination, known = login.destination, changed.known
    name = host_name(destination.key_name, destination.port)
    return HostKeyRefused(
        f"the host's {key.kind} key has changed: {known.file} line {known.line} has {known.fingerprint}, "
        f"the host shows {key.fingerprint}",
        where=login.host,
        why="the machine was installed anew, another machine has this address, or somebody listens in between",
        cure=f"{_console_check(key)}; if it is the one shown, remove the old key with "
        f"`ssh-keygen -f {known.file} -R '{name}'` and try again",
    )


def _revoked(login: Login, key: PublicKey, revoked: Revoked) -> HostKeyRefused:
    known = revoked.known
    return HostKeyRefused(
        f"the host shows the key {key.fingerprint}, which {known.file} line {known.line} marks as revoked",
        where=login.host,
        why="this key has become known to others, so anybody could pose as this host",
        cure="give the host new keys on its console (remove /etc/ssh/ssh_host_*, then `ssh-keygen -A`)",
    )


def _not_trusted(login: Login, key: PublicKey) -> HostKeyRefused:
    return HostKeyRefused(
        f"the host is not known, and its {key.kind} key {key.fingerprint} was not accepted",
        where=login.host,
        cure=f"{_console_check(key)}; when they agree, accept the key here or connect once with "
        f"`ssh {login.destination.typed}`",
    )
