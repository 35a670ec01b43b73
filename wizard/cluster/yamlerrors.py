"""What ruamel.yaml says of text that is no YAML, in the owner's words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ruamel.yaml.error import YAMLError
from ruamel.yaml.reader import ReaderError

from wizard.cluster.mistakes import named, printable


@dataclass(frozen=True)
class Mistake:
    """What is wrong at a line; `key` is dotted, empty where it is about the text as a whole."""

    line: int
    key: str
    message: str
    cure: str


SYNTAX = (
    (r"character '\\t'", "a tab stands where only spaces may", "Indent with spaces."),
    (
        r"cannot start any token|scanning an? (anchor|alias|block scalar|directive|tag)|parsing an? tag",
        "a character that means something else in YAML stands here",
        "Put the value in quotes.",
    ),
    (
        r"sequence entries are not allowed",
        "a `-` stands where no item of a list can",
        "Begin the list on its own line.",
    ),
    (r"mapping keys are not allowed", "a `?` stands where no key can", "Put the value in quotes."),
    (
        r"mapping values are not",
        "a `:` stands where no key can be",
        "Check the indentation, or put the value in quotes.",
    ),
    (r"could not find expected ':'", "a key without `:`", "Write it as `key: value`."),
    (r"escape", "a backslash that means nothing stands in double quotes", "Double it, or use single quotes."),
    (r"while scanning a quoted", "a quote is not closed", "Close it, or double a quote that is part of the text."),
    (r"while parsing a flow", "a `[` or `{` is not closed, or a comma is missing", "Close it with `]` or `}`."),
    (r"expected the node content", "a value is missing, or a bracket is one too many", "Correct the line."),
    (r"expected <block end>", "the indentation does not fit the lines above", "Indent all keys of a section alike."),
    (r"<document start>", "a line that begins with `%` stands before this one", "Remove it."),
)
"""What ruamel says, in the owner's words: (pattern of problem or context, message, cure)."""


def syntax_mistake(error: YAMLError, text: str) -> Mistake:
    if isinstance(error, ReaderError):
        at = text.find(character) if isinstance(character := error.character, str) else text.find(chr(character))
        line = text.count("\n", 0, max(at, 0)) + 1
        return Mistake(line, "", f"contains {named(text[at])}, which YAML does not allow", "Remove it.")
    said = f"{getattr(error, 'context', None) or ''} {getattr(error, 'problem', '')}"
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    for pattern, message, cure in SYNTAX:
        if re.search(pattern, said):
            begins = "not closed" in message and getattr(error, "context_mark", None)
            return placed(begins or mark, message, cure)
    return placed(mark, f"cannot be read as YAML: {printable(said.strip())}", "Correct the line.")


def placed(mark: Any, message: str, cure: str) -> Mistake:
    if mark is None:
        return Mistake(0, "", message, cure)
    return Mistake(mark.line + 1, "", f"column {mark.column + 1}: {message}", cure)
