"""From a destination to a TCP connection that notices a dead peer, and the words for why there is none."""

from __future__ import annotations

import errno
import queue
import socket
import threading
import time
from contextlib import suppress
from typing import Any

from wizard.errors import HostUnavailable

USER_TIMEOUT_MS = 15_000
"""Unacknowledged data breaks the connection after this long (tcp(7), TCP_USER_TIMEOUT)."""
_LEAST_PER_ADDRESS = 3.0


def tcp(host: str, port: int, *, family: int, timeout: float, label: str) -> socket.socket:
    """A connected socket to the first address of `host` that answers, within about `timeout` seconds.

    `label` is the host's name in errors. Raises `HostUnavailable`.
    """
    deadline = time.monotonic() + timeout
    addresses = _resolve(host, port, family, timeout, label)
    failures: list[OSError] = []
    for place, (kind, *_, address) in enumerate(addresses):
        share = (deadline - time.monotonic()) / (len(addresses) - place)
        try:
            return _connected(kind, address, max(share, _LEAST_PER_ADDRESS))
        except OSError as failure:
            failures.append(failure)
    raise _unreachable(failures, f"{host} port {port}", label)


def keep_watch(sock: socket.socket) -> None:
    """Send at once (paramiko never asks for it: 44 ms become 3 ms), and find a dead peer within 15 to 19 s."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 5), ("TCP_KEEPINTVL", 3), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)


class _PromptSocket(socket.socket):
    """Acknowledges at once: sshd leaves Nagle's algorithm on for commands, so its second small packet in a row waits
    for our acknowledgement, which the kernel holds back for up to 40 ms."""

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        data = super().recv(size, flags)
        if hasattr(socket, "TCP_QUICKACK"):
            with suppress(OSError):
                self.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return data


def _connected(family: int, address: Any, timeout: float) -> socket.socket:
    sock = _PromptSocket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        sock.connect(address)
        keep_watch(sock)
    except OSError:
        sock.close()
        raise
    return sock


def _resolve(host: str, port: int, family: int, timeout: float, label: str) -> list[Any]:
    """The addresses of a name. In a thread of its own: getaddrinfo(3) waits as long as the resolver likes."""
    answers: queue.SimpleQueue[list[Any] | Exception] = queue.SimpleQueue()

    def look() -> None:
        try:
            answers.put(socket.getaddrinfo(host, port, family, socket.SOCK_STREAM))
        except (OSError, UnicodeError) as failure:
            answers.put(failure)

    threading.Thread(target=look, daemon=True, name=f"resolve {host}").start()
    try:
        answer = answers.get(timeout=timeout)
    except queue.Empty:
        answer = TimeoutError()
    if isinstance(answer, list):
        return answer
    why = "the name server is silent" if isinstance(answer, TimeoutError) else "a misspelt name, or no name server"
    cure = f"check the spelling, try `getent hosts {host}`, or give the address instead of the name"
    raise HostUnavailable(f"the name {host} cannot be resolved", where=label, why=why, cure=cure) from answer


def _unreachable(failures: list[OSError], place: str, label: str) -> HostUnavailable:
    """Said by the most telling of the failures: somebody who refuses is nearer than silence."""
    if any(failure.errno == errno.ECONNREFUSED for failure in failures):
        return HostUnavailable(
            f"{place} refuses connections",
            where=label,
            why="no SSH server runs there, it listens on another port, or a firewall rejects",
            cure="start it on that machine's console (`systemctl start ssh`), or correct the port",
        )
    if any(failure.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN) for failure in failures):
        return HostUnavailable(
            f"there is no route to {place}",
            where=label,
            why="the machine is off or has another address, or this computer is not on its network",
            cure="check power, cable and address, then try again",
        )
    if all(isinstance(failure, TimeoutError) for failure in failures):
        return HostUnavailable(
            f"{place} does not answer",
            where=label,
            why="the machine is off or has another address, or a firewall drops the connection",
            cure="check power, cable, address and firewall, then try again",
        )
    words = "; ".join(dict.fromkeys(failure.strerror or str(failure) for failure in failures))
    return HostUnavailable(f"{place} cannot be reached: {words}", where=label, cure="check the address, then try again")
