"""What the screens have the engine do, and what happens on the screen then."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from screens.connect import ConnectScreen
from screens.contract import Engine
from screens.dialogs import Choice, Dialog, Reply, told
from screens.draft import Draft
from screens.engine_thread import aside
from screens.messages import Call
from screens.page import Page
from screens.plain import trouble
from screens.preview import checks_table
from screens.progress import Progress
from screens.record import Record
from screens.result import ResultScreen
from screens.run import RunScreen
from screens.session import Session
from screens.stage import StageScreen
from wizard.cluster.file import ClusterFile, load
from wizard.engine.planned import Planned
from wizard.errors import WaitsForOwner, WizardError
from wizard.model import Risk, Step, Suggestion

if TYPE_CHECKING:
    from screens.app import WizardApp
    from wizard.engine.doing import Outcome

T = TypeVar("T")

VALUES = "looking for values"
CHANGED = """\
{path} was changed by somebody else since the wizard read it, so nothing was saved.
Read it again keeps what you typed here; then save once more."""


class Work:
    """Calls go to the engine one after the other; `busy` says in words which one is under way."""

    def __init__(self, app: WizardApp) -> None:
        self.app = app
        self.under_way: list[Call] = []
        self.run: RunScreen | None = None

    @property
    def busy(self) -> str:
        return self.under_way[0].words if self.under_way else ""

    @property
    def unsettled(self) -> str:
        """In words, what may yet change the plan on the screen; values for a form do not."""
        return next((call.words for call in self.under_way if call.words != VALUES), "")

    @property
    def session(self) -> Session:
        assert self.app.session is not None
        return self.app.session

    @property
    def engine(self) -> Engine:
        return self.session.engine

    def call(
        self,
        words: str,
        work: Callable[[], T],
        then: Callable[[T], None],
        failed: Callable[[WizardError], None] | None = None,
    ) -> None:
        def refused(error: BaseException) -> None:
            if isinstance(error, WizardError):
                (failed or self.app.trouble)(error)
            else:
                self.app.bug(error)

        call = Call(words, work, then, refused)
        self.under_way.append(call)
        self.app.thread.submit(call)
        self.app.redraw()

    def replied(self, call: Call, result: Any, error: BaseException | None) -> None:
        self.under_way.remove(call)
        if error is None:
            call.then(result)
        else:
            call.failed(error)
        self.app.redraw()

    # ------------------------------------------------------------ a file

    def open(
        self, file: Callable[[], ClusterFile], then: Callable[[Session], None], failed: Callable[[WizardError], None]
    ) -> None:
        """Reads a file, and what is remembered of its cluster; no host is asked."""

        def opened() -> Session:
            read = file()
            engine = self.app.new_engine(read, self.app.settings, self.app.asker.ask, self.app.feed.observe)
            record = Record(self.app.settings.directory(read.cluster.name))
            return Session(engine, record, remembered=engine.remembered())

        self.call("reading the file", opened, then, failed)

    def close_session(self) -> None:
        """Back to the first screen. What is typed and right is saved; what is not right yet is asked about."""
        self.app.leave_typing(self._closed)

    def _closed(self) -> None:
        self.forget()
        self.app.back_to_welcome()

    def forget(self) -> None:
        """Lets go of what is open."""
        if self.app.session is not None:
            engine, self.app.session = self.engine, None
            self.call("closing the connection", engine.close, lambda nothing: None, lambda error: None)

    def save(self, draft: Draft, words: str) -> bool:
        """Whether it was saved; the plan that comes of it is on its way."""
        try:
            draft.save()
        except WaitsForOwner:
            self._ask_to_read_again(draft.file.path)
            return False
        except WizardError as error:
            self.app.trouble(error)
            return False
        self.look_again(words)
        return True

    def save_address(self, draft: Draft) -> bool:
        """Before there is a connection there is nothing to plan."""
        try:
            draft.save()
        except WizardError as error:
            self.app.trouble(error)
            return False
        self.call("reading the file", self.engine.reload, lambda nothing: None)
        return True

    def _ask_to_read_again(self, path: Path) -> None:
        def answered(reply: Reply | None) -> None:
            if reply is not None and reply.key == "read":
                self.look_again("Read again. What you typed is still here, not saved.")

        choices = [Choice("cancel", "Cancel"), Choice("read", "Read it again")]
        self.app.push_screen(Dialog("The file has changed", CHANGED.format(path=path), choices, then=answered))

    # ------------------------------------------------------------ looking

    def connect(self, screen: ConnectScreen) -> None:
        session, engine = self.session, self.engine

        def failed(error: WizardError) -> None:
            if self.app.session is session:
                self.app.remember_error(trouble(error))
                screen.fail(trouble(error))

        def arrived(rows: tuple[Planned, ...]) -> None:
            if self.app.session is session:
                session.take(rows)
                session.at = session.first_open()
                self.app.switch_screen(StageScreen(session))

        def connected(nothing: None) -> None:
            if self.app.session is session:
                screen.looking()
                self.call("looking at the hosts", engine.status, arrived, failed)

        self.call("logging in", engine.connect, connected, failed)

    def look_again(self, words: str = "") -> None:
        """Reads the file and the hosts anew, and plans."""
        session, engine = self.session, self.engine

        def looked() -> tuple[Planned, ...]:
            engine.reload()
            return engine.status()

        def seen(rows: tuple[Planned, ...]) -> None:
            session.suggestions.clear()
            session.take(rows)
            session.read_again()
            self.app.redraw(words)

        self.call("looking at the hosts", looked, seen)

    def find_suggestions(self, step: Step) -> None:
        session, engine = self.session, self.engine

        session.suggestions[step.id] = {}

        def found(values: Mapping[str, tuple[Suggestion, ...]]) -> None:
            session.suggestions[step.id] = values
            self.app.show_found()

        self.call(VALUES, lambda: engine.suggestions(step), found)

    def check(self, names: Sequence[str]) -> None:
        engine = self.engine

        def checked(rows: Any) -> None:
            self.app.push_screen(Page("checks", checks_table([check for _, _, check in rows])))

        self.call("checking; this can take a minute", lambda: engine.check(names), checked)

    def export(self, then: Callable[[str], None]) -> None:
        self.call("writing the runbook", self.engine.export, then)

    # ------------------------------------------------------------ doing

    def apply_shown(self, planned: Planned) -> None:
        """Does what the screen shows. What may cut, restart or destroy is asked once more, by the engine."""
        mild = planned.risk.rank <= Risk.BRIEF_INTERRUPTION.rank
        self.apply(planned.step.title, [planned.name], {planned.name: planned.digest} if mild else None)

    def apply(self, title: str, names: Sequence[str], approved: Mapping[str, str] | None = None) -> None:
        engine = self.engine
        self._run(title, lambda: engine.apply(names, approved), lambda: self.apply(title, names, approved))

    def undo(self, title: str, names: Sequence[str]) -> None:
        engine = self.engine
        self._run(f"undo: {title}", lambda: engine.undo(names), lambda: self.undo(title, names))

    def _run(self, title: str, deed: Callable[[], Outcome], again: Callable[[], None]) -> None:
        """One run at a time; its screen goes when it ends."""
        if self.run is not None or self.app.too_small():
            return
        screen = self.run = RunScreen(title, self.app.now)

        def ended(outcome: Outcome | WizardError) -> None:
            self.run = None
            self.app.asker.let_go()
            self.app.back_to(screen)
            if not isinstance(outcome, WizardError):
                self.session.heard(outcome)
            self.app.switch_screen(ResultScreen(self.session, outcome, screen.progress, again))
            self.look_again()

        self.app.progress = Progress()
        self.app.push_screen(screen)
        self.call("a run is under way", deed, ended, ended)

    def stop(self, how: str) -> None:
        engine = self.engine
        aside({"after": engine.stop_after_this, "now": engine.stop_now, "leave": engine.leave}[how])

    def skip(self, step: str, target: str, reason: str) -> None:
        engine = self.engine
        self.call("noting that", lambda: engine.skip(step, target, reason), lambda nothing: self.look_again("Skipped."))

    def by_hand(self, step: str, target: str) -> None:
        """The hosts decide whether it is done."""
        engine = self.engine

        def looked(planned: Planned) -> None:
            title = "It is done" if planned.state.value == "done" else "Not yet"
            self.app.push_screen(told(title, f"{planned.step.title} ({target}): {planned.reason}"))
            self.look_again()

        self.call("looking at the host", lambda: engine.done_by_hand(step, target), looked)


def save_all(session: Session) -> None:
    """Writes whatever is typed and right; the rest stays typed. Raises as `ClusterFile.save`."""
    for draft in session.unsaved:
        if not draft.wrong:
            draft.save()
            for other in session.unsaved:
                other.rebase(load(session.file.path))
