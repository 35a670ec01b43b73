"""libvirt's API over the SSH connection that exists already: a private unix socket here, virt-ssh-helper as root there.

So the host's key is judged by us alone, no polkit agent is asked, and no second login happens (RELIABILITY 4.4).
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wizard.errors import WizardError
from wizard.remote.connection import Connection, Pipe

if TYPE_CHECKING:
    import libvirt

_HELPER = ("virt-ssh-helper", "qemu:///system")
_SURVEY = """\
for s in /run/libvirt/virtqemud-sock /run/libvirt/libvirt-sock; do [ -S "$s" ] && echo socket; done
command -v virt-ssh-helper >/dev/null && echo helper
true
"""


class CannotTell(Exception):
    """Something of libvirt is there, but it does not answer; the text says what is known."""


class LibvirtTunnel:
    """A unix socket whose every connection reaches the host's libvirtd. `close` may come from any thread, at any time,
    and makes a call that hangs in libvirt return with an error."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._directory = Path(tempfile.mkdtemp(prefix="hk8s-libvirt."))
        self._socket = self._directory / "sock"
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._lock = threading.Lock()
        self._closed = False
        self._open: list[socket.socket | Pipe] = []
        self._failure: WizardError | None = None
        self._complaint = ""
        self._listen()

    def _listen(self) -> None:
        before = os.umask(0o177)
        try:
            self._listener.bind(str(self._socket))
        finally:
            os.umask(before)
        self._listener.listen(4)
        threading.Thread(target=self._accept, daemon=True, name=f"libvirt tunnel {self._connection.host}").start()

    def open(self) -> libvirt.virConnect | None:
        """A read-only connection to qemu:///system; None where no libvirtd runs. Blocks as long as libvirt does.

        Raises `CannotTell`, and what the connection raises when it is lost or root is not to be had.
        """
        libvirt = _quiet_libvirt()
        try:
            return libvirt.openReadOnly(f"qemu+unix:///system?socket={self._socket}")
        except libvirt.libvirtError as failure:
            if self._failure is not None:
                raise self._failure from failure
            self._explain(str(failure))
            return None

    def _explain(self, failure: str) -> None:
        """Returns when no libvirtd runs there; raises `CannotTell` otherwise."""
        if self._closed:
            raise CannotTell("libvirt does not answer in time")
        found = self._connection.run(_SURVEY, limit=20).text.split()
        if "socket" not in found:
            return
        if "helper" not in found:
            raise CannotTell("libvirtd is there, but virt-ssh-helper is not: install the package libvirt-daemon")
        if "refused" not in self._complaint:
            raise CannotTell(f"libvirtd does not answer: {self._complaint or failure}")

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            ends = [*self._open, self._listener]
        # A thread that waits in accept(2) or recv(2) wakes on shutdown, not on close.
        for end in ends:
            if isinstance(end, socket.socket):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            end.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def __enter__(self) -> LibvirtTunnel:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # ------------------------------------------------------------ pumping

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                self._serve(near)

    def _serve(self, near: socket.socket) -> None:
        try:
            far = self._connection.pipe(_HELPER)
        except WizardError as failure:
            self._failure = failure
            near.close()
            return
        with self._lock:
            self._open += [near, far]
            closed = self._closed
        if closed:
            near.close()
            far.close()
            return
        threading.Thread(target=self._up, args=(near, far), daemon=True, name="libvirt tunnel up").start()
        threading.Thread(target=self._down, args=(near, far), daemon=True, name="libvirt tunnel down").start()

    def _up(self, near: socket.socket, far: Pipe) -> None:
        with suppress(OSError, EOFError):
            while data := near.recv(65536):
                far.sendall(data)
        far.close()

    def _down(self, near: socket.socket, far: Pipe) -> None:
        with suppress(OSError, EOFError):
            while data := far.recv():
                near.sendall(data)
        self._complaint = re.sub(r"\s+", " ", far.complaint).strip()
        with suppress(OSError):
            near.shutdown(socket.SHUT_RDWR)
        near.close()
        far.close()


_registered = False


def _quiet_libvirt() -> Any:
    """The module, once told not to print errors on the terminal itself."""
    import libvirt

    global _registered
    if not _registered:
        libvirt.registerErrorHandler(f=lambda context, error: None, ctx=None)
        _registered = True
    return libvirt
