"""Running the host's own tools."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence

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


def failure(argv: Sequence[str], status: int, output: str) -> str:
    """Words for a command that ended with another status than 0."""
    tail = "\n".join(f"    {line}" for line in output.strip().splitlines()[-15:])
    return f"`{shlex.join(argv)}` ended with status {status}:\n{tail or '    (no output)'}"
