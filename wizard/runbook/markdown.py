"""Text from anywhere as Markdown that it cannot break: no fence, HTML, heading or control character gets out."""

from __future__ import annotations

import base64
import re
import textwrap
from collections.abc import Callable

_SPAN = re.compile(r"`([^`\n]+)`")
_SPECIAL = re.compile(r"[\\`*\[]|(?<![^\W_])_|_(?![^\W_])|<(?=[A-Za-z/!?])|&(?=[#A-Za-z])|~(?=~)|(?<=~)~")
_OPENS = re.compile(r"^(?:([#=>]|[+-](?=[\s-]|$))|(\d{1,9})([.)])(?=\s|$))")
"""What would make a heading, a list or a quotation of a line that begins with it (CommonMark 0.31)."""
_SPACES = "\u00a0\u3000"
"""Not printable by `str.isprintable`, and still harmless."""


def harmless(character: str) -> bool:
    """Whether it may stand in a document that is read in a terminal: it moves, hides and reorders nothing."""
    return character.isprintable() or character in _SPACES


def visible(text: str) -> str:
    """The text with every other character shown as a sign of its own: ESC as ␛, U+202E as ⟨U+202E⟩."""
    return "".join(each if harmless(each) or each in "\n\t" else _sign(each) for each in text)


def _sign(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else f"⟨U+{code:04X}⟩"


def printable(text: str) -> bool:
    """Whether it can stand as it is, in lines."""
    return text.endswith("\n") and all(harmless(each) or each in "\n\t" for each in text)


def in_base64(text: str) -> str:
    """In lines of 76 characters."""
    encoded = base64.b64encode(text.encode("utf-8", "surrogateescape")).decode()
    return "".join(f"{line}\n" for line in textwrap.wrap(encoded, 76))


class Writer:
    """Each method takes any text, masks the secrets in it, and gives Markdown."""

    def __init__(self, mask: Callable[[str], str]) -> None:
        self._mask = mask

    def prose(self, text: str) -> str:
        """One line of running text; `what stands in backticks` stays code."""
        line = re.sub(r"\s*\n\s*", " ", visible(self._mask(text)).strip())
        pieces = _SPAN.split(line)
        shown = "".join(_code(each) if index % 2 else _escaped(each) for index, each in enumerate(pieces))
        return _OPENS.sub(lambda found: f"\\{found[1]}" if found[1] else f"{found[2]}\\{found[3]}", shown)

    def code(self, text: str) -> str:
        """Inline code, on one line."""
        return _code(visible(self._mask(text)).replace("\n", "\u240a").replace("\t", " "))

    def fence(self, text: str, language: str = "") -> str:
        """A code block; characters that cannot be printed are shown as signs."""
        return _fenced(visible(self._mask(text)), language)

    def exact(self, text: str, language: str = "") -> str:
        """A code block with exactly this text; in base64, where it could not be printed as it is."""
        masked = self._mask(text)
        if printable(masked):
            return _fenced(masked, language)
        return "It holds characters that cannot be printed, so it stands here in base64:\n\n" + _fenced(
            in_base64(masked), ""
        )

    def masks(self, text: str) -> bool:
        """Whether something in it would be masked."""
        return self._mask(text) != text


def _escaped(text: str) -> str:
    return _SPECIAL.sub(lambda found: f"\\{found[0]}", text)


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)


def _code(text: str) -> str:
    ticks = "`" * (_longest_run(text) + 1)
    pad = " " if not text.strip(" ") or text[:1] in "` " or text[-1:] in "` " else ""
    return f"{ticks}{pad}{text or ' '}{pad}{ticks}"


def _fenced(text: str, language: str) -> str:
    ticks = "`" * max(3, _longest_run(text) + 1)
    return f"{ticks}{language}\n{text}{'' if text.endswith(chr(10)) or not text else chr(10)}{ticks}"
