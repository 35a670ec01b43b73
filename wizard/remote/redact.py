"""Known secrets masked in text, wherever it goes: the screen, logs, the journal, reports."""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

from wizard.model import Secret

MASK = "***"
_SHORTEST = 4
"""Shorter values would be found everywhere; masking them would say where they are."""


class Redactor:
    """Masks the values of secrets, also base64-, URL-, JSON-, XML-, hex- or shell-quoted, also split between chunks."""

    def __init__(self, secrets: Iterable[Secret]) -> None:
        values = {secret.reveal() for secret in secrets}
        forms = {form for value in values for form in _forms(value) if len(form) >= _SHORTEST}
        # Longest first: where one form begins another, all of it must go.
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if forms else None
        self._beginnings = {form[:size] for form in forms for size in range(1, len(form))}
        self._longest = max(map(len, forms), default=0)
        self._held = ""

    def redact(self, text: str) -> str:
        """All of a text."""
        return self._pattern.sub(MASK, text) if self._pattern else text

    def feed(self, text: str) -> str:
        """The next piece of a stream; an end in which a secret may begin is held back until the next piece."""
        if self._pattern is None:
            return text
        text = self._held + text
        safe = self._safe(text)
        shown, at = [], 0
        for match in self._pattern.finditer(text):
            if match.start() >= safe:
                break
            shown += [text[at : match.start()], MASK]
            at = match.end()
        end = max(at, safe)
        self._held = text[end:]
        return "".join([*shown, text[at:end]])

    def end(self) -> str:
        """What was held back."""
        held, self._held = self._held, ""
        return self.redact(held)

    def _safe(self, text: str) -> int:
        """Where the longest end of `text` starts that begins a secret."""
        for size in range(min(self._longest - 1, len(text)), 0, -1):
            if text[-size:] in self._beginnings:
                return len(text) - size
        return len(text)


def _forms(value: str) -> Iterator[str]:
    """How a value may be written. A text of several lines (a key) also line by line."""
    lines = [line for line in value.splitlines() if len(line) >= 8] if "\n" in value else []
    for text in (value, *lines):
        yield from (text, quote(text), quote(text, safe=""), quote_plus(text), html.escape(text))
        yield from (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1])
        yield from (shlex.quote(text).strip("'"), text.replace("'", "'\\''"))
        yield from (text.encode().hex(), text.encode().hex().upper())
        yield from _base64(text.encode())


def _base64(value: bytes) -> Iterator[str]:
    """The value in base64 of any longer text that contains it: it may begin at three places in a group of four."""
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + value)
        # Characters that also hold bits of what stands before or behind the value are left out.
        first = (before * 8 + 5) // 6
        last = (before + len(value)) * 8 // 6
        for alphabet in (encoded, encoded.replace(b"+", b"-").replace(b"/", b"_")):
            yield alphabet[first:last].decode()
