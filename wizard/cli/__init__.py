"""The command line: headless verbs, and the entry that opens the wizard. The one package that prints."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """The console script: runs the command line and ends the process with its exit status (DESIGN, command line)."""
    from wizard.cli.entry import run

    status = run(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # who read it is gone: without this, Python would end with a status of its own
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(status)
