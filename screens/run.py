"""Something is being done: its live log, where it is, how long it has taken, and the honest ways to stop it."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.widgets import Log

from screens.dialogs import Choice, Dialog, Reply
from screens.frame import Frame
from screens.guard import Clock
from screens.plain import Plain
from screens.progress import Progress
from screens.progress import clock as clock_words

BRIEF = """\
The wizard is at work. What you see is what the host prints.
The script runs on the host by itself: a lost connection or a closed window does not stop it.
Esc or F2 asks how to stop. F6 shows only the log. End follows the log again after you scrolled up."""

STOP_TITLE = "Stop?"
STOP_TEXT = """\
Keep going: nothing changes.
Stop after this command: the script that runs now ends in its own time, then nothing more is started.
Interrupt now: the script is ended in the middle. What it leaves is unknown until the host is looked at again.
Leave: the script goes on on the host, the wizard stops watching. Start it again to look."""
STOP_CHOICES = (
    Choice("keep", "Keep going"),
    Choice("after", "Stop after this command"),
    Choice("now", "Interrupt now"),
    Choice("leave", "Leave"),
)
ASKED_TO_STOP = {
    "after": "Will stop after the command that runs now.",
    "now": "Interrupting. What is left is unknown until the host is looked at.",
    "leave": "Leaving. The script goes on on the host.",
}
PAUSED = "PAUSED, {count} new lines; End follows again"
MAX_LINES = 5000


class RunScreen(Frame):
    BRIEF = BRIEF
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f2,escape", "back", "Stop", key_display="F2", id="back"),
        Binding("f6", "zoom", "Log", key_display="F6", id="zoom"),
    ]

    def __init__(self, title: str, now: Clock) -> None:
        super().__init__()
        self.heading, self.now = title, now
        self.began = now()
        self.waiting: list[str] = []
        self.progress = Progress()
        self.guard_ends = 0.0
        self.stopping = ""

    def body(self) -> ComposeResult:
        yield Plain(id="run-where")
        yield Plain(id="run-state")
        yield Log(max_lines=MAX_LINES, id="log")

    def on_mount(self) -> None:
        self.place(self.heading)
        self.query_one(Log).focus()
        self.set_interval(0.1, self.draw)

    def take(self, progress: Progress, lines: list[str]) -> None:
        """New events; drawn ten times a second at most."""
        if progress.reverts_in and not self.progress.reverts_in:
            self.guard_ends = self.now() + progress.reverts_in
        self.progress = progress
        self.waiting += lines

    def draw(self) -> None:
        log = self.query_one(Log)
        if self.waiting and self.following:
            log.write_lines(self.waiting)
            self.waiting = []
        self.query_one("#run-where", Plain).show(self.progress.where or self.heading)
        self.query_one("#run-state", Plain).show("  ".join(self.words()))

    @property
    def following(self) -> bool:
        """Whether the end of the log is in sight: a log that is being read does not move."""
        log = self.query_one(Log)
        return log.max_scroll_y - log.scroll_offset.y <= 1

    def words(self) -> list[str]:
        found = [f"elapsed {clock_words(self.now() - self.began)}", self.stopping]
        if self.progress.reverts_in:
            found.append(f"guard: goes back in {max(0, int(self.guard_ends - self.now()))} s unless kept")
        if self.progress.lost:
            found.append(f"connection lost ({self.progress.lost}), trying again")
        if self.waiting and not self.following:
            found.append(PAUSED.format(count=len(self.waiting)))
        return [words for words in found if words]

    def on_resize(self, event: Resize) -> None:
        self.query_one(Log).scroll_end(animate=False)

    def action_zoom(self) -> None:
        self.toggle_class("-zoomed")

    def action_back(self) -> None:
        self.app.push_screen(Dialog(STOP_TITLE, STOP_TEXT, STOP_CHOICES, then=self.stop_as))

    def stop_as(self, reply: Reply | None) -> None:
        if reply is None or reply.key == "keep":
            return
        self.stopping = ASKED_TO_STOP[reply.key]
        self.wizard.work.stop(reply.key)
