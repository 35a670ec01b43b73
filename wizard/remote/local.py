"""The owner's own machine: the same scripts, by a local sh, as the user who runs the wizard; no root, no SSH."""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from wizard.errors import HostUnavailable, TookTooLong
from wizard.model import OWNER
from wizard.remote.connection import MIB, Answer, Kept
from wizard.remote.gate import followed_body, new_nonce, script_body, signed
from wizard.remote.wire import KILLED

_TICK = 0.25
_CHUNK = 64 * 1024
_SYSTEM = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LEFT_OUT = ("LANGUAGE", "CDPATH", "ENV", "BASH_ENV", "HK8S_JOB", "HK8S_SESSION")
"""As over SSH: they change what a script says, or run something before it. The last two name a job's processes."""

Sink = Callable[[bytes], None]


def programs() -> str:
    """The directory of this wizard's own `homek8s-wizard`, which scripts here may run; empty where there is none."""
    started = Path(sys.argv[0])
    beside = [started.parent] if started.name == "homek8s-wizard" else []
    for directory in (*beside, Path(sysconfig.get_path("scripts")), Path(sys.executable).parent):
        if (directory / "homek8s-wizard").is_file():
            return str(directory.absolute())
    return str(Path(found).parent) if (found := shutil.which("homek8s-wizard")) else ""


class LocalConnection:
    """A `Shell` on this machine. Scripts start in `directory`, where cluster.yaml is; the wizard's notes about this
    machine are in `home`, which is made 0700. Any thread may use it.
    """

    host = OWNER
    address = "127.0.0.1"
    alive = True

    def __init__(self, directory: Path, home: Path) -> None:
        self._directory, self._home = directory, home

    def run(
        self, script: str, *, stdin: bytes = b"", limit: float = 60, root: bool = True, keep: int = 4 * MIB
    ) -> Answer:
        """As `Connection.run`, but as this user, and in cluster.yaml's directory. After `limit` seconds it is ended."""
        out, err = Kept(keep), Kept(64 * 1024)
        nonce = new_nonce()
        payload = signed(script, nonce)
        with self._started(script_body(len(payload), nonce)) as process:
            pump = _Pump(process, payload + stdin, out.add, err.add, last=True)
            rc = pump.to_the_end(time.monotonic() + limit, None)
        assert rc is not None
        return Answer(rc, bytes(out.data), bytes(err.data), out.dropped)

    def stream(
        self,
        script: str,
        on_output: Sink,
        *,
        stop: threading.Event | None = None,
        on_error: Sink = lambda chunk: None,
        limit: float | None = None,
        root: bool = True,
    ) -> int | None:
        """As `Connection.stream`."""
        nonce = new_nonce()
        payload = signed(script, nonce)
        deadline = None if limit is None else time.monotonic() + limit
        with self._started(followed_body(len(payload), nonce)) as process:
            return _Pump(process, payload, on_output, on_error, last=False).to_the_end(deadline, stop)

    def close(self) -> None:
        """Nothing is held."""

    @contextmanager
    def _started(self, body: str) -> Iterator[subprocess.Popen[bytes]]:
        """A sh in a process group of its own, which is ended with the block."""
        try:
            process = subprocess.Popen(
                ["/bin/sh", "-c", body],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=self._directory,
                env=self._environment(),
                umask=0o022,
                start_new_session=True,
            )
        except OSError as failure:
            raise HostUnavailable(f"no command can be run on this machine ({failure})", where=OWNER) from failure
        try:
            yield process
        finally:
            _ended(process)

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in _LEFT_OUT}
        paths = [programs(), os.environ.get("PATH", ""), _SYSTEM]
        path = ":".join(each for each in paths if each)
        return {**kept, "PATH": path, "LC_ALL": "C", "HK8S_HOME": str(self._home)}


def _ended(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
    try:
        process.wait(2)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class _Pump:
    """Feeds a process and passes on what it prints, never waiting without a deadline."""

    def __init__(
        self, process: subprocess.Popen[bytes], payload: bytes, on_output: Sink, on_error: Sink, *, last: bool
    ) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._process, self._pending, self._last = process, memoryview(payload), last
        self._selector = selectors.DefaultSelector()
        for stream, sink in ((process.stdout, on_output), (process.stderr, on_error)):
            os.set_blocking(stream.fileno(), False)
            self._selector.register(stream.fileno(), selectors.EVENT_READ, sink)
        os.set_blocking(process.stdin.fileno(), False)
        self._selector.register(process.stdin.fileno(), selectors.EVENT_WRITE)
        self._open = 2

    def to_the_end(self, deadline: float | None, stop: threading.Event | None) -> int | None:
        """The exit status, `KILLED` after a signal; None after `stop` was set. Raises `TookTooLong`."""
        with self._selector:
            while True:
                over = self._process.poll() is not None
                moved = self._move(0 if over or not self._open else _TICK)
                if stop is not None and stop.is_set():
                    return None
                if over and not moved:
                    return self._process.returncode if self._process.returncode >= 0 else KILLED
                if deadline is not None and time.monotonic() > deadline:
                    raise TookTooLong("a command did not end in time", where=OWNER, why="this machine is very busy")
                if not over and not self._open:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        self._process.wait(_TICK)

    def _move(self, wait: float) -> bool:
        """Whether anything was read."""
        read = False
        for key, _ in self._selector.select(wait):
            if key.data is None:
                self._write(key.fd)
            else:
                read |= self._read(key.fd, key.data)
        return read

    def _read(self, stream: int, sink: Sink) -> bool:
        chunk = os.read(stream, _CHUNK)
        if chunk:
            sink(chunk)
            return True
        self._selector.unregister(stream)
        self._open -= 1
        return False

    def _write(self, stdin: int) -> None:
        try:
            self._pending = self._pending[os.write(stdin, self._pending[:_CHUNK]) :]
        except BlockingIOError:
            return
        except BrokenPipeError:  # it ended without reading all
            self._pending = self._pending[:0]
        if not self._pending:
            self._selector.unregister(stdin)
            if self._last:
                assert self._process.stdin is not None
                self._process.stdin.close()
