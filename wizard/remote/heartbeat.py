"""Closes a connection whose far end has stopped answering, where TCP cannot tell: beyond a jump host."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import paramiko

_EVERY = 5.0
_PATIENCE = 12
"""Seconds for an answer, counted one by one: a laptop that slept in between has not been waiting."""


class Heartbeat:
    """Asks the host every 5 s for any answer (as ServerAliveInterval), and closes the transport after 12 s without."""

    def __init__(self, transport: paramiko.Transport) -> None:
        self._transport = transport
        self._stop = threading.Event()
        threading.Thread(target=self._beat, daemon=True, name="ssh heartbeat").start()

    def stop(self) -> None:
        self._stop.set()

    def _beat(self) -> None:
        while not self._stop.wait(_EVERY) and self._transport.is_active():
            answered = threading.Event()
            threading.Thread(target=self._ask, args=(answered,), daemon=True, name="ssh heartbeat question").start()
            if not any(answered.wait(1.0) or self._stop.is_set() for _ in range(_PATIENCE)):
                self._transport.close()

    def _ask(self, answered: threading.Event) -> None:
        from paramiko import SSHException

        try:
            self._transport.global_request("keepalive@openssh.com", wait=True)
        except (SSHException, OSError, EOFError):
            return
        answered.set()
