"""One command running over SSH, read from both of its streams by one thread, never waiting without a deadline."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from wizard.errors import HostLostError

if TYPE_CHECKING:
    import paramiko

KILLED = -1
"""The exit status of a command that a signal ended."""
_CHUNK = 256 * 1024
_STRAGGLER = 2.0
"""Seconds of silence after the exit status that end the reading: a process left behind may hold the output open."""
_SETTLE = 0.5
"""paramiko closes the channels of a broken transport a moment before it says that it is broken."""


def lost(host: str) -> HostLostError:
    return HostLostError(
        "the connection broke",
        where=host,
        why="the network or the machine went down for a moment; what runs on the host goes on",
        cure="wait for the new connection, or check power and cable",
    )


class Wire:
    """A channel with a running command. Use by one thread; `close` may come from any."""

    def __init__(self, channel: paramiko.Channel, transport: paramiko.Transport, host: str) -> None:
        self.channel, self.transport, self.host = channel, transport, host
        self._arrived = threading.Event()
        self._last = time.monotonic()
        self._pending = bytearray()
        self._eof_due = False
        channel.settimeout(0.0)
        channel.in_buffer.set_event(self._arrived)
        channel.in_stderr_buffer.set_event(self._arrived)

    def read(self, wait: float) -> tuple[bytes, bytes]:
        """What arrived on stdout and stderr, at most 256 KiB each; waits up to `wait` seconds for the first byte."""
        # Cleared before looking: what arrives from here on wakes the wait below.
        self._arrived.clear()
        arrived = self._drain()
        if not any(arrived) and not self.over:
            signal = self.channel.status_event if self.channel.eof_received else self._arrived
            signal.wait(wait)
            arrived = self._drain()
        if any(arrived):
            self._last = time.monotonic()
        return arrived

    def _drain(self) -> tuple[bytes, bytes]:
        self._flush()
        channel = self.channel
        out = channel.recv(_CHUNK) if channel.recv_ready() else b""
        err = channel.recv_stderr(_CHUNK) if channel.recv_stderr_ready() else b""
        return out, err

    def write(self, data: bytes, *, last: bool = False) -> None:
        """Send to the command's stdin, as far as it takes it, the rest while reading; `last` ends it."""
        self._pending += data
        self._eof_due = self._eof_due or last
        self._flush()

    def _flush(self) -> None:
        from paramiko import SSHException

        try:
            while self._pending:
                del self._pending[: self.channel.send(bytes(self._pending[:32768]))]
            if self._eof_due:
                self._eof_due = False
                self.channel.shutdown_write()
        except TimeoutError:
            return  # the command reads slowly; the window opens again
        except (OSError, EOFError, SSHException):
            self._pending.clear()  # it ended without reading all, or the link is gone: `over` and `rc` tell which

    @property
    def writing(self) -> bool:
        return bool(self._pending)

    @property
    def over(self) -> bool:
        """Whether nothing more will be read."""
        channel = self.channel
        if channel.recv_ready() or channel.recv_stderr_ready():
            return False
        if channel.closed or (channel.eof_received and channel.status_event.is_set()):
            return True
        return channel.status_event.is_set() and time.monotonic() - self._last > _STRAGGLER

    def rc(self) -> int:
        """The exit status once it is `over`, `KILLED` after a signal. Raises `HostLostError`."""
        if self.channel.exit_status != -1:
            return self.channel.exit_status
        self.transport.join(_SETTLE)
        if not self.transport.is_active():
            raise lost(self.host)
        return KILLED

    def close(self) -> None:
        """End it: stdin and stdout close on the host; the process ends when it notices."""
        from paramiko import SSHException

        try:
            self.channel.close()
        except (OSError, EOFError, SSHException):
            return
