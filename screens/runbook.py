"""The runbook: what was really done, as a file of the owner's."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Button, Input

from screens.dialogs import Choice, Dialog, Reply
from screens.frame import Frame
from screens.page import Page
from screens.plain import Plain
from screens.session import Session

BRIEF = """\
The runbook holds what was really done on the hosts, in order, to read or to repeat by hand.
Say where the file goes. It holds no secrets."""


class RunbookScreen(Frame):
    BRIEF = BRIEF
    BINDINGS: ClassVar[list[BindingType]] = [Binding("f3", "look", "Show", key_display="F3", id="plan")]

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session

    def body(self) -> ComposeResult:
        with VerticalScroll(id="page"):
            yield Plain(BRIEF)
            with Horizontal(classes="line"):
                yield Plain("File", classes="label")
                yield Input(str(self.session.file.path.with_name("runbook.md")), compact=True, id="path")
            yield Plain(id="notice")
        with Horizontal(classes="buttons"):
            yield Button("Write", id="write", compact=True)
            yield Button("Show", id="show", compact=True)

    def on_mount(self) -> None:
        self.place("runbook")

    @on(Button.Pressed, "#show")
    def action_look(self) -> None:
        self.wizard.work.export(self.show)

    def show(self, text: str) -> None:
        self.app.push_screen(Page("runbook", text))

    @on(Button.Pressed, "#write")
    @on(Input.Submitted, "#path")
    def write(self) -> None:
        path = Path(self.query_one("#path", Input).value).expanduser()
        if path.exists():
            choices = [Choice("no", "Cancel"), Choice("yes", "Replace it")]
            self.app.push_screen(
                Dialog("There is such a file", str(path), choices, then=lambda reply: self.replace(path, reply))
            )
        else:
            self.export_to(path)

    def replace(self, path: Path, reply: Reply | None) -> None:
        if reply is not None and reply.key == "yes":
            self.export_to(path)

    def export_to(self, path: Path) -> None:
        self.wizard.work.export(lambda text: self.keep(path, text))

    def keep(self, path: Path, text: str) -> None:
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            words = f"{path} cannot be written: {error.strerror}"
        else:
            words = f"Written to {path}"
        self.query_one("#notice", Plain).show(words)
