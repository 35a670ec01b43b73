"""Values as YAML 1.2 text: what is written reads back the same, also for readers of older YAML."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

PLAIN = re.compile(
    r"[A-Za-z/][A-Za-z0-9_./@+-]*(:[A-Za-z0-9_./@+-]+)*"  # words, paths, URLs
    r"|[0-9]+(\.[0-9]+){3}(/[0-9]+)?"  # IPv4
    r"|[0-9]+(MiB|GiB|TiB)"
)
WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
"""What some YAML reads as something other than text."""


def plain(value: object) -> Any:
    """A value as the file holds it: str, bool, int, and lists and dicts of them; of a model what was written of it."""
    if isinstance(value, BaseModel):
        value = value.model_dump(by_alias=True, exclude_unset=True)
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value if type(value) in (bool, int, str) else str(value)


def flow(value: Any) -> str:
    """Plain data on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list):
        return f"[{', '.join(flow(each) for each in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{flow(key)}: {flow(each)}' for key, each in value.items())}}}"
    return scalar(str(value))


def scalar(text: str) -> str:
    """Text, in double quotes (JSON's are YAML's) where plain it could be read as anything else."""
    if PLAIN.fullmatch(text) and text.lower() not in WORDS:
        return text
    return re.sub(
        r"[\ud800-\udfff\x7f-\x9f\ufeff\ufffe\uffff\u2028\u2029]", escape, json.dumps(text, ensure_ascii=False)
    )


def escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def block(value: Any) -> list[str]:
    """Plain data as lines: what has keys stands below its key, all else beside it."""
    if isinstance(value, dict) and value:
        return [line for key, each in value.items() for line in beside(f"{flow(key)}:", each)]
    if isinstance(value, list) and any(isinstance(each, dict) for each in value):
        return [line for each in value for line in after_dash(block(each))]
    return [flow(value)]


def beside(key: str, value: Any) -> list[str]:
    """`key: value` on one line, or the key and below it what is inside."""
    lines = block(value)
    return [key, *(f"  {line}" for line in lines)] if stands_below(value) else [f"{key} {lines[0]}"]


def stands_below(value: Any) -> bool:
    """Whether a value is written below its key."""
    return (isinstance(value, dict) and bool(value)) or (
        isinstance(value, list) and any(isinstance(each, dict) for each in value)
    )


def after_dash(lines: list[str]) -> list[str]:
    return [f"- {lines[0]}", *(f"  {line}" for line in lines[1:])]
