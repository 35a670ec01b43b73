"""Secrets masked in text."""

from __future__ import annotations

import base64
import json
import shlex
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wizard.model import Secret
from wizard.remote.redact import MASK, Redactor

CANARY = "C4n4ry-'pä ss\"&/+"


@pytest.mark.parametrize(
    "text",
    [
        CANARY,
        base64.b64encode(CANARY.encode()).decode(),
        quote(CANARY),
        quote(CANARY, safe=""),
        json.dumps({"password": CANARY}),
        json.dumps([CANARY], ensure_ascii=False),
        f"echo {shlex.quote(CANARY)}",
        CANARY.encode().hex(),
    ],
)
def test_written_in_any_way(text: str) -> None:
    shown = Redactor([Secret(CANARY)]).redact(f"before {text} after")
    assert MASK in shown
    assert shown.startswith("before ")
    assert shown.endswith(" after")
    assert "C4n4ry" not in shown


@given(before=st.binary(max_size=20), after=st.binary(max_size=20))
def test_inside_base64_of_more(before: bytes, after: bytes) -> None:
    encoded = base64.b64encode(before + b"C4n4ry-secret" + after).decode()
    shown = Redactor([Secret("C4n4ry-secret")]).redact(encoded)
    # 13 bytes are 17 characters and a bit; the first and the last may hold bits of their neighbours.
    assert len(encoded) - len(shown.replace(MASK, "")) >= 16


SECRETS = ["abab", "ababcd", "bcda", "a\nlonger line\nof text"]


@given(st.lists(st.text("abcd\n", max_size=5) | st.sampled_from(SECRETS)))
def test_chunks_do_not_matter(chunks: list[str]) -> None:
    redactor = Redactor(map(Secret, SECRETS))
    streamed = "".join([*map(redactor.feed, chunks), redactor.end()])
    assert streamed == Redactor(map(Secret, SECRETS)).redact("".join(chunks))


def test_a_key_of_many_lines() -> None:
    key = "-----BEGIN KEY-----\nb3BlbnNzaC1rZXk\nAAAAB3NzaC1yc2E\n-----END KEY-----\n"
    assert "AAAAB3" not in Redactor([Secret(key)]).redact("    AAAAB3NzaC1yc2E\n")


def test_too_short_to_mask() -> None:
    assert Redactor([Secret("abc"), Secret("")]).redact("abcdef") == "abcdef"
