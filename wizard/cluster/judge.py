"""Everything that is wrong with the data of a cluster.yaml, at once, in words; it knows no file and no line."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from wizard.cluster import Cluster
from wizard.cluster.fields import TYPED, Field, fields, partial, pattern
from wizard.cluster.mistakes import Contradictions, NotText, Wrong, printable, shown
from wizard.cluster.rules import contradictions
from wizard.cluster.yamltext import OddNumber

Path = tuple[str | int, ...]
"""Where in the data: ("guests", 1, "name")."""


@dataclass(frozen=True)
class Fault:
    """What is wrong at a place, and what would be right. `keys` are all that a contradiction involves."""

    path: Path
    message: str
    cure: str
    keys: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return dotted(self.path)


def judge(data: object) -> Cluster | list[Fault]:
    """The cluster, or why there is none: wrong values first, then contradictions among what is right."""
    try:
        return Cluster.model_validate(data)
    except ValidationError as error:
        faults = [fault for each in error.errors() if (fault := of_error(each)) is not None]
    return faults + [
        Fault(path_of(found.key), found.message, found.cure, found.keys) for found in contradictions(partial(data))
    ]


def of_error(error: Any) -> Fault | None:
    """One error of pydantic in words; None for the contradictions, which `judge` finds by itself."""
    path: Path = tuple(error["loc"])
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, Contradictions):
        return None
    return Fault(path, *words(error["type"], path, error["input"], error.get("ctx", {}), cause))


def words(kind: str, path: Path, value: object, ctx: Mapping[str, Any], cause: object) -> tuple[str, str]:
    """(message, cure) for an error of this kind (pydantic's names of kinds)."""
    field = fields().get(pattern(dotted(path)))
    match kind:
        case "extra_forbidden":
            return unknown_key(path)
        case "missing" if field is not None:
            return "is missing", f"Add {example(field)}."
        case "value_error" if isinstance(cause, NotText):
            return not_text(value)
        case "value_error" if isinstance(cause, Wrong):
            return cause.message, cause.cure
        case "literal_error" if field is not None:
            return not_a_choice(value, field.info.choices)
        case "bool_type":
            return not_a_truth(value)
        case "greater_than_equal" | "less_than_equal":
            bound = f"at least {ctx['ge']}" if "ge" in ctx else f"at most {ctx['le']}"
            return f"{shown(value)} is out of range", f"Use {bound}."
        case _ if kind.startswith("int"):
            return not_a_number(value)
        case "tuple_type":
            return f"a list is expected, not {described(value)}", "Write it as a list: [A, B], or [] for none."
        case "model_type" | "model_attributes_type":
            return (
                f"keys are expected below it, not {described(value)}",
                f"Write them indented, such as {below(field)}, or in braces: {{KEY: VALUE}}.",
            )
    return f"{described(value)} is not what belongs here", f"Write it like {example(field)}." if field else ""


def unknown_key(path: Path) -> tuple[str, str]:
    name, parent = str(path[-1]), dotted(path[:-1])
    known = order(path[:-1])
    near = difflib.get_close_matches(name.lower(), known, 1, 0.6)
    if near:
        return f"unknown key {shown(name)}", f"Did you mean `{near[0]}`?"
    elsewhere = [key for key in fields() if key.rpartition(".")[2] == name]
    if elsewhere:
        return f"unknown key {shown(name)} here; it belongs at `{elsewhere[0]}`", "Move it there, or remove the line."
    return f"unknown key {shown(name)}", f"{'Known here' if parent else 'Known'}: {', '.join(known)}."


def order(path: Path) -> list[str]:
    """The known keys of a section, in the documented order."""
    return [key.rpartition(".")[2] for key in fields() if parent_of(key) == shape_of(path)]


def parent_of(key: str) -> str:
    return key.rpartition(".")[0]


def shape_of(path: Path) -> str:
    return "".join("[]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def not_text(value: object) -> tuple[str, str]:
    if isinstance(value, bool):
        raw = str(value).lower()
        return f"{shown(raw)} means true or false in YAML, not text", f'Write it in quotes if it is meant: "{raw}".'
    if isinstance(value, int | float | OddNumber):
        return f"{shown(value)} is a number in YAML, not text", f'Write it in quotes: "{value}".'
    return f"one value is expected, not {described(value)}", "Write a single value."


def not_a_truth(value: object) -> tuple[str, str]:
    meant = TYPED.get(str(value).lower()) if isinstance(value, str) else None
    if meant is None:
        return f"true or false is expected, not {described(value)}", "Write `true` or `false`."
    right = str(meant).lower()
    why = "in quotes is text" if str(value).lower() == right else "is text in YAML 1.2"
    return f"{shown(value)} {why}, not true or false", f"Write `{right}` without quotes."


def not_a_number(value: object) -> tuple[str, str]:
    meant = value.meaning if isinstance(value, OddNumber) else None
    if meant is not None:
        return f"{shown(value)} is a whole number in a notation that misleads", f"Write {meant} if that is meant."
    if isinstance(value, str) and value.isdecimal():
        return f"{shown(value)} in quotes is text, not a whole number", "Write it without quotes."
    digits = "".join(letter for letter in str(value) if letter.isascii() and letter.isdigit())
    cure = f"Write {int(digits)}, without quotes." if isinstance(value, str) and 0 < len(digits) < 10 else ""
    return f"a whole number is expected, not {described(value)}", cure or "Write digits only, without quotes."


def not_a_choice(value: object, choices: tuple[str, ...]) -> tuple[str, str]:
    near = difflib.get_close_matches(str(value).lower(), choices, 1, 0.6)
    hint = f"Did you mean `{near[0]}`? " if near else ""
    return f"{described(value)} is not known here", f"{hint}Use one of: {', '.join(choices)}."


def described(value: object) -> str:
    if isinstance(value, dict):
        return "keys of its own"
    if isinstance(value, list | tuple):
        return "a list"
    return shown(str(value).lower() if isinstance(value, bool) else value)


def example(field: Field) -> str:
    """ "`port:`, such as `port: enp4s0`"."""
    name = field.info.key.rpartition(".")[2]
    if field.section:
        return f"`{name}:` with {below(field)} indented under it"
    first = field.info.examples or field.info.choices
    return f"`{name}: {first[0]}`" if first else f"`{name}:`"


def below(field: Field | None) -> str:
    """The first key of a section with an example."""
    inside = [each for key, each in fields().items() if field and parent_of(key).removesuffix("[]") == field.info.key]
    return next((example(each) for each in inside if each.info.required), "`name: aki`")


def dotted(path: Path) -> str:
    """("guests", 1, "name") → "guests[1].name"; what hides or moves text in a key is escaped."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{printable(step)}" for step in path)
    return "".join(steps).removeprefix(".")


def path_of(key: str) -> Path:
    """The inverse of `dotted`, for known keys."""
    steps = key.replace("]", "").replace("[", ".").split(".")
    return tuple(int(step) if step.isdigit() else step for step in steps)
