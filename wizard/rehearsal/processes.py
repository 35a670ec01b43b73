"""Processes that outlive the command that started them, ended by pid and start time, never by name."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wizard.rehearsal.commands import environment
from wizard.rehearsal.error import RehearsalError
from wizard.rehearsal.runtime import write

# The program starts only after its pid is on disk: whatever happens to us, nothing runs that is not recorded.
GATE = 'log=$1; shift; echo $$; read -r go || exit 1; exec "$@" </dev/null >>"$log" 2>&1'


@dataclass(frozen=True)
class Process:
    """A process of this machine; `started` (clock ticks after boot, proc(5)) tells it from a later one with its pid."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """The process that has this pid now; None when there is none, or only its unreaped remains."""
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] in "ZX" else cls(pid, int(fields[19]))

    @classmethod
    def recorded(cls, path: Path) -> Process | None:
        """The process whose record is in a file, running or not."""
        try:
            pid, started = path.read_text().split()
        except (FileNotFoundError, ValueError):
            return None
        return cls(int(pid), int(started))

    @property
    def alive(self) -> bool:
        return Process.of(self.pid) == self

    def end(self, limit: float = 10.0) -> None:
        """Kill it and wait until it is gone; nothing happens when it already is, or its pid is somebody else's."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            if not self.alive:
                return
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            poll = select.poll()
            poll.register(handle, select.POLLIN)
            if not poll.poll(limit * 1000):
                raise RehearsalError(f"Process {self.pid} did not end within {limit:g} s after SIGKILL.")
        finally:
            os.close(handle)


def start(argv: Sequence[str], record: Path, log: Path, extra: Mapping[str, str] | None = None) -> Process:
    """Start a program in a session of its own, its pid in `record`, its output appended to `log`."""
    gate = subprocess.Popen(
        ["setsid", "--fork", "sh", "-c", GATE, "sh", str(log), *argv],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd="/",
        text=True,
        env=environment(extra),
    )
    assert gate.stdin
    assert gate.stdout
    with gate.stdin, gate.stdout:
        line = gate.stdout.readline().strip()
        process = Process.of(int(line)) if line else None
        gate.wait()
        if process is None:
            raise RehearsalError(f"Cannot start {argv[0]}: no process could be made.")
        write(record, f"{process.pid} {process.started}\n")
        gate.stdin.write("go\n")
    return process
