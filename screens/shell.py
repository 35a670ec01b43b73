"""A shell on a host: the wizard steps aside, `ssh` takes the terminal, `exit` comes back."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import SuspendNotSupported

from screens.dialogs import told
from wizard.cluster import Cluster
from wizard.model import HYPERVISOR, OWNER

if TYPE_CHECKING:
    from screens.app import WizardApp


def command(cluster: Cluster, host: str, ssh_config: Path | None) -> list[str]:
    """What opens a shell on `host`; on the hypervisor for one that is no guest, or whose address is not in the file."""
    if host == OWNER:
        return [os.environ.get("SHELL", "/bin/sh")]
    destination = cluster.destination(host) or cluster.destination(HYPERVISOR)
    if destination == "localhost":
        return [os.environ.get("SHELL", "/bin/sh")]
    return ["ssh", *(["-F", str(ssh_config)] if ssh_config else []), "--", destination]


def open_shell(app: WizardApp, cluster: Cluster, host: str, ssh_config: Path | None) -> None:
    argv = command(cluster, host, ssh_config)
    try:
        with app.suspend():
            subprocess.run(argv, check=False)
    except (SuspendNotSupported, OSError):
        app.push_screen(told("A shell cannot be opened here", f"In another terminal: {' '.join(argv)}"))


def edit_file(app: WizardApp, path: Path) -> None:
    """The owner's editor on cluster.yaml: for what no form shows."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "nano"
    try:
        with app.suspend():
            subprocess.run([*editor.split(), str(path)], check=False)
    except (SuspendNotSupported, OSError):
        app.push_screen(told("No editor can be opened here", f"Edit {path} in another terminal, then press F5."))
        return
    app.work.look_again("Read again.")
