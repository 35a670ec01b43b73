"""The wizard's command in a process of its own, forked from one that has read its modules already.

Tests start it hundreds of times, and reading its modules is most of what a start costs. That the installed command
reads them by itself is seen wherever it is started as it is: by `WizardOn.start`, and in tests/cli.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from wizard import cli
from wizard.rehearsal import Rehearsal

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    ["tests.rehearsal.forked", "wizard.cli.entry", "wizard.remote.connection", "wizard.runbook", "paramiko", "libvirt"]
)


def run(
    argv: Sequence[str],
    rehearsal: str,
    environment: Mapping[str, str],
    timeout: float,
    main: Callable[[], None] = cli.main,
) -> subprocess.CompletedProcess[str]:
    """As `subprocess.run` of the installed command on a rehearsal's LAN, its words captured; `timeout` in seconds.

    `main` is what the command runs, a function of a module.
    """
    with tempfile.TemporaryDirectory() as place:
        out, err = Path(place, "out"), Path(place, "err")
        out.touch()
        err.touch()
        process = _context.Process(target=_become, args=(main, list(argv), rehearsal, dict(environment), out, err))
        process.start()
        process.join(timeout)
        code = process.exitcode
        if code is None:
            process.kill()
            process.join()
        process.close()
        said = out.read_text(), err.read_text()
    if code is None:
        raise subprocess.TimeoutExpired(list(argv), timeout, *said)
    return subprocess.CompletedProcess(list(argv), code, *said)


def _become(
    main: Callable[[], None], argv: list[str], rehearsal: str, environment: dict[str, str], out: Path, err: Path
) -> None:
    for path, number in ((out, sys.stdout.fileno()), (err, sys.stderr.fileno())):
        os.dup2(os.open(path, os.O_WRONLY), number)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = argv
    with Rehearsal(rehearsal).lan():
        main()
