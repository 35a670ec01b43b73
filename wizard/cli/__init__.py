"""The command line: headless verbs, and the entry that opens the wizard. The one package that prints."""

from __future__ import annotations

import sys


def main() -> None:
    """The console script: runs the command line and ends the process with its exit status (DESIGN, command line)."""
    from wizard.cli.entry import run

    sys.exit(run(sys.argv[1:]))
