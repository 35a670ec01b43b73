"""The wizard on a terminal: one app, the engine's thread, and the messages between them."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual import on
from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen

from screens._compat import QuietApp
from screens.asking import dialog_for
from screens.commands import commands
from screens.contract import Engine, EngineFactory
from screens.dialogs import told
from screens.engine_thread import Asker, EngineThread, Feed, aside, settle, unanswered
from screens.frame import HEIGHT, WIDTH, Frame
from screens.leaving import at_the_latest, leave_typing, on_signals, running_dialog
from screens.messages import EngineAsked, EngineReplied, EngineSpoke
from screens.more import ask_more
from screens.plain import plain, trouble
from screens.progress import Progress, after, lines
from screens.record import Record
from screens.session import Session
from screens.shell import open_shell
from screens.stage import StageScreen
from screens.welcome import WelcomeScreen
from screens.work import Work
from wizard.engine.settings import Settings
from wizard.errors import WizardError
from wizard.events import Ask

BUG = 70
BUG_WORDS = """\
Something unexpected happened in the wizard itself; that is a mistake in it, not yours.
What runs on a host goes on there, and what was done is remembered.
A report was written to {path}; it holds no passwords. Please send it along when you report this."""
RESUME = "To go on: homek8s-wizard -c {path}"
PATIENCE = 2.0
"""Seconds that leaving waits for the engine."""


class WizardApp(QuietApp):
    CSS_PATH = "app.tcss"
    TITLE = "homek8s-wizard"
    HORIZONTAL_BREAKPOINTS = [(0, "-slim"), (WIDTH, "-narrow"), (100, "-wide")]  # noqa: RUF012 - as Textual has it
    VERTICAL_BREAKPOINTS = [(0, "-tiny"), (HEIGHT, "-std")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f10,ctrl+q", "quit", "Quit", key_display="F10", id="quit", priority=True),
        Binding("f8", "copy_error", "Copy", show=False, id="copy-error"),
    ]

    def __init__(
        self,
        path: Path | None,
        settings: Settings,
        new_engine: EngineFactory,
        *,
        given: Ask = unanswered,
        now: Callable[[], float] = time.monotonic,
        ascii_only: bool = False,
        signals: bool = False,
    ) -> None:
        super().__init__(ansi_color=True if "NO_COLOR" in os.environ else None)  # too late once the filters are chosen
        self.path, self.settings, self.new_engine, self.now = path, settings, new_engine, now
        self.signals = signals
        self.set_class(ascii_only, "-ascii")
        self.session: Session | None = None
        self.progress = Progress()
        self.last_error = ""
        self.feed, self.asker = Feed(self.post_message), Asker(self.post_message, given)
        self.thread = EngineThread(self.post_message)
        self.work = Work(self)

    def on_mount(self) -> None:
        if self.no_color:
            self.theme = "ansi-dark"
        if self.signals:
            on_signals(self.leave_by_signal)
        self.push_screen(WelcomeScreen(self.path))

    # ------------------------------------------------------------ from the engine

    @on(EngineReplied)
    def replied(self, message: EngineReplied) -> None:
        self.take_events()
        self.work.replied(message.call, message.result, message.error)

    @on(EngineSpoke)
    def take_events(self) -> None:
        events = self.feed.take()
        for event in events:
            self.progress = after(self.progress, event)
        said = lines(events)
        if said:
            self.record.keep_lines(said)
        for screen in self.screen_stack:
            if isinstance(screen, Frame):
                screen.take(self.progress, said)

    @on(EngineAsked)
    def asked(self, message: EngineAsked) -> None:
        self.push_screen(dialog_for(message.question, self.now, partial(settle, message.answer)))

    # ------------------------------------------------------------ for the screens

    @property
    def record(self) -> Record:
        return self.session.record if self.session else Record(self.settings.directory("unnamed"))

    def too_small(self) -> bool:
        return self.size.width < WIDTH or self.size.height < HEIGHT

    def redraw(self, words: str = "") -> None:
        """What is open has changed: the step on the screen shows it."""
        for screen in self.screen_stack:
            if isinstance(screen, StageScreen):
                screen.redraw(words)

    def show_found(self) -> None:
        for screen in self.screen_stack:
            if isinstance(screen, StageScreen):
                screen.show_found()

    def back_to_welcome(self) -> None:
        self.back_to(next(screen for screen in self.screen_stack if isinstance(screen, WelcomeScreen)))

    def back_to(self, screen: Screen[Any]) -> None:
        """Whatever lies above goes at once, unanswered. (`pop_until_active` would go later, and take the next one.)"""
        while self.screen is not screen:
            self.pop_screen()

    def trouble(self, error: WizardError) -> None:
        self.remember_error(trouble(error))
        self.push_screen(told("This did not work", trouble(error)))

    def remember_error(self, words: str) -> None:
        self.last_error = plain(words)

    def action_copy_error(self) -> None:
        """Over OSC 52, which no terminal confirms; so it is in a file too."""
        if not self.last_error:
            self.notify("Nothing has failed so far.", markup=False)
            return
        self.copy_to_clipboard(self.last_error)
        path = self.record.keep_error(self.last_error)
        self.notify(f"Copied, if the terminal allows it; also in {path}", markup=False)

    def action_more(self) -> None:
        if self.session is not None and isinstance(self.screen, StageScreen):
            ask_more(self)

    def shell(self, host: str) -> None:
        if self.session is not None:
            open_shell(self, self.session.file.cluster, host, self.settings.ssh_config)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        yield from commands(self, screen)

    # ------------------------------------------------------------ leaving

    async def action_quit(self) -> None:
        if self.work.run is not None:
            self.push_screen(running_dialog(self, self.work.run.heading))
        else:
            self.leave_typing(partial(self.leave, 0))

    def leave_typing(self, then: Callable[[], None]) -> None:
        if self.session is None:
            then()
        else:
            leave_typing(self, self.session, then)

    def leave(self, status: int, words: str = "") -> None:
        """Out, with the terminal as it was; what runs on a host goes on there."""
        self.asker.close()
        if self.session is not None:
            if self.work.run is not None:
                aside(self.session.engine.leave)
            words = f"{words}\n{RESUME.format(path=self.session.file.path)}".lstrip()
        self.exit(status, status, Text(plain(words)) if words else None)

    def leave_by_signal(self, status: int) -> None:
        at_the_latest(status)
        self.leave(status)

    def bug(self, error: BaseException) -> None:
        """A mistake in the engine: said on the screen, then out."""
        words = BUG_WORDS.format(path=self.record.keep_bug(error))
        self.push_screen(told("A mistake in the wizard", words), lambda nothing: self.leave(BUG, words))

    def unexpected(self, error: Exception) -> None:
        """A mistake in a screen: no screen can be trusted with saying so."""
        self.leave(BUG, BUG_WORDS.format(path=self.record.keep_bug(error)))


def run(
    path: Path | None,
    settings: Settings,
    *,
    given: Ask = unanswered,
    ascii_only: bool = False,
    mouse: bool = True,
) -> int:
    """The wizard, until its owner leaves. `given` knows passwords and host keys that were given beforehand.

    Answers the exit status.
    """
    from wizard.engine.engine import Engine as RealEngine

    settings = dataclasses.replace(settings, at_keyboard=True)
    app = WizardApp(path, settings, RealEngine, given=given, ascii_only=ascii_only, signals=True)
    try:
        status = app.run(mouse=mouse)
    finally:
        app.asker.close()
        end_engine(app)
    return BUG if status is None else status


def end_engine(app: WizardApp) -> None:
    """Lets the engine close what it has open, for as long as a person would wait."""
    engine: Engine | None = app.session.engine if app.session else None
    if engine is not None and not app.work.under_way:
        engine.close()
    app.thread.finish(PATIENCE)
