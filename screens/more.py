"""What else can be done with the step on the screen: said once, for the menu and for the palette."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList

from screens.plain import Plain, content
from screens.result import skip_dialog
from screens.runbook import RunbookScreen
from screens.shell import edit_file

if TYPE_CHECKING:
    from screens.app import WizardApp


@dataclass(frozen=True)
class Deed:
    title: str
    help: str
    do: Callable[[], object]


def deeds(app: WizardApp) -> Iterator[Deed]:
    """For the present place; those that change a host ask before they do."""
    if (session := app.session) is None:
        return
    place, work, step = session.place, app.work, session.place.step
    if place.target:
        yield Deed("Undo this step", "take back what was done of it", lambda: work.undo(step.title, [place.name]))
        yield Deed("Skip this step", "leave it out, with a reason", lambda: _skip(app))
        yield Deed("Done by hand", "look whether you have done it", lambda: work.by_hand(step.id, place.target))
        yield Deed(
            "Apply with all it needs", "the steps it waits for too", lambda: work.apply(step.title, [place.name])
        )
        yield Deed("Check this step", "costly checks included", lambda: work.check([place.name]))
    stage = place.stage
    yield Deed("Apply this stage", stage.title, lambda: work.apply(stage.title, [stage.id]))
    yield Deed("Apply everything", "each plan is shown before", lambda: work.apply("everything", []))
    yield Deed("Use all that was found", "for the fields that are empty", lambda: _take_all(app))
    yield Deed("Shell on the host", "ssh; exit comes back here", lambda: app.shell(place.target))
    yield Deed("Runbook", "what was really done, as a file", lambda: app.push_screen(RunbookScreen(session)))
    yield Deed("Edit cluster.yaml", "in your editor", lambda: edit_file(app, session.file.path))


def _skip(app: WizardApp) -> None:
    assert app.session is not None
    place = app.session.place
    app.push_screen(skip_dialog(lambda reason: app.work.skip(place.step.id, place.target, reason)))


def _take_all(app: WizardApp) -> None:
    from screens.form import Form

    for form in app.screen.query(Form):
        form.take_all_found()


class MoreDialog(ModalScreen[Deed | None]):
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,f2,ctrl+o", "close", "Close", id="close")]

    def __init__(self, app_deeds: list[Deed]) -> None:
        super().__init__()
        self.deeds = app_deeds

    def compose(self) -> ComposeResult:
        rows = [content(f"{deed.title:<26}{deed.help}") for deed in self.deeds]
        with Vertical(classes="dialog"):
            yield Plain("What else?", classes="heading")
            yield OptionList(*rows, markup=False, compact=True, id="deeds")

    @on(OptionList.OptionSelected)
    def chosen(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if self.is_active:
            self.dismiss(self.deeds[event.option_index])

    def action_close(self) -> None:
        self.dismiss(None)


def ask_more(app: WizardApp) -> None:
    def chosen(deed: Deed | None) -> None:
        if deed is not None:
            deed.do()

    app.push_screen(MoreDialog(list(deeds(app))), chosen)
