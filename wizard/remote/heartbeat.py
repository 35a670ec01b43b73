"""Closes a connection whose far end no longer answers, where TCP cannot tell: beyond a jump host, or a frozen sshd."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import paramiko


class Heartbeat:
    """Asks the host for any answer, as ServerAliveInterval does, and closes the transport when none comes."""

    def __init__(self, transport: paramiko.Transport, *, every: float, patience: int) -> None:
        """Both in seconds. They are counted one by one: a laptop that slept in between has not been waiting."""
        self._transport, self._every, self._patience = transport, every, patience
        self._stop = threading.Event()
        threading.Thread(target=self._beat, daemon=True, name="ssh heartbeat").start()

    def stop(self) -> None:
        self._stop.set()

    def _beat(self) -> None:
        while not self._stop.wait(self._every) and self._transport.is_active():
            answered = threading.Event()
            threading.Thread(target=self._ask, args=(answered,), daemon=True, name="ssh heartbeat question").start()
            if not any(answered.wait(1.0) or self._stop.is_set() for _ in range(self._patience)):
                self._transport.close()

    def _ask(self, answered: threading.Event) -> None:
        from paramiko import SSHException

        try:
            self._transport.global_request("keepalive@openssh.com", wait=True)
        except (SSHException, OSError, EOFError):
            return
        answered.set()
