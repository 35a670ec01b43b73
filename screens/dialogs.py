"""A question over whatever is on the screen: a text, perhaps a line to type, and a few buttons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input

from screens.plain import Plain, content, one_line


@dataclass(frozen=True)
class Choice:
    key: str
    label: str
    variant: str = "default"


@dataclass(frozen=True)
class Entry:
    """A line to type. With `must_be`, no button but the first works until exactly that is typed."""

    label: str
    secret: bool = False
    must_be: str = ""


@dataclass(frozen=True)
class Reply:
    """Which button, and what was typed: never shown by `repr`, it may be a password."""

    key: str
    typed: str = field(default="", repr=False)


class Dialog(ModalScreen[None]):
    """The first choice is the safe one; it is focused unless there is something to type. Esc tells `then` None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f2", "close", "Close", id="close"),
        Binding("up,pageup", "read(-1)", show=False),
        Binding("down,pagedown", "read(1)", show=False),
    ]

    def __init__(
        self,
        title: str,
        text: str | Content,
        choices: Sequence[Choice],
        entry: Entry | None = None,
        then: Callable[[Reply | None], None] = lambda reply: None,
    ) -> None:
        super().__init__()
        self.heading, self.text, self.choices, self.entry = one_line(title), text, tuple(choices), entry
        self.then = then

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Plain(self.heading, classes="heading")
            with VerticalScroll(classes="words", can_focus=False):
                yield Plain(self.text)
            if self.entry:
                yield Plain(self.entry.label, classes="entry-label")
                yield Input(password=self.entry.secret, id="entry", compact=True)
            with Horizontal(classes="buttons"):
                for choice in self.choices:
                    yield self._button(choice)

    def _button(self, choice: Choice) -> Button:
        button = Button(content(one_line(choice.label)), id=f"choice-{self.choices.index(choice)}", compact=True)
        button.add_class(f"-{choice.variant}")
        button.disabled = bool(self.entry and self.entry.must_be) and choice is not self.choices[0]
        return button

    def on_mount(self) -> None:
        self.query_one("#entry" if self.entry else "#choice-0").focus()

    @on(Input.Changed, "#entry")
    def allow(self, event: Input.Changed) -> None:
        if self.entry and self.entry.must_be:
            for button in list(self.query(Button))[1:]:
                button.disabled = event.value != self.entry.must_be

    @on(Input.Submitted, "#entry")
    def submit(self) -> None:
        """Enter in the line presses the last button: the one that goes on."""
        last = list(self.query(Button))[-1]
        if not last.disabled:
            last.press()

    @on(Button.Pressed)
    def choose(self, event: Button.Pressed) -> None:
        event.stop()
        number = int((event.button.id or "choice-0").removeprefix("choice-"))
        self.close_with(Reply(self.choices[number].key, self._typed()))

    def _typed(self) -> str:
        if not self.entry:
            return ""
        line = self.query_one("#entry", Input)
        typed, line.value = line.value, ""
        return typed

    def close_with(self, reply: Reply | None) -> None:
        """Only once: a second press of Enter must not close what lies below."""
        if self.is_active:
            self.dismiss()
            self.then(reply)

    def action_read(self, pages: int) -> None:
        """The text scrolls while a button has the focus."""
        words = self.query_one(".words")
        words.scroll_relative(y=pages * max(1, words.size.height - 1), animate=False)

    def action_close(self) -> None:
        self.close_with(None)


def told(title: str, text: str | Content) -> Dialog:
    """Something to read and to close."""
    return Dialog(title, text, [Choice("close", "Close")])
