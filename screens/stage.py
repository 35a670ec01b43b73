"""One step for one target: why, its form, what was checked, and the plan; around it the rail of all steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Button

from screens import preview
from screens.draft import why_unsaved
from screens.form import Form
from screens.frame import TOO_SMALL, Frame
from screens.page import Page
from screens.plain import Plain, one_line
from screens.rail import Rail, StepsDialog, state_word
from screens.refusing import why_not
from screens.session import Place, Session
from wizard.model import Check, in_words

BRIEF = """\
One step: why it is done, what it needs to know, and the plan: exactly what will be done.
Apply (F4) does what the plan shows, nothing else. Save (F3) writes what is typed to cluster.yaml and plans anew."""
SAVED = "Saved. This is the plan now; F4 again does it."


class StageScreen(Frame):
    BRIEF = BRIEF
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f3", "plan", "Plan", key_display="F3", id="plan"),
        Binding("f4", "apply", "Apply", key_display="F4", id="apply"),
        Binding("f5", "refresh", "Look", key_display="F5", id="refresh"),
        Binding("f7", "steps", "Steps", key_display="F7", id="steps"),
        Binding("ctrl+o", "more", "More", key_display="^O", id="more"),
        Binding("ctrl+n", "step(1)", "Next", show=False, id="next"),
        Binding("ctrl+b", "step(-1)", "Before", show=False, id="before"),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.shown = ""
        """The name of the place whose form is on the screen."""
        self.stale = False

    def body(self) -> ComposeResult:
        with Horizontal(id="columns"):
            yield Rail(self.session, id="rail")
            with Vertical(id="step"):
                with VerticalScroll(id="page", can_focus=True):
                    yield Plain(id="title", classes="heading")
                    yield Plain(id="why")
                    yield Vertical(id="form-place")
                    yield Plain(id="checks")
                    yield Plain("Plan", classes="heading")
                    yield Plain(id="plan")
                yield Plain(id="notice")
                with Horizontal(classes="buttons"):
                    yield Button("Apply", id="apply", compact=True)
                    yield Button("Save", id="save", compact=True)
                    yield Button("Before", id="before", compact=True)
                    yield Button("Next", id="next", compact=True)
                    yield Button("More", id="more", compact=True)

    async def on_mount(self) -> None:
        await self.draw()

    # ------------------------------------------------------------ drawing

    async def draw(self) -> None:
        """Everything anew from the session; a form stays as it is while the step is the same."""
        self.stale = False
        place = self.session.place
        planned = self.session.planned(place)
        self.place(self.where(place))
        self.query_one(Rail).draw()
        self.query_one("#title", Plain).show(self.title_line(place))
        self.query_one("#why", Plain).show(place.step.why)
        self.draw_checks(planned.checks if planned else ())
        self.query_one("#plan", Plain).show(preview.preview(planned))
        self.query_one("#apply").set_class(bool(self.refusal()), "-refused")
        if self.shown != self.form_name(place):
            await self.draw_form(place)
        if place.step.fields and place.step.id not in self.session.suggestions:
            self.wizard.work.find_suggestions(place.step)

    def draw_checks(self, checks: Sequence[Check]) -> None:
        table = self.query_one("#checks", Plain)
        table.display = bool(checks)
        table.show(preview.checks_table(checks))

    async def draw_form(self, place: Place) -> None:
        """The form of a place one has come to; what was typed there before is still there."""
        self.shown = self.form_name(place)
        self.notify_here("")
        form_place = self.query_one("#form-place")
        await form_place.remove_children()
        if place.step.fields:
            found = self.session.suggestions.get(place.step.id, {})
            await form_place.mount(Form(self.session.draft(place), found))
        self.query_one("#page").scroll_home(animate=False)
        self.focus_first()

    def form_name(self, place: Place) -> str:
        """Another place, or another list item, is another form."""
        return f"{place.name} {' '.join(self.session.draft(place).keys)}"

    def focus_first(self) -> None:
        form = self.form
        if form is None or not form.focus_first():
            self.query_one("#apply").focus()

    def redraw(self, words: str = "") -> None:
        """Soon, and once for all that asked meanwhile."""
        if words:
            self.notify_here(words)
        if not self.stale:
            self.stale = True
            self.call_later(self.draw)

    def show_found(self) -> None:
        """What was found for the form on the screen has come, maybe late."""
        if self.form is not None:
            self.form.show_found(self.session.suggestions.get(self.session.place.step.id, {}))

    @property
    def form(self) -> Form | None:
        return next(iter(self.query(Form)), None)

    def where(self, place: Place) -> str:
        stages = self.session.engine.stages
        at, step_at = stages.index(place.stage) + 1, place.stage.steps.index(place.step) + 1
        steps = len(place.stage.steps)
        busy = self.wizard.work.busy or state_word(self.session, place)
        return one_line(
            f"Stage {at}/{len(stages)} {place.stage.title} > {step_at}/{steps} {place.step.title}  [{busy}]"
        )

    def title_line(self, place: Place) -> str:
        planned = self.session.planned(place)
        target = f" ({in_words(place.target)})" if place.target else ""
        state = f"{planned.state.value}: {one_line(planned.reason)}" if planned else state_word(self.session, place)
        return f"{place.step.title}{target}\n{state}"

    def notify_here(self, words: str) -> None:
        self.query_one("#notice", Plain).show(words)

    # ------------------------------------------------------------ acting

    def refusal(self) -> str:
        """Why F4 would do nothing."""
        if self.too_small:
            return TOO_SMALL
        if self.wizard.work.unsettled:
            return f"Wait: {self.wizard.work.unsettled}."
        unsaved = self.form and why_unsaved(self.form.draft)
        return unsaved or why_not(self.session.planned(self.session.place), self.session.engine.read_only)

    @on(Button.Pressed, "#apply")
    def action_apply(self) -> None:
        """What is typed is saved and planned first: nothing runs that was not on the screen."""
        if self.form is not None and self.form.draft.typed and not self.too_small:
            self.save(SAVED)
        elif words := self.refusal():
            self.notify_here(words)
        elif planned := self.session.planned(self.session.place):
            self.wizard.work.apply_shown(planned)

    @on(Button.Pressed, "#save")
    def action_save(self) -> None:
        self.save("Saved.")

    def save(self, words: str) -> bool:
        """To cluster.yaml, if all of it is right; then the plan is made anew."""
        form = self.form
        if form is None or not form.draft.typed:
            self.notify_here("Nothing is typed that is not saved.")
            return True
        if unsaved := why_unsaved(form.draft):
            form.judge(everything=True)
            self.notify_here(f"Not saved: {unsaved}.")
            return False
        return self.wizard.work.save(form.draft, words)

    def action_plan(self) -> None:
        """The plan in full; what is typed is saved first."""
        if self.form is not None and self.form.draft.typed:
            self.save("Saved. This is the plan now; F3 shows it in full.")
        else:
            place = self.session.place
            title = f"plan: {place.step.title} {place.target}"
            self.app.push_screen(Page(title, preview.full_plan(self.session.planned(place))))

    def action_refresh(self) -> None:
        self.wizard.work.look_again()

    def action_back(self) -> None:
        self.wizard.work.close_session()

    @on(Button.Pressed, "#more")
    def action_more(self) -> None:
        self.wizard.action_more()

    # ------------------------------------------------------------ going

    def action_step(self, by: int) -> None:
        self.keep_typing()
        self.session.at = max(0, min(len(self.session.places) - 1, self.session.at + by))
        self.redraw()

    @on(Button.Pressed, "#next")
    def next_step(self) -> None:
        self.action_step(1)

    @on(Button.Pressed, "#before")
    def step_before(self) -> None:
        self.action_step(-1)

    @on(Rail.Went)
    def rail_went(self, event: Rail.Went) -> None:
        self.go(event.name)

    def action_steps(self) -> None:
        self.app.push_screen(StepsDialog(self.session), self.go)

    def go(self, name: str | None) -> None:
        if name:
            self.keep_typing()
            self.session.go_to(name)
            self.redraw()

    def keep_typing(self) -> None:
        """Whoever goes on leaves what is typed: saved if it is right, otherwise as it is, for when they come back."""
        draft = self.form.draft if self.form else None
        if draft is not None and draft.typed and not draft.wrong:
            self.wizard.work.save(draft, "Saved.")

    @on(Form.Changed)
    def typed(self) -> None:
        self.notify_here("Typed, not saved yet: F3 saves it and plans anew.")
        self.query_one("#apply").set_class(bool(self.refusal()), "-refused")
