"""What every full screen has: a line that says where you are, the footer, help, and one level back."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Footer

from screens.plain import Plain

if TYPE_CHECKING:
    from screens.app import WizardApp
    from screens.progress import Progress

WIDTH, HEIGHT = 80, 24
"""The smallest terminal in which everything can be read, and in which anything is applied."""
TOO_SMALL = "This window is too small: the wizard needs 80x24. Nothing is applied until it is larger."


class Frame(Screen[None]):
    """A full screen. `BRIEF` is its help text."""

    BRIEF: ClassVar[str] = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1", "help", "Help", key_display="F1", id="help"),
        Binding("f2,escape", "back", "Back", key_display="F2", id="back"),
        Binding("pageup", "read(-1)", show=False),
        Binding("pagedown", "read(1)", show=False),
    ]

    @property
    def wizard(self) -> WizardApp:
        return cast("WizardApp", self.app)

    @property
    def too_small(self) -> bool:
        return self.app.size.width < WIDTH or self.app.size.height < HEIGHT

    def compose(self) -> ComposeResult:
        yield Plain(id="where")
        yield Plain(TOO_SMALL, id="too-small")
        yield from self.body()
        yield Footer(compact=True, show_command_palette=False)

    def body(self) -> ComposeResult:
        yield from ()

    def place(self, text: str) -> None:
        """Says in the first line where we are."""
        self.query_one("#where", Plain).show(f"homek8s  {text}")

    def take(self, progress: Progress, lines: list[str]) -> None:
        """The engine told something; most screens do not mind."""

    def action_back(self) -> None:
        self.dismiss()

    def action_read(self, pages: int) -> None:
        """The page scrolls wherever the focus is."""
        for page in self.query("#page"):
            page.scroll_relative(y=pages * max(1, page.size.height - 1), animate=False)

    def action_help(self) -> None:
        from screens.page import help_page

        self.app.push_screen(help_page(self))
