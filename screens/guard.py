"""The guard's question: a change that may have cut SSH is in place, and the host goes back by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.events import ScreenResume
from textual.screen import ModalScreen
from textual.widgets import Button

from screens.plain import Plain
from wizard.events import KeepOrRevert, ProbeResult

Clock = Callable[[], float]
WARNING = 10
"""Seconds before the end at which the bell rings."""

LEFT = "{host} goes back by itself in {seconds} s. Only Keep stops that; doing nothing is safe."
REACHED = "A new connection to {address} works."
NOT_REACHED = "No new connection could be made, so there is nothing to keep: the change will be undone."
HOLDS = "Everything that was asked holds."
HOLDS_NOT = "Something that held before the change does not hold now."


class GuardDialog(ModalScreen[None]):
    """Nothing is focused at first: a key typed too early neither keeps nor reverts. Silence reverts."""

    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,f2", "stay", show=False)]

    def __init__(self, question: KeepOrRevert, clock: Clock, answer: Callable[[bool | None], None]) -> None:
        super().__init__()
        self.question, self.clock, self.answer = question, clock, answer
        self.ends = clock() + question.seconds
        self.rung = self.over = self.closed = False

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Plain("Keep these settings?", classes="heading")
            with VerticalScroll(classes="words", can_focus=False):
                yield Plain(id="left")
                yield Plain(described(self.question), id="probed")
            with Horizontal(classes="buttons"):
                yield Button("Revert now", id="revert", compact=True)
                yield Button("Keep" if self.question.holds else "Keep anyway", id="keep", compact=True)

    def on_mount(self) -> None:
        self.query_one("#keep", Button).disabled = not self.question.reached
        self.app.bell()
        self.tick()
        self.set_interval(0.25, self.tick)

    def tick(self) -> None:
        if self.over:
            return
        left = self.ends - self.clock()
        if left <= 0:
            self.settle(None)
            return
        if left <= WARNING and not self.rung:
            self.rung = True
            self.app.bell()
        self.query_one("#left", Plain).show(LEFT.format(host=self.question.host, seconds=int(left)))

    @on(Button.Pressed)
    def press(self, event: Button.Pressed) -> None:
        event.stop()
        self.settle(event.button.id == "keep")

    def settle(self, keep: bool | None) -> None:
        """Answers at once (None: nobody did), even from below another dialog, and closes when that one is gone."""
        if not self.over:
            self.over = True
            self.answer(keep)
        self.close_if_over()

    @on(ScreenResume)
    def close_if_over(self) -> None:
        if self.over and self.is_active and not self.closed:
            self.closed = True
            self.dismiss()

    def action_stay(self) -> None:
        """Esc decides nothing here."""
        self.app.bell()


def described(question: KeepOrRevert) -> str:
    reached = REACHED.format(address=question.reached) if question.reached else NOT_REACHED
    probes = [f"  {_words(probe)}  {probe.title}" for probe in question.probes]
    return "\n".join(["", reached, *probes, HOLDS if question.holds else HOLDS_NOT])


def _words(probe: ProbeResult) -> str:
    if probe.holds:
        return "holds         "
    return "FAILS         " if probe.before else "failed before "
