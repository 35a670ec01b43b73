"""libvirt's API over the SSH connection that exists already: a private unix socket here, virt-ssh-helper as root there.

So the host's key is judged by us alone, no polkit agent is asked, and no second login happens (RELIABILITY 4.4).
"""

from __future__ import annotations

import re
import shutil
import socket
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wizard.remote.connection import Connection

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
    """A unix socket that reaches the host's libvirtd, for one connection to it.

    `close` may come from any thread, at any time, and makes a call that hangs in libvirt return with an error.
    """

    def __init__(self, connection: Connection) -> None:
        """Starts the helper. Raises what `Connection.pipe` raises, and OSError."""
        self._connection = connection
        self._directory = Path(tempfile.mkdtemp(prefix="hk8s-libvirt."))
        self._socket = self._directory / "sock"
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._near: socket.socket | None = None
        self._lock = threading.Lock()
        self._closed = False
        try:
            self._far = connection.pipe(_HELPER)
        except BaseException:
            self._listener.close()
            shutil.rmtree(self._directory, ignore_errors=True)
            raise
        self._listen()

    def _listen(self) -> None:
        self._listener.bind(str(self._socket))
        # Nobody else can have connected before: the directory is 0700.
        self._socket.chmod(0o600)
        self._listener.listen(1)
        threading.Thread(target=self._accept, daemon=True, name=f"libvirt tunnel {self._connection.host}").start()

    def open(self) -> libvirt.virConnect | None:
        """A read-only connection to qemu:///system; None where no libvirtd runs. Blocks as long as libvirt does.

        Raises `CannotTell`, and what the connection raises when it is lost.
        """
        libvirt = _quiet_libvirt()
        try:
            return libvirt.openReadOnly(f"qemu+unix:///system?socket={self._socket}")
        except libvirt.libvirtError as failure:
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
        complaint = re.sub(r"\s+", " ", self._far.complaint).strip()
        if "refused" not in complaint:
            raise CannotTell(f"libvirtd does not answer: {complaint or failure}")

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
        # A thread that waits in accept(2) or recv(2) wakes on shutdown, not on close.
        for end in (self._near, self._listener):
            if end is not None:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()
        self._far.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def __enter__(self) -> LibvirtTunnel:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # ------------------------------------------------------------ pumping

    def _accept(self) -> None:
        try:
            near, _ = self._listener.accept()
        except OSError:
            return
        with self._lock:
            self._near = near
            closed = self._closed
        if closed:
            near.close()
            return
        threading.Thread(target=self._up, args=(near,), daemon=True, name="libvirt tunnel up").start()
        self._down(near)

    def _up(self, near: socket.socket) -> None:
        with suppress(OSError, EOFError):
            while data := near.recv(65536):
                self._far.sendall(data)
        self._far.close()

    def _down(self, near: socket.socket) -> None:
        with suppress(OSError, EOFError):
            while data := self._far.recv():
                near.sendall(data)
        with suppress(OSError):
            near.shutdown(socket.SHUT_RDWR)
        self._far.close()


_registered = False


def _quiet_libvirt() -> Any:
    """The module, once told not to print errors on the terminal itself."""
    import libvirt

    global _registered
    if not _registered:
        libvirt.registerErrorHandler(f=lambda context, error: None, ctx=None)
        _registered = True
    return libvirt
