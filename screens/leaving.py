"""Ways out: typed things are saved, running things are spoken about, signals leave the terminal as it was."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from screens.dialogs import Choice, Dialog, Reply
from screens.draft import label_of
from screens.plain import trouble
from screens.session import Session
from screens.work import save_all
from wizard.errors import WizardError

if TYPE_CHECKING:
    from screens.app import WizardApp

PATIENCE = 5.0
"""Seconds after a signal in which the app may end in good order."""
SIGNALS = (signal.SIGTERM, signal.SIGHUP)
RUNNING = """\
{title} is under way.
Leave: the script goes on on the host; start the wizard again to look.
Stop after this command: the wizard stays until the script that runs now has ended."""
RUNNING_CHOICES = (
    Choice("keep", "Stay"),
    Choice("after", "Stop after this command"),
    Choice("leave", "Leave"),
)
TYPED = """\
This is typed and not right yet, so it is not in cluster.yaml:
{fields}"""


def running_dialog(app: WizardApp, title: str) -> Dialog:
    def answered(reply: Reply | None) -> None:
        if reply is not None and reply.key == "leave":
            app.leave(0)
        elif reply is not None and reply.key == "after":
            app.work.stop("after")

    return Dialog("Quit?", RUNNING.format(title=title), RUNNING_CHOICES, then=answered)


def leave_typing(app: WizardApp, session: Session, then: Callable[[], None]) -> None:
    """Saves what is typed and right, asks about the rest, and goes on with `then`."""
    try:
        save_all(session)
    except WizardError as error:
        app.push_screen(_lost(f"{trouble(error)}\n\nWhat is typed could not be saved.", then))
        return
    wrong = [label_of(key) for draft in session.unsaved for key in draft.wrong]
    if wrong:
        app.push_screen(_lost(TYPED.format(fields="\n".join(f"  {label}" for label in wrong)), then))
    else:
        then()


def _lost(words: str, then: Callable[[], None]) -> Dialog:
    def answered(reply: Reply | None) -> None:
        if reply is not None and reply.key == "leave":
            then()

    return Dialog(
        "Not everything is saved", words, [Choice("stay", "Stay"), Choice("leave", "Leave it")], then=answered
    )


def on_signals(leave: Callable[[int], None]) -> None:
    """The first signal leaves in good order: the terminal is restored, what runs on a host goes on."""
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, leave, 128 + number)


def at_the_latest(status: int) -> None:
    """Ends this process in a few seconds, come what may: a terminal that is gone can hold up all that draws on it,
    and the journal must not stay locked for that."""
    last = threading.Timer(PATIENCE, os._exit, (status,))
    last.daemon = True
    last.start()
