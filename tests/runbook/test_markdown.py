"""Whatever a file, a reason or a title holds: it stays text. Judged by a Markdown parser that is not ours."""

from __future__ import annotations

import base64
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from wizard.runbook.markdown import Writer, harmless, visible

writer = Writer(lambda text: text)
parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])

PIECES = (
    ("`", "```", "````sh\n", "~~~", "<b>", "</details>", "<!--", "-->", "<script>", "&lt;", "\x1b[31m", "\x1b]0;x\x07"),
    ("\n", "\n\n", "# ", "## x\n", "- ", "1. ", "> ", "---\n", "===\n", "    ", "\t", "|a|b|\n|-|-|\n", "[x](y)"),
    ("![x](y)", "**", "_", "__x__", "~~x~~", "\\", "\\`", "\u202e", "\u2028", "\r", "\0", "\udcff", "word", " "),
)
HOSTILE = st.lists(st.sampled_from([piece for row in PIECES for piece in row]), max_size=12).map("".join)
TEXT = HOSTILE | st.text(max_size=60)


def parsed(markdown: str) -> list[Token]:
    return parser.parse(markdown)


def inline(markdown: str) -> list[Token]:
    """The parts of a text that must be one paragraph."""
    tokens = parsed(markdown)
    assert [token.type for token in tokens] in (["paragraph_open", "inline", "paragraph_close"], [])
    return (tokens[1].children or []) if tokens else []


@given(TEXT)
@example("```\n</details>\n````")
@example("")
def test_a_block_holds_exactly_its_text(text: str) -> None:
    before, block, after = "before\n\n", writer.fence(text, "ini"), "\n\nafter\n"
    tokens = parsed(before + block + after)
    assert [token.type for token in tokens if token.type in ("fence", "inline")] == ["inline", "fence", "inline"]
    assert len(tokens) == 7
    shown = visible(text)
    assert tokens[3].content == (shown if shown.endswith("\n") or not shown else shown + "\n")
    assert tokens[3].info == "ini"


@given(TEXT)
def test_a_script_can_be_got_back_byte_for_byte(text: str) -> None:
    (block,) = [token for token in parsed(writer.exact(text, "sh")) if token.type == "fence"]
    if block.info == "sh":
        assert block.content == text
    else:
        assert base64.b64decode(block.content) == text.encode("utf-8", "surrogateescape")


@given(TEXT)
def test_inline_code_is_one_piece_of_code(text: str) -> None:
    pieces = inline(f"a {writer.code(text)} b")
    assert [piece.type for piece in pieces] == ["text", "code_inline", "text"]
    expected = visible(text).replace("\n", "\u240a").replace("\t", " ")
    assert pieces[1].content.strip() == expected.strip()


PLAIN = {"text", "code_inline", "text_special"}


@given(TEXT)
@example("1. first")
@example("192.168.182.100 does not answer")
@example("- and `code` **not bold** <b>")
def test_running_text_stays_running_text(text: str) -> None:
    pieces = inline(writer.prose(text))
    assert {piece.type for piece in pieces} <= PLAIN
    shown = "".join(f"`{piece.content}`" if piece.type == "code_inline" else piece.content for piece in pieces)
    assert re.sub(r"\s+", "", shown) == re.sub(r"\s+", "", visible(text))


@given(TEXT)
def test_a_heading_stays_one_line(text: str) -> None:
    tokens = parsed(f"### Step: {writer.prose(text)}\n\nafter\n")
    assert [token.type for token in tokens if token.type.endswith("_open")] == ["heading_open", "paragraph_open"]


@given(st.text())
def test_nothing_moves_hides_or_reorders(text: str) -> None:
    for shown in (writer.fence(text), writer.code(text), writer.prose(text), writer.exact(text)):
        assert all(harmless(each) or each in "\n\t" for each in shown)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "br_netfilter is in net.bridge.bridge-nf-call-iptables",
            "br_netfilter is in net.bridge.bridge-nf-call-iptables",
        ),
        ("run `sudo dpkg --configure -a`, then retry", "run `sudo dpkg --configure -a`, then retry"),
        ("192.168.182.100 answers", "192.168.182.100 answers"),
        ("a\nProbably: b", "a Probably: b"),
        ("bridge-nf-call-* <b>", "bridge-nf-call-\\* \\<b>"),
        ("\x1b[1mloud", "␛\\[1mloud"),
    ],
)
def test_plain_words_stay_readable_on_paper(text: str, shown: str) -> None:
    assert writer.prose(text) == shown
