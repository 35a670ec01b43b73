"""Text from elsewhere is shown as it is, and can do nothing."""

from __future__ import annotations

import pytest
from textual.content import Content

from screens.plain import LONGEST, content, one_line, plain
from tests.screens.scripted import HOSTILE


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[ OK ] Started [/etc/hosts]", "[ OK ] Started [/etc/hosts]"),
        ("\x1b[31;1mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text\x1b]8;;http://x\x1b\\link", "textlink"),
        ("\x1bPdevice control\x1b\\text", "text"),
        ("\x9b2Jtext\x9d0;t\x9c.", "text."),
        ("10%\r50%\r100%\r\n", "100%\n"),
        ("a\0b\x08c\x7fd", "abcd"),
        ("left\u202eright\u2066", "leftright"),
        ("a\tb", "a       b"),
        ("日本語", "日本語"),
        ("\x1b", ""),
        ("\x1b[", ""),
        ("\x1b]never ended", ""),
        (None, "None"),
    ],
)
def test_what_is_shown(text, shown):
    assert plain(text) == shown


def test_a_line_has_an_end():
    shown = plain("x" * 10_000 + "\nshort")
    assert len(shown) < LONGEST + 50
    assert "8000 more characters" in shown
    assert shown.endswith("\nshort")


def test_one_line():
    assert one_line(" a\n b\tc ") == "a b c"


def test_content_is_never_markup():
    assert content("[red]x[/red]").plain == "[red]x[/red]"
    assert isinstance(content(HOSTILE), Content)
    assert "\x1b" not in content(HOSTILE, "bold").plain
