"""How a mistake in cluster.yaml is put into words, before anyone knows the file and the line it stands in."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

SHOWN = 60
"""Characters of a value that a message repeats; the rest is cut."""

NAMED = {
    "\n": "a line break",
    "\r": "a line break",
    "\t": "a tab",
    "\0": "a NUL character",
    "'": "a quote",
    '"': "a quote",
    "`": "a backtick",
    "$": "a `$`",
    ";": "a `;`",
    "\\": "a backslash",
    " ": "a space",
}


class Wrong(ValueError):
    """One value that cannot be right: what is wrong (no full stop), and a sentence that says what would be."""

    def __init__(self, message: str, cure: str = "") -> None:
        super().__init__(message)
        self.message, self.cure = message, cure


class NotText(Wrong):
    """Text was expected, and the file has something else."""


@dataclass(frozen=True)
class Contradiction:
    """Two or more values that cannot hold together. `keys` are all the keys involved, the one to change first."""

    keys: tuple[str, ...]
    message: str
    cure: str

    @property
    def key(self) -> str:
        return self.keys[0]


class Contradictions(ValueError):
    """What a `Cluster` built from contradicting values is refused with."""

    def __init__(self, found: Sequence[Contradiction]) -> None:
        super().__init__("; ".join(f"{one.key}: {one.message}" for one in found))
        self.found = tuple(found)


def shown(value: object) -> str:
    """A value as a message may repeat it: in backticks, short, with nothing that moves or hides text on a terminal."""
    text = str(value)
    cut = text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
    return "`" + printable(cut).replace("`", escaped("`")) + "`"


def printable(text: str) -> str:
    """Text with what hides, moves or breaks it escaped, cut to what a key may need."""
    return "".join(letter if letter.isprintable() else escaped(letter) for letter in text[:SHOWN])


def escaped(letter: str) -> str:
    point = ord(letter)
    return f"\\x{point:02x}" if point < 0x100 else f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"


def named(letter: str) -> str:
    """One character in words: "a line break", "U+202E RIGHT-TO-LEFT OVERRIDE", "`ü`"."""
    if letter in NAMED:
        return NAMED[letter]
    if letter.isprintable():
        return f"`{letter}`"
    return f"U+{ord(letter):04X} {unicodedata.name(letter, 'a control character')}"
