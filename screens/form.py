"""A step's form: its fields come from the models, what is found on the hosts stands beside, what is typed is judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.css.query import NoMatches
from textual.events import DescendantBlur, DescendantFocus
from textual.message import Message
from textual.widgets import Button, Input, OptionList, Select
from textual.widgets.option_list import Option

from screens.draft import Draft
from screens.plain import Plain, content, one_line
from wizard.cluster.file import FieldInfo, field_info, show_text
from wizard.model import Suggestion

Found = Mapping[str, Sequence[Suggestion]]
YES_NO = ("yes", "no")
FOUND = "found: {value}"


class FieldRow(Vertical):
    """One key: its label, where it is typed, what was found, and what is wrong."""

    class Typed(Message):
        def __init__(self, row: FieldRow, text: str) -> None:
            super().__init__()
            self.row, self.text = row, text

    class Left(Message):
        """Enter was pressed in the field."""

        def __init__(self, row: FieldRow) -> None:
            super().__init__()
            self.row = row

    def __init__(self, key: str, text: str, found: Sequence[Suggestion]) -> None:
        super().__init__(classes="field")
        self.key, self.text, self.found = key, text, tuple(found)
        self.info = field_info(key)

    def compose(self) -> ComposeResult:
        with Horizontal(classes="line"):
            yield Plain(self.info.label + (" *" if self.info.required else ""), classes="label")
            yield self._control()
        yield Plain(classes="wrong")

    def show_found(self, found: Sequence[Suggestion]) -> None:
        """Looking takes time: what was found may come while the owner types already."""
        if tuple(found) == self.found:
            return
        self.found = tuple(found)
        if isinstance(self.control, Input):
            self.control.placeholder = self._placeholder()
        else:
            self.control.prompt = self._placeholder()
        self.query(".found").remove()
        self.enter(self.has_class("-in"))

    def enter(self, here: bool) -> None:
        """One is in this field, or no longer: then what was found is listed below it, or not."""
        self.set_class(here, "-in")
        if here and self.found and not self.query(".found"):
            options = OptionList(*map(_found_row, self.found), markup=False, compact=True, classes="found")
            self.mount(options, before=".wrong")

    def _control(self) -> Input | Select[str]:
        choices = YES_NO if self.info.kind == "bool" else self.info.choices
        if choices and self.info.kind in ("bool", "choice"):
            value: Any = self.text if self.text in choices else Select.NULL
            options = [(content(choice), choice) for choice in choices]
            return Select(options, prompt=self._placeholder(), value=value, compact=True, classes="control")
        return Input(self.text, placeholder=self._placeholder(), compact=True, classes="control")

    def _placeholder(self) -> str:
        return FOUND.format(value=found_text(self.found[0])) if self.found else placeholder(self.info)

    @property
    def control(self) -> Input | Select[str]:
        return self.query_one(".control")  # type: ignore[return-value]

    def judge(self, words: str) -> None:
        self.query_one(".wrong", Plain).show(words)
        self.set_class(bool(words), "-wrong")

    def fill(self, text: str) -> None:
        """As if the owner had typed it."""
        if isinstance(self.control, Input):
            self.control.value = text
        else:
            self.control.value = text

    @on(Input.Changed)
    @on(Select.Changed)
    def changed(self, event: Input.Changed | Select.Changed) -> None:
        event.stop()
        text = event.value if isinstance(event.value, str) else ""
        if text != self.text:
            self.text = text
            self.post_message(self.Typed(self, text))

    @on(Input.Submitted)
    def submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Left(self))

    @on(OptionList.OptionSelected)
    def chosen(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.fill(found_text(self.found[event.option_index]))
        self.control.focus()


class Form(Vertical):
    """The fields of one step. `draft` holds what is typed."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("f9", "take_found", "Found", key_display="F9", id="take-found")]

    class Changed(Message):
        """Something else is typed now."""

    def __init__(self, draft: Draft, found: Found) -> None:
        super().__init__(classes="form")
        self.draft, self.found = draft, found

    def compose(self) -> ComposeResult:
        for key in self.draft.keys:
            yield FieldRow(key, self.draft.text(key), found_for(self.found, key))
        yield Plain(id="hint")

    def show_found(self, found: Found) -> None:
        for row in self.query(FieldRow):
            row.show_found(found_for(found, row.key))

    def on_mount(self) -> None:
        self.judge()

    @on(FieldRow.Typed)
    def typed(self, event: FieldRow.Typed) -> None:
        event.stop()
        self.draft.type(event.row.key, event.text)
        self.judge()
        self.post_message(self.Changed())

    @on(FieldRow.Left)
    def left(self, event: FieldRow.Left) -> None:
        """Enter goes to the next field, and from the last one to the buttons."""
        event.stop()
        rows = list(self.query(FieldRow))
        after = rows[rows.index(event.row) + 1 :]
        if after:
            after[0].control.focus()
        else:
            self.screen.focus_next(Button)

    def judge(self, everything: bool = False) -> None:
        """Says what is wrong where something is typed, or everywhere."""
        for row in self.query(FieldRow):
            shown = everything or row.key in self.draft.typed or self.draft.text(row.key)
            findings = self.draft.findings(row.key) if shown else []
            row.judge("\n".join(f"{finding.message}. {finding.cure}".strip() for finding in findings))

    @on(DescendantFocus)
    @on(DescendantBlur)
    def moved(self) -> None:
        self.call_later(self.mark_row)

    def mark_row(self) -> None:
        """What was found is listed under the field one is in; its help stands below."""
        row = self._row()
        for other in self.query(FieldRow):
            other.enter(other is row)
        if row is not None:
            self.query_one("#hint", Plain).show(hint(row.info, bool(row.found)))

    def _row(self) -> FieldRow | None:
        focused = self.screen.focused
        found = (node for node in (focused.ancestors_with_self if focused else ()) if isinstance(node, FieldRow))
        return next(found, None)

    def action_take_found(self) -> None:
        """The best value that was found for the field one is in."""
        row = self._row()
        if row is not None and row.found:
            row.fill(found_text(row.found[0]))

    def take_all_found(self) -> int:
        """Fills what is empty with the best that was found; never what is typed."""
        rows = [row for row in self.query(FieldRow) if row.found and not row.text]
        for row in rows:
            row.fill(found_text(row.found[0]))
        return len(rows)

    def focus_first(self) -> bool:
        try:
            self.query(FieldRow).first().control.focus()
        except NoMatches:
            return False
        return True


def found_for(found: Found, key: str) -> Sequence[Suggestion]:
    """What was found for "guests[1].ssh" itself, else for "guests[].ssh"."""
    return found.get(key, found.get(field_info(key).key, ()))


def found_text(suggestion: Suggestion) -> str:
    return one_line(show_text(suggestion.value))


def _found_row(suggestion: Suggestion) -> Option:
    label = one_line(suggestion.label)
    source = f"({one_line(suggestion.source)})" if suggestion.source else ""
    return Option(content("  ".join(word for word in (found_text(suggestion), label, source) if word)))


def placeholder(info: FieldInfo) -> str:
    """What leaving it empty means, or an example."""
    if info.default not in (None, (), ""):
        return f"default: {show_text(info.default)}"
    if info.examples:
        return f"for example {info.examples[0]}"
    return "" if info.required else "left out"


def hint(info: FieldInfo, found: bool) -> str:
    taking = " F9 takes the first value that was found." if found else ""
    many = " Several are separated by commas." if info.kind == "list" else ""
    known = f" Known: {', '.join(info.choices)}." if many and info.choices else ""
    needed = " (*) Its section needs it." if info.required else ""
    return info.help + needed + many + known + taking
