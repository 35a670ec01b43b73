"""What the command palette offers: the deeds of the present step, every step to go to, and the way out."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from textual.app import SystemCommand
from textual.screen import Screen

from screens.more import deeds
from screens.plain import one_line
from screens.rail import state_word
from screens.stage import StageScreen

if TYPE_CHECKING:
    from screens.app import WizardApp


def commands(app: WizardApp, screen: Screen[Any]) -> Iterator[SystemCommand]:
    session = app.session
    if isinstance(screen, StageScreen) and session is not None:
        for deed in deeds(app):
            yield SystemCommand(deed.title, one_line(deed.help), deed.do)
        for place in session.places:
            title = one_line(f"Go to: {place.stage.title} > {place.step.title} {place.target}")
            yield SystemCommand(title, state_word(session, place), partial(screen.go, place.name))
    yield SystemCommand("Copy the last error", "to the clipboard and to a file", app.action_copy_error)
    yield SystemCommand("Quit", "what runs on a host is asked about first", app.action_quit)
