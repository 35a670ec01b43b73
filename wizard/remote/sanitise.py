"""Bytes from a host as text that is safe to show: whole lines, without control sequences, of bounded length."""

from __future__ import annotations

import codecs
import re

LONGEST_LINE = 4096
CUT = " […]"
"""Stands for what a line has beyond `LONGEST_LINE` characters."""

# ECMA-48: CSI sequences; OSC, DCS, SOS, PM and APC strings up to BEL or ST; escapes of one or two characters. A string
# that the line's end cuts off is dropped to the end, as its terminator may never come.
_ESCAPES = re.compile(
    "\x1b\\[[0-?]*[ -/]*[@-~]?"
    "|\x9b[0-?]*[ -/]*[@-~]?"
    "|(?:\x1b[]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x9c|\x1b\\\\)?"
    "|\x1b[ -/]*[0-~]?"
)
_OVERSTRIKE = re.compile("[^\b]\b")
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"
    # Marks that reorder or hide text, and the separators that some terminals take for a new line.
    "\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff\ufff9-\ufffb]"
)


class Sanitiser:
    """Feed bytes as they come; get text of whole lines, each ending in a newline. Memory is bounded by one line."""

    def __init__(self, longest: int = LONGEST_LINE) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._longest = longest
        self._room = 4 * longest
        """Raw characters kept of a line: escape sequences take room and do not show."""
        self._line = ""
        """The unfinished line since its last carriage return."""
        self._overwritten = ""
        """What a carriage return left on the screen, as long as nothing is printed over it."""
        self._overflow = False

    def feed(self, data: bytes) -> str:
        """The lines that `data` completes."""
        *complete, rest = self._decoder.decode(data).split("\n")
        shown = []
        for line in complete:
            self._add(line)
            shown.append(self._finish() + "\n")
        self._add(rest)
        return "".join(shown)

    def end(self) -> str:
        """What is left of an unfinished last line, with a newline; empty when nothing is."""
        self._add(self._decoder.decode(b"", final=True))
        return self._finish() + "\n" if self._line or self._overwritten else ""

    @property
    def pending(self) -> str:
        """The unfinished line as it would show now (a prompt, a progress bar)."""
        return _shown(self._line or self._overwritten)[: self._longest]

    def _add(self, text: str) -> None:
        first, *others = text.split("\r")
        self._print(first)
        for segment in others:
            self._overwritten, self._line = self._line or self._overwritten, ""
            self._print(segment)

    def _print(self, text: str) -> None:
        if text:
            self._overflow = len(self._line) + len(text) > self._room
            self._line += text[: self._room - len(self._line)]

    def _finish(self) -> str:
        line, cut = _shown(self._line or self._overwritten), self._overflow
        self._line, self._overwritten, self._overflow = "", "", False
        return line[: self._longest] + CUT if cut or len(line) > self._longest else line


def _shown(line: str) -> str:
    return _CONTROLS.sub("", _OVERSTRIKE.sub("", _ESCAPES.sub("", line)))


def sanitised(data: bytes, longest: int = LONGEST_LINE) -> str:
    """All of `data` at once."""
    sanitiser = Sanitiser(longest)
    return sanitiser.feed(data) + sanitiser.end()
