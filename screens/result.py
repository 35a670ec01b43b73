"""How a run ended: what was done; or what failed and why, its last lines, and what can be done about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Button

from screens.dialogs import Choice, Dialog, Entry, Reply
from screens.frame import Frame
from screens.plain import Plain, content, one_line, plain, trouble
from screens.preview import BAD, GOOD, MARK, STRONG, joined
from screens.progress import Progress
from screens.session import Session
from wizard.errors import StepFailed, WizardError
from wizard.events import State, StepFinished
from wizard.model import in_words

if TYPE_CHECKING:
    from wizard.engine.doing import Outcome

BRIEF = """\
How it ended. Retry looks at the hosts again and does only what is missing.
Edit goes back to the form; Undo takes back what was done; Skip leaves the step out, and what needs it waits.
By hand looks whether you have done it yourself. Shell opens ssh to the host; exit comes back here."""

TAIL = 15
"""Lines of the log that are shown."""
WELL = (State.DONE, State.SKIPPED, State.TODO)
ACTIONS = (
    ("retry", "Retry"),
    ("edit", "Edit"),
    ("undo", "Undo"),
    ("skip", "Skip"),
    ("by-hand", "By hand"),
    ("shell", "Shell"),
    ("copy", "Copy"),
)
SKIP_TEXT = "What needs this step waits until it is done. Why is it left out?"


class ResultScreen(Frame):
    BRIEF = BRIEF
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f5", "retry", "Retry", key_display="F5", id="refresh"),
        Binding("f8", "copy", "Copy", key_display="F8", id="copy-error"),
    ]

    def __init__(
        self, session: Session, ended: Outcome | WizardError, progress: Progress, again: Callable[[], None]
    ) -> None:
        super().__init__()
        self.session, self.ended, self.progress, self.again = session, ended, progress, again
        self.failed = failure(ended)

    @property
    def well(self) -> bool:
        return self.failed is None and not isinstance(self.ended, WizardError)

    @property
    def step(self) -> str:
        return self.failed.step if self.failed else self.progress.step

    @property
    def target(self) -> str:
        return self.failed.target if self.failed else self.progress.target

    def body(self) -> ComposeResult:
        with VerticalScroll(id="page", can_focus=True):
            yield Plain(joined(list(self.lines())), id="ended")
        with Horizontal(classes="buttons"):
            actions = (("go-on", "Go on"), ("shell", "Shell")) if self.well else ACTIONS
            for key, label in actions:
                yield Button(label, id=key, compact=True)

    def on_mount(self) -> None:
        self.place("done" if self.well else "not done")
        self.query(Button).first().focus()
        if not self.well:
            self.wizard.remember_error(joined(list(self.lines())).plain)
            self.app.bell()

    # ------------------------------------------------------------ words

    def lines(self) -> Iterator[Content]:
        if isinstance(self.ended, WizardError):
            yield content(trouble(self.ended), BAD)
            yield from _tail_lines(self.ended.tail if isinstance(self.ended, StepFailed) else "")
        elif self.failed:
            yield from self._failure_lines(self.failed)
        else:
            yield content("Done.", GOOD)
        yield content("")
        yield from self._step_lines()

    def _failure_lines(self, failed: StepFinished) -> Iterator[Content]:
        title = self.session.title_of(failed.step)
        yield content(f"{title} ({in_words(failed.target)}): {failed.state.value} after {failed.seconds:.0f} s", BAD)
        if self.progress.step == failed.step and self.progress.part:
            yield content(self.progress.where)
        yield content(failed.reason)
        if failed.next_steps:
            yield content("")
            yield content("What you can do:", STRONG)
            yield from (content(f"  - {one_line(sentence)}") for sentence in failed.next_steps)
        yield from _tail_lines(failed.log_tail)

    def _step_lines(self) -> Iterator[Content]:
        for step in () if isinstance(self.ended, WizardError) else self.ended.steps:
            style = GOOD if step.state is State.DONE else MARK
            word = content(f"{step.state.value:<12}", style)
            title = self.session.title_of(step.step)
            yield Content("").join([word, content(one_line(f"{title} ({in_words(step.target)}): {step.reason}"))])

    # ------------------------------------------------------------ acts

    @on(Button.Pressed)
    def press(self, event: Button.Pressed) -> None:
        event.stop()
        {
            "go-on": self.go_on,
            "retry": self.action_retry,
            "edit": self.edit,
            "undo": self.undo,
            "skip": self.skip,
            "by-hand": self.by_hand,
            "shell": lambda: self.wizard.shell(self.progress.host),
            "copy": self.action_copy,
        }[event.button.id or "copy"]()

    def go_on(self) -> None:
        """To the first step that is not done."""
        self.session.at = self.session.first_open()
        self.action_back()
        self.wizard.redraw()

    def action_retry(self) -> None:
        if not self.well:
            self.dismiss()
            self.again()

    def edit(self) -> None:
        if self.step:
            self.session.go_to(f"{self.step}@{self.target}")
        self.action_back()
        self.wizard.redraw()

    def undo(self) -> None:
        if self.step:
            self.dismiss()
            self.wizard.work.undo(self.session.title_of(self.step), [f"{self.step}@{self.target}"])

    def skip(self) -> None:
        self.app.push_screen(skip_dialog(self._skipped))

    def _skipped(self, reason: str) -> None:
        self.dismiss()
        self.wizard.work.skip(self.step, self.target, reason)

    def by_hand(self) -> None:
        if self.step:
            self.dismiss()
            self.wizard.work.by_hand(self.step, self.target)

    def action_copy(self) -> None:
        self.wizard.action_copy_error()


def skip_dialog(then: Callable[[str], None]) -> Dialog:
    def answered(reply: Reply | None) -> None:
        if reply is not None and reply.key == "skip":
            then(reply.typed)

    choices = [Choice("cancel", "Cancel"), Choice("skip", "Skip it")]
    return Dialog("Leave this step out?", SKIP_TEXT, choices, Entry("Reason"), answered)


def failure(ended: Outcome | WizardError) -> StepFinished | None:
    """The step to speak about: the first that did not end well, unless it only waits for another that did not."""
    steps = [] if isinstance(ended, WizardError) else [step for step in ended.steps if step.state not in WELL]
    acted = [step for step in steps if step.state is not State.BLOCKED]
    return next(iter(acted or steps), None)


def _tail_lines(tail: str) -> Iterator[Content]:
    last = plain(tail).rstrip("\n").split("\n")[-TAIL:]
    if any(last):
        yield content("")
        yield content("Its last lines:", STRONG)
        yield from (content(f"  {line}") for line in last)
