"""Running the host's own tools."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from wizard.rehearsal.error import RehearsalError


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment with the sbin directories on PATH and messages in English."""
    path = os.environ.get("PATH", "/usr/bin:/bin")
    return {**os.environ, "PATH": f"{path}:/usr/local/sbin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8", **(extra or {})}


def run(argv: Sequence[str], *, stdin: str | None = None) -> str:
    """Run a command to its end and return its output; raise RehearsalError with its last lines when it fails.

    It inherits the lock of a rehearsal (`Runtime.locked`), the one open file of ours that is inheritable.
    """
    done = subprocess.run(
        argv, input=stdin or "", capture_output=True, text=True, check=False, env=environment(), close_fds=False
    )
    if done.returncode != 0:
        raise RehearsalError(failure(argv, done.returncode, done.stderr or done.stdout))
    return done.stdout


def followed(argv: Sequence[str], what: str, lock: int, say: Callable[[str], None]) -> None:
    """Run a command that takes long, saying those of its lines that begin with "I: "; it holds the lock to its end.

    Raise RehearsalError with its last lines, and `what` for its name, when it fails.
    """
    began = time.monotonic()
    last: deque[str] = deque(maxlen=30)
    with subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        pass_fds=(lock,),
        env=environment({"DEBIAN_FRONTEND": "noninteractive"}),
    ) as process:
        assert process.stdout
        for line in process.stdout:
            last.append(line.rstrip())
            if line.startswith("I: "):
                say(f"{time.monotonic() - began:5.0f} s  {_summary(line[3:].rstrip())}")
    if process.returncode != 0:
        raise RehearsalError(failure([what], process.returncode, "\n".join(last)))


def failure(argv: Sequence[str], status: int, output: str) -> str:
    """Words for a command that ended with another status than 0."""
    tail = "\n".join(f"    {line}" for line in output.strip().splitlines()[-15:])
    return f"`{shlex.join(argv)}` ended with status {status}:\n{tail or '    (no output)'}"


def _summary(line: str) -> str:
    """mmdebstrap announces a hook with its whole script."""
    return "setting the machine up..." if line.startswith("running --customize-hook") else line
