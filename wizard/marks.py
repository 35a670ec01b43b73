"""A mark for a value that only a host knows, where none was looked at: READ-FROM-THE-HOST{the command that tells it}.

The runbook prints it as it is; an exported script puts the value in its place before it does anything else. So both
go through the quoting of sh unchanged: the command has no single quotes, braces or backslashes, the value only plain
characters (templates/runbook/fill.sh).
"""

from __future__ import annotations

import re
from html import unescape

WORD = "READ-FROM-THE-HOST"
_COMMAND = r"[^'{}\\\n\t]+"
_MARK = re.compile(rf"{WORD}\{{({_COMMAND})\}}")


def read_there(command: str) -> str:
    """The mark for what `command` prints on the host where the script runs: one line of plain words."""
    if not re.fullmatch(_COMMAND, command):
        raise ValueError(f"a command in a mark is one line without ' {{ }} or \\: {command!r}")
    return f"{WORD}{{{command}}}"


def marks_in(text: str) -> tuple[tuple[str, str], ...]:
    """(what stands between the braces, its command) of all marks, each once. In XML a quote is an entity there."""
    return tuple(dict.fromkeys((written, unescape(written)) for written in _MARK.findall(text)))


def commands_in(text: str) -> tuple[str, ...]:
    """The commands of all marks in it, each once."""
    return tuple(dict.fromkeys(command for _, command in marks_in(text)))
