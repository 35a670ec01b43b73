"""All stages and steps with their state in words; Enter goes to one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from screens.plain import Plain, content, one_line
from screens.preview import BAD, GOOD, MARK, QUIET
from screens.session import Place, Session
from wizard.events import State

STYLES = {
    State.DONE: GOOD,
    State.SKIPPED: QUIET,
    State.FAILED: BAD,
    State.REVERTED: BAD,
    State.INTERRUPTED: BAD,
    State.DRIFTED: BAD,
    State.TODO: "",
}
NO_TARGET = "none yet"
ONE_MORE = "one more"
NOT_SEEN = "not seen"


def state_word(session: Session, place: Place) -> str:
    planned = session.planned(place)
    if planned is not None:
        return planned.state.value
    if not session.rows:
        return NOT_SEEN
    return ONE_MORE if any(row.step.id == place.step.id for row in session.rows) else NO_TARGET


class Rail(OptionList):
    """One row per step and target, under its stage."""

    class Went(Message):
        """The owner wants to see `name`."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self, session: Session, *, id: str) -> None:  # noqa: A002 - Textual names it so
        super().__init__(markup=False, compact=True, id=id)
        self.session = session
        self.words: list[str] = []

    def on_mount(self) -> None:
        self.draw()

    def draw(self) -> None:
        """Anew from the session, the present place highlighted."""
        rows = list(rail_rows(self.session))
        words = [str(row.prompt) for row in rows]
        if words != self.words:
            self.words = words
            self.set_options(rows)
        self.highlighted = self.get_option_index(str(self.session.at))

    @on(OptionList.OptionSelected)
    def go(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        places = self.session.places
        number = int(event.option_id or 0)
        if number < len(places):
            self.post_message(self.Went(places[number].name))


def rail_rows(session: Session) -> Iterator[Option]:
    stage = ""
    for number, place in enumerate(session.places):
        if place.stage.id != stage:
            stage = place.stage.id
            yield Option(content(one_line(place.stage.title), "bold"), disabled=True)
        planned = session.planned(place)
        style = STYLES.get(planned.state, MARK) if planned else QUIET
        target = f" {place.target}" if place.target and _many(session, place) else ""
        word = content(f" {state_word(session, place):<11} ", style)
        yield Option(word + content(one_line(place.step.title + target)), id=str(number))


def _many(session: Session, place: Place) -> bool:
    return sum(row.step.id == place.step.id for row in session.rows) > 1


class StepsDialog(ModalScreen[str | None]):
    """The rail for a window that has no room for it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,f2,f7", "close", "Close", id="close")]

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Plain("All steps", classes="heading")
            yield Rail(self.session, id="steps")

    def on_mount(self) -> None:
        self.query_one(Rail).focus()

    @on(Rail.Went)
    def went(self, event: Rail.Went) -> None:
        event.stop()
        if self.is_active:
            self.dismiss(event.name)

    def action_close(self) -> None:
        self.dismiss(None)
