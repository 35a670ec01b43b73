"""One value of a TOML text set, everything else left as it is: comments, order, indentation.

Tables are found by their header, keys by their line; what is written otherwise (dotted keys, inline tables) is not
touched: then `CannotEdit` says so. Whatever is done is read again, and must mean what was wanted and nothing else.
"""

from __future__ import annotations

import copy
import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any

Path = tuple[str, ...]
Value = str | bool | int | list[str]


class CannotEdit(Exception):
    """The text is written in a way that is not edited here; its words say where."""


def get(text: str, table: Path, key: str) -> Any:
    """The value as the text has it; None where it has none. Raises `tomllib.TOMLDecodeError`."""
    found: Any = tomllib.loads(text)
    for word in (*table, key):
        if not isinstance(found, dict) or word not in found:
            return None
        found = found[word]
    return found


def put(text: str, table: Path, key: str, value: Value) -> str:
    """The text with this value there. Raises `CannotEdit`."""
    try:
        before = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CannotEdit(f"it is no valid TOML: {error}") from None
    if get(text, table, key) == value:
        return text
    changed = _put(text.splitlines(), table, key, value)
    edited = "\n".join(changed) + "\n"
    try:
        ends_well = tomllib.loads(edited) == _meant(before, table, key, value)
    except tomllib.TOMLDecodeError:
        ends_well = False
    if not ends_well:
        raise CannotEdit(f"it has {'.'.join((*table, key))} in a form of its own")
    return edited


def _meant(before: Mapping[str, Any], table: Path, key: str, value: Value) -> Mapping[str, Any]:
    after = copy.deepcopy(dict(before))
    place: Any = after
    for word in table:
        place = place.setdefault(word, {}) if isinstance(place, dict) else {}
    if isinstance(place, dict):
        place[key] = value
    return after


def _put(lines: list[str], table: Path, key: str, value: Value) -> list[str]:
    begins, ends = _extent(lines, table)
    if begins is None:
        return [*lines, *([""] if lines and lines[-1].strip() else []), _header(table), f"  {key} = {written(value)}"]
    for at in range(begins, ends):
        if found := re.match(rf"(\s*)({re.escape(key)}|\"{re.escape(key)}\"|'{re.escape(key)}')\s*=", lines[at]):
            return [*lines[:at], f"{found[1]}{key} = {written(value)}", *lines[_value_ends(lines, at) :]]
    indent = "" if not table else _indent(lines[begins - 1]) + "  "
    return [*lines[:begins], f"{indent}{key} = {written(value)}", *lines[begins:]]


def _extent(lines: list[str], table: Path) -> tuple[int | None, int]:
    """From the line after a table's header to the next header; of the text's beginning for no table."""
    headers = [(at, _named(line)) for at, line in enumerate(lines) if line.lstrip().startswith("[")]
    tables = [(at, name) for at, name in headers if name is not None]
    starts = 0 if not table else next((at + 1 for at, name in tables if name == table), None)
    if starts is None:
        return None, 0
    return starts, next((at for at, _ in tables if at >= starts), len(lines))


def _named(line: str) -> Path | None:
    """The table whose header this line is; None for any other line. `("[]",)` for one of many of a name."""
    if line.lstrip().startswith("[["):
        return ("[]",)
    try:
        found: Any = tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return None
    path: list[str] = []
    while found:
        [(word, found)] = found.items()
        path.append(word)
    return tuple(path)


def _value_ends(lines: list[str], at: int) -> int:
    """The line after the value that begins there: a list may go over several."""
    for ends in range(at + 1, len(lines) + 1):
        try:
            tomllib.loads("\n".join(lines[at:ends]))
        except tomllib.TOMLDecodeError:
            continue
        return ends
    return at + 1


def _header(table: Path) -> str:
    return f"[{'.'.join(word if re.fullmatch(r'[A-Za-z0-9_-]+', word) else json.dumps(word) for word in table)}]"


def written(value: Value) -> str:
    """As TOML; JSON's strings, numbers and lists of them are TOML's."""
    return json.dumps(value)


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]
