"""Options that several commands share. All default to None or False, so that they count before and after a verb."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Command = Callable[..., Any]
FILE = click.Path(path_type=Path, dir_okay=False)


def _all(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


common = _all(
    click.option("-c", "--file", type=FILE, metavar="FILE", help="The cluster's file.  [default: ./cluster.yaml]"),
    click.option("--state-dir", type=click.Path(path_type=Path), hidden=True),
    click.option("--lang", type=click.Choice(["en"]), help="The language of the texts."),
)

connecting = _all(
    click.option(
        "--sudo-password-file",
        metavar="FILE|-",
        envvar="HOMEK8S_SUDO_PASSWORD_FILE",
        show_envvar=True,
        help="One password, or in a .yaml file host: password.",
    ),
    click.option("--secrets", type=FILE, metavar="FILE", help="A .yaml file: key passphrases and SSH passwords."),
    click.option("--ssh-config", type=FILE, metavar="FILE", help="Instead of ~/.ssh/config."),
    click.option("--accept-new-host-keys", is_flag=True, help="Trust hosts that are not known yet."),
    click.option("--host-key", "host_keys", multiple=True, metavar="HOST=SHA256:…", help="Trust this key of HOST."),
    click.option("--take-over", is_flag=True, help="Work on a host that another wizard's journal owns."),
    click.option(
        "--guard-seconds",
        type=click.IntRange(min=15),
        metavar="N",
        help="After which an unconfirmed change is undone by the host.  [default: 120; under 90 is short]",
    ),
)

doing = _all(
    click.option("--yes", is_flag=True, help="Approve all but what destroys data."),
    click.option("--destroy", multiple=True, metavar="NAME", help="Approve that this is destroyed."),
)
