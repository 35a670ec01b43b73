"""A page of text to read: help, a plan in full, the runbook, checks."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content

from screens.frame import Frame
from screens.plain import Plain

KEYS = """\
F1       this help                    F6       log in full, and back
F2 Esc   one level back               F7       all steps
F3       save, and the plan in full   F8       copy the last error
F4       apply                        F9       use the value that was found
F5       look at the hosts again      F10 ^Q   quit
^N ^B    next step, step before       ^O       more actions
^P       commands                     ^C       copy what is selected
Tab      next field or button         Enter    press the button, leave the field

Everything can also be clicked. Hold Shift to select text with the mouse of the terminal.
You can quit at any moment: what is typed is in cluster.yaml, what is done is on the hosts.
"""


class Page(Frame):
    def __init__(self, title: str, text: str | Content) -> None:
        super().__init__(classes="page")
        self.heading, self.text = title, text

    def body(self) -> ComposeResult:
        with VerticalScroll(id="page", can_focus=True):
            yield Plain(self.text, id="text")

    def on_mount(self) -> None:
        self.place(self.heading)
        self.query_one("#page").focus()

    def action_help(self) -> None:
        """Help on help would lead nowhere."""


def help_page(screen: Frame) -> Page:
    return Page("Help", f"{screen.BRIEF}\n\n{KEYS}")
