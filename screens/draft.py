"""What is typed in a step's form and is not yet in cluster.yaml."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from wizard.cluster.file import ClusterFile, check_field, field_info, plain_value, show_text
from wizard.errors import InputFinding

ITEM = "[]"


def keys_of(fields: Iterable[str], data: Any, target: str) -> tuple[str, ...]:
    """The keys of a form; "list[].key" means the item that is named like the target, or else one more item."""
    return tuple(_placed(key, data, target) for key in fields)


def _placed(key: str, data: Any, target: str) -> str:
    if ITEM not in key:
        return key
    items = value_at(data, key.partition(ITEM)[0]) or []
    names = [item.get("name") if isinstance(item, dict) else None for item in items]
    return key.replace(ITEM, f"[{names.index(target) if target in names else len(names)}]", 1)


def value_at(data: Any, key: str) -> Any:
    """What stands at a key; None where nothing does."""
    for name in re.findall(r"[^.\[\]]+", key):
        if isinstance(data, dict):
            data = data.get(name)
        elif isinstance(data, list) and name.isdigit() and int(name) < len(data):
            data = data[int(name)]
        else:
            return None
    return data


@dataclass
class Draft:
    file: ClusterFile
    keys: tuple[str, ...]
    typed: dict[str, str] = field(default_factory=dict)
    """By key, where it differs from what is saved."""

    def __post_init__(self) -> None:
        self.rebase(self.file)

    def rebase(self, file: ClusterFile) -> None:
        """The file was saved or read again: what is typed and not saved stays typed."""
        data, typed = file.data(), self.typed
        self.file, self.typed = file, {}
        self.saved = {key: show_text(value_at(data, key)) for key in self.keys}
        for key, text in typed.items():
            self.type(key, text)

    def text(self, key: str) -> str:
        return self.typed.get(key, self.saved[key])

    def type(self, key: str, text: str) -> None:
        if _same(key, text, self.saved[key]):
            self.typed.pop(key, None)
        else:
            self.typed[key] = text

    def findings(self, key: str) -> list[InputFinding]:
        """What is wrong with a key. A form in which nothing is typed has nothing wrong: its section may be left out."""
        if not self.typed:
            return []
        others = {other: text for other, text in self.typed.items() if other != key}
        return check_field(key, self.text(key), self.file, others)

    @property
    def wrong(self) -> dict[str, list[InputFinding]]:
        found = {key: self.findings(key) for key in self.keys}
        return {key: findings for key, findings in found.items() if findings}

    def save(self) -> None:
        """Writes cluster.yaml, with its comments. Raises as `ClusterFile.save`, and then nothing has changed."""
        scratch = copy.deepcopy(self.file)
        for key, text in self.typed.items():
            scratch.set(key, plain_value(key, text))
        scratch.save()
        self.rebase(scratch)


def label_of(key: str) -> str:
    return field_info(key).label


def why_unsaved(draft: Draft) -> str:
    """ "2 fields are not right yet: Network card, Gateway", or nothing."""
    wrong = [label_of(key) for key in draft.wrong]
    if not wrong:
        return ""
    count = "1 field is" if len(wrong) == 1 else f"{len(wrong)} fields are"
    return f"{count} not right yet: {', '.join(wrong)}"


def _same(key: str, text: str, saved: str) -> bool:
    """ "a,b" is what is saved as "a, b"."""
    return bool(plain_value(key, text) == plain_value(key, saved))
