"""The commands and their options, and how every way to end becomes an exit status and plain words."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

import click

from wizard import __version__
from wizard.cli import answers, verbs
from wizard.cli.options import common, connecting, doing
from wizard.errors import WizardError

BUG = 70
BESIDE = ("rehearse", "kubeconfig")


class _Commands(click.Group):
    """The verbs; and the groups beside them, imported once they are asked for, as no verb needs what they do."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *BESIDE])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in BESIDE:
            return super().get_command(ctx, cmd_name)
        found: click.Command = getattr(import_module(f"wizard.cli.{cmd_name}"), cmd_name)
        return found


@click.group(cls=_Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="homek8s-wizard")
@common
@connecting
@click.option("--ascii", "ascii_only", is_flag=True, help="Borders of plain characters, for consoles and serial lines.")
@click.option("--no-mouse", is_flag=True, help="Leave the mouse to the terminal, to select text.")
@click.pass_context
def cli(ctx: click.Context, /, ascii_only: bool, no_mouse: bool, **given: Any) -> None:
    """From bare NICs to a home Kubernetes cluster on libvirt guests. Without a command: the wizard."""
    ctx.obj = given
    if ctx.invoked_subcommand is None:
        from screens.app import run as open_wizard

        told = answers.from_options(given, terminal=False)
        path, settings = verbs.file_path(given), verbs.settings(given)
        ctx.exit(open_wizard(path, settings, given=told, ascii_only=ascii_only, mouse=not no_mouse))


def _verb(run: Callable[..., int], name: str, summary: str, *decorators: Callable[..., Any]) -> None:
    """A command whose function answers the exit status; options given before its name count too."""

    @click.pass_context
    def command(ctx: click.Context, /, **given: Any) -> None:
        earlier = {key: value for key, value in (ctx.obj or {}).items() if given.get(key) in (None, False, ())}
        ctx.exit(run({**given, **earlier}))

    for decorate in (*decorators, connecting, common):
        command = decorate(command)
    cli.command(name, help=summary)(command)


NAMES = click.argument("names", nargs=-1, metavar="[NAME]...")
JSON = click.option("--json", "as_json", is_flag=True, help="For programs.")

_verb(verbs.plan, "plan", "What would change, as diffs and commands; nothing is touched.", NAMES, JSON)
_verb(verbs.apply, "apply", "Do it. Without a name: everything.", NAMES, JSON, doing)
_verb(verbs.status, "status", "Every step and target, from the hosts.", NAMES, JSON)
_verb(
    verbs.undo,
    "undo",
    "Take back, last step first; guarded where risky.",
    NAMES,
    JSON,
    doing,
    click.option("--all", "everything", is_flag=True, help="All that was done."),
)
_verb(verbs.check, "check", "A read-only health check.", NAMES, JSON)
_verb(
    verbs.export,
    "export",
    "The runbook: what was really done, or what would be.",
    click.option(
        "--format",
        "form",
        type=click.Choice(["md", "html", "sh"]),
        default="md",
        show_default=True,
        help="To read, to read in a browser, or scripts to run by hand.",
    ),
    click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path),
        help="A file, by default standard output; for scripts a directory, new or empty or from an earlier export.",
    ),
)


def run(arguments: Sequence[str]) -> int:
    """Runs the command line and answers its exit status; no traceback reaches the terminal."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _ended)
    try:
        # Outside its standalone mode click answers the status given to `ctx.exit`.
        return int(cli.main(list(arguments), standalone_mode=False, prog_name="homek8s-wizard") or 0)
    except _EndedBySignal as end:
        _say("Ended. What was started on a host goes on there; start again to look at it.")
        return end.status
    except SystemExit as end:
        return int(end.code or 0)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        _say("Ended by you. What was started on a host goes on there; start again to look at it.")
        return 128 + signal.SIGINT
    except WizardError as error:
        _say(str(error))
        return error.status
    except Exception as error:
        return _bug(error)


class _EndedBySignal(SystemExit):
    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.status = 128 + number


def _ended(number: int, frame: FrameType | None) -> None:
    """Nothing is said from here: what is interrupted may be a line on its way to the terminal."""
    raise _EndedBySignal(number)


def _say(text: str) -> None:
    click.echo(text, err=True)


def _bug(error: Exception) -> int:
    """Our mistake: a report without values (they could be secrets) goes to a file, its path to the terminal."""
    import platformdirs

    directory = platformdirs.user_state_path("homek8s-wizard", appauthor=False)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    report = directory / f"report-{os.getpid()}.txt"
    lines = [f"homek8s-wizard {__version__}, Python {sys.version}", type(error).__name__]
    lines += [f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    report.touch(mode=0o600)
    report.write_text("\n".join(lines) + "\n")
    _say(f"This is a mistake of homek8s-wizard ({type(error).__name__}); the hosts keep what was done so far.")
    _say(f"A report without any of your values is in {report}")
    return BUG
