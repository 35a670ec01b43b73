"""What a host prints, as it may be shown."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wizard.remote.sanitise import CUT, LONGEST_LINE, Sanitiser, sanitised


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        (b"plain\n", "plain\n"),
        (b"no newline", "no newline\n"),
        (b"", ""),
        (b"\n\n", "\n\n"),
        (b"\x1b[31mred\x1b[0m\n", "red\n"),
        (b"\x1b[38;5;196mred\x1b[K\n", "red\n"),
        (b"\x1b]0;title\x07text\n", "text\n"),
        (b"\x1b]52;c;Y29weQ==\x1b\\text\n", "text\n"),
        (b"\x1bPq#0;2;0~\x1b\\text\n", "text\n"),
        (b"\x1b]8;;https://evil\x1b\\link\x1b]8;;\x1b\\\n", "link\n"),
        (b"\x1b(Bascii\x1b=\n", "ascii\n"),
        (b"\xc2\x9b31mC1\n", "C1\n"),
        (b"bell\x07 nul\0 del\x7f\n", "bell nul del\n"),
        (b"tab\tkept\n", "tab\tkept\n"),
        (b"dos\r\n", "dos\n"),
        (b"  5%\r 50%\r100%\n", "100%\n"),
        (b"100%\r\r\n", "100%\n"),
        (b"man p\bpa\bag\bge\be\n", "man page\n"),
        (b"[red]markup[/red]\n", "[red]markup[/red]\n"),
        ("日本語\n".encode(), "日本語\n"),
        (b"latin \xe9 \xff\n", "latin \ufffd \ufffd\n"),
        ("a\u202eb\u2028c\n".encode(), "abc\n"),
        (b"\x1b]0;never ends\n", "\n"),
    ],
)
def test_what_shows(printed: bytes, shown: str) -> None:
    assert sanitised(printed) == shown


@given(
    st.lists(st.binary(max_size=8) | st.sampled_from([b"\r", b"\n", b"\x1b[", b"1m", b"\xe6\x97", b"\xa5", b"\x1b]"]))
)
def test_chunks_do_not_matter(chunks: list[bytes]) -> None:
    sanitiser = Sanitiser()
    assert "".join([*map(sanitiser.feed, chunks), sanitiser.end()]) == sanitised(b"".join(chunks))


@given(st.binary())
def test_nothing_but_text(printed: bytes) -> None:
    shown = sanitised(printed)
    assert all(character.isprintable() or character in "\n\t\xa0" or ord(character) > 0x9F for character in shown)
    assert "\x1b" not in shown


def test_a_long_line_is_cut_and_marked() -> None:
    assert sanitised(b"x" * 10_000_000 + b"\nnext\n") == "x" * LONGEST_LINE + CUT + "\nnext\n"
    assert sanitised(b"x" * LONGEST_LINE) == "x" * LONGEST_LINE + "\n"


def test_a_line_without_end_takes_no_memory() -> None:
    sanitiser = Sanitiser()
    tracemalloc.start()
    try:
        for _ in range(2000):
            assert sanitiser.feed(b"y" * 4096 + b"progress\r" * 8) == ""
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_the_unfinished_line_can_be_seen() -> None:
    sanitiser = Sanitiser()
    sanitiser.feed(b"done\n 10%\r 20%\x1b[K")
    assert sanitiser.pending == " 20%"
