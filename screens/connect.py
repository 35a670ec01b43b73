"""The way to the hosts: what is being done in words, and what to do when it does not work."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Button

from screens.draft import Draft
from screens.form import Form
from screens.frame import Frame
from screens.guard import Clock
from screens.plain import Plain
from screens.progress import Progress
from screens.progress import clock as clock_words
from screens.session import Session

BRIEF = """\
The wizard logs in on the hypervisor as you would with ssh: your keys, agent and ~/.ssh/config apply.
Then it looks at the hosts. Looking changes nothing.
F5 tries again; Edit lets you type another address, which goes to cluster.yaml."""

ADDRESS = ("hypervisor.ssh",)
LOGGING_IN = "Logging in on {host} …"
LOOKING = "Looking at the hosts; nothing is changed …"


class ConnectScreen(Frame):
    BRIEF = BRIEF
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f5", "retry", "Retry", key_display="F5", id="refresh"),
        Binding("f8", "app.copy_error", "Copy", key_display="F8", id="copy-error"),
    ]

    def __init__(self, session: Session, now: Clock) -> None:
        super().__init__()
        self.session, self.now = session, now
        self.began = now()
        self.said: list[str] = []
        self.doing = ""
        self.failed = False
        self.draft = Draft(session.file, ADDRESS)

    @property
    def host(self) -> str:
        return self.session.file.cluster.hypervisor.ssh

    def body(self) -> ComposeResult:
        with VerticalScroll(id="page"):
            yield Plain(id="doing")
            yield Plain(id="said")
            yield Plain(id="error", classes="error")
            yield Form(self.draft, {})
        with Horizontal(classes="buttons"):
            yield Button("Retry", id="retry", compact=True)
            yield Button("Edit", id="edit", compact=True)
            yield Button("Quit", id="quit", compact=True)

    def on_mount(self) -> None:
        self.query_one(Form).display = False
        self.set_interval(0.5, self.draw)
        self.begin()

    def begin(self) -> None:
        self.began, self.failed, self.said = self.now(), False, []
        self.doing = LOGGING_IN
        self.query_one("#error", Plain).show("")
        self.draw()
        self.wizard.work.connect(self)

    def draw(self) -> None:
        self.query_one("#retry").disabled = self.query_one("#edit").disabled = not self.failed
        elapsed = "" if self.failed else f"  {clock_words(self.now() - self.began)}"
        self.place(f"connect to {self.host}")
        self.query_one("#doing", Plain).show(self.doing.format(host=self.host) + elapsed)
        self.query_one("#said", Plain).show("\n".join(self.said[-12:]))

    def take(self, progress: Progress, lines: list[str]) -> None:
        self.said += lines

    def looking(self) -> None:
        self.doing = LOOKING
        self.draw()

    def fail(self, words: str) -> None:
        """`words`: what, why, and what next."""
        self.failed, self.doing = True, "This did not work."
        self.draw()
        self.query_one("#error", Plain).show(words)
        self.query_one("#retry").focus()

    @on(Button.Pressed, "#retry")
    def action_retry(self) -> None:
        """What is typed is saved first, if it is right."""
        if self.failed and not self.draft.wrong and (not self.draft.typed or self.wizard.work.save_address(self.draft)):
            self.begin()

    @on(Button.Pressed, "#edit")
    def edit(self) -> None:
        """The address can be typed here, and goes to the file."""
        self.query_one(Form).display = True
        self.query_one(Form).focus_first()

    def action_back(self) -> None:
        self.wizard.work.close_session()

    @on(Button.Pressed, "#quit")
    async def quit(self) -> None:
        await self.app.action_quit()
