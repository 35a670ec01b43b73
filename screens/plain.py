"""Text from elsewhere, made safe to show: no markup, no escape sequences, no control characters, no endless lines."""

from __future__ import annotations

import re
from typing import Any

from textual.content import Content
from textual.widgets import Static

from wizard.errors import WizardError

LONGEST = 2000
"""Characters of one line that are shown."""

_ESCAPE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"  # CSI
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"  # OSC, DCS, SOS, PM, APC
    r"|\x1b[ -/]*[0-~]?"
)
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")


def plain(text: object) -> str:
    """`text` as a terminal may show it; of a line that was overwritten with `\\r`, what stood there last."""
    return "\n".join(_line(line) for line in _ESCAPE.sub("", str(text)).split("\n"))


def _line(line: str) -> str:
    shown = _UNSEEN.sub("", line.rstrip("\r").rsplit("\r", 1)[-1]).expandtabs(8)
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]} … ({len(shown) - LONGEST} more characters)"


def one_line(text: object) -> str:
    return " ".join(plain(text).split())


def content(text: object, style: str = "") -> Content:
    return Content.styled(plain(text), style) if style else Content(plain(text))


def trouble(error: WizardError) -> str:
    """An error as it says itself, each of its texts made safe before they are put together."""
    parts = {name: plain(getattr(error, name)) for name in ("where", "why", "cure")}
    return str(WizardError(plain(error.what), **parts))


class Plain(Static):
    """A `Static` that takes any text and shows it as it is."""

    def __init__(self, text: str | Content = "", **options: Any) -> None:
        super().__init__(_shown(text), markup=False, **options)

    def show(self, text: str | Content) -> None:
        """Drawn only when it is another text: layout is what costs."""
        shown = _shown(text)
        was = self.content
        if not (isinstance(was, Content) and was.is_same(shown)):
            self.update(shown)


def _shown(text: str | Content) -> Content:
    return text if isinstance(text, Content) else content(text)
