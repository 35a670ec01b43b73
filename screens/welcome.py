"""The first screen: go on where you were, open a file, or begin a new one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.events import ScreenResume
from textual.widgets import Button, Input

from screens.connect import ConnectScreen
from screens.frame import Frame
from screens.plain import Plain, content, one_line, trouble
from screens.preview import BAD, GOOD, STRONG, joined
from screens.refusing import VIEWER
from screens.session import Session
from wizard.cluster.file import ClusterFile, load, new
from wizard.errors import InputError, InputFinding, WizardError
from wizard.events import State
from wizard.journal import age
from wizard.model import in_words

BRIEF = """\
From one Linux machine with bare network cards to a working home Kubernetes cluster, stage by stage, over SSH.
All you decide is kept in cluster.yaml; take that file to another machine and go on there.
Nothing is changed on any host before you have seen it and said so."""
DEFAULT = "cluster.yaml"
EXISTS = "there is such a file already"
SETTLED = (State.DONE, State.SKIPPED, State.TODO)


class WelcomeScreen(Frame):
    BRIEF = BRIEF
    BINDINGS: ClassVar[list[BindingType]] = [Binding("f5", "again", "Read again", key_display="F5", id="refresh")]

    def __init__(self, path: Path | None) -> None:
        super().__init__()
        self.path = path or Path(DEFAULT)

    def body(self) -> ComposeResult:
        with VerticalScroll(id="page"):
            yield Plain(BRIEF, id="brief")
            with Vertical(id="resume"):
                yield Plain(id="found")
                yield Button("Continue", id="continue", compact=True)
            yield Plain("Open", classes="heading")
            with Horizontal(classes="line"):
                yield Plain("File", classes="label")
                yield Input(str(self.path), id="path", compact=True)
                yield Button("Open", id="open", compact=True)
            yield Plain("New", classes="heading")
            with Horizontal(classes="line"):
                yield Plain("Name", classes="label")
                yield Input(placeholder="a short name, for example aki", id="name", compact=True)
            with Horizontal(classes="line"):
                yield Plain("Machine", classes="label")
                yield Input(placeholder="as typed after ssh: owner@192.168.182.100", id="ssh", compact=True)
                yield Button("Create", id="create", compact=True)
            yield Plain(id="error", classes="error")

    def on_mount(self) -> None:
        self.place("welcome")
        self.show(None)
        self.query_one("#name").focus()

    @on(ScreenResume)
    def action_again(self) -> None:
        """Whatever this screen was left for may have changed the file, and what is remembered."""
        if self.path.exists() and self.wizard.session is None:
            self.read(lambda: load(self.path))

    # ------------------------------------------------------------ opening

    def read(self, file: Callable[[], ClusterFile]) -> None:
        """One file at a time: the one before is let go first."""
        self.query_one("#error", Plain).show("")
        self.wizard.work.forget()
        self.show(None)
        self.wizard.work.open(file, self.opened, self.failed)

    def opened(self, session: Session) -> None:
        self.path = session.file.path
        self.wizard.session = session
        self.show(session)
        self.query_one("#continue").focus()

    def failed(self, error: WizardError) -> None:
        self.show(None)
        self.query_one("#error", Plain).show("\n".join(words_of(error)))

    def show(self, session: Session | None) -> None:
        self.query_one("#resume").display = session is not None
        if session is not None:
            self.query_one("#found", Plain).show(joined(list(found_lines(session))))

    # ------------------------------------------------------------ acting

    @on(Button.Pressed, "#open")
    @on(Input.Submitted, "#path")
    def open(self) -> None:
        path = Path(self.query_one("#path", Input).value).expanduser()
        self.read(lambda: load(path))

    @on(Input.Submitted, "#name")
    def name_typed(self) -> None:
        self.query_one("#ssh").focus()

    @on(Button.Pressed, "#create")
    @on(Input.Submitted, "#ssh")
    def create(self) -> None:
        name, ssh, path = (self.query_one(f"#{which}", Input).value for which in ("name", "ssh", "path"))
        self.read(lambda: created(name.strip(), ssh.strip(), Path(path).expanduser()))

    @on(Button.Pressed, "#continue")
    def go_on(self) -> None:
        session = self.wizard.session
        if session is not None:
            self.app.push_screen(ConnectScreen(session, self.wizard.now))

    def action_back(self) -> None:
        """There is nothing before the first screen but the shell."""
        self.wizard.leave_typing(lambda: self.wizard.leave(0))


def created(name: str, ssh: str, path: Path) -> ClusterFile:
    """A new file on disk; one that is there already is not touched."""
    if path.exists():
        raise InputError([InputFinding(str(path), 0, "", EXISTS, "Open it, or give the new one another name.")])
    file = new(name, ssh, path)
    file.save()
    return file


def words_of(error: WizardError) -> list[str]:
    """All that is wrong; without the place in a file that is not there yet."""
    if not isinstance(error, InputError):
        return [trouble(error)]
    return [str(finding) if Path(finding.file).exists() else _unplaced(finding) for finding in error.findings]


def _unplaced(finding: InputFinding) -> str:
    return f"{finding.key}: {finding.message}. {finding.cure}"


def found_lines(session: Session) -> Iterator[Content]:
    cluster = session.file.cluster
    yield content(one_line(f"{session.file.path}: {cluster.name}, on {cluster.hypervisor.ssh}"), STRONG)
    if session.engine.read_only:
        yield content(one_line(VIEWER.format(who=session.engine.read_only)), BAD)
    open_ones = [standing for standing in session.remembered if standing.state not in SETTLED]
    if not session.remembered:
        yield content("Nothing was done yet.")
    elif not open_ones:
        yield content(f"{len(session.remembered)} steps were done or left out, none is unfinished.", GOOD)
    for standing in open_ones:
        title = session.title_of(standing.step)
        words = f"{title} ({in_words(standing.target)}), {age(standing.since)}: {standing.reason}"
        yield Content("").join([content(f"  {standing.state.value:<12}", BAD), content(one_line(words))])
