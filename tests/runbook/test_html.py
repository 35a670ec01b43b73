"""The runbook as a page: all of it is there, nothing in it acts, and nothing is fetched."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from wizard import catalog
from wizard.cluster.file import load
from wizard.runbook import Material, planned_fresh, runbook
from wizard.runbook.html import page
from wizard.runbook.markdown import Writer

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
OWN = {"html", "head", "meta", "title", "style", "body"}
TEXT = {"h1", "h2", "h3", "h4", "p", "ul", "ol", "li", "pre", "code", "strong", "em", "br", "hr", "blockquote"}


class Reader(HTMLParser):
    """What a browser would make of it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_whole_runbook_as_one_page() -> None:
    file = load(EXAMPLES / "aki.yaml")
    fresh = planned_fresh(file.cluster, catalog.STAGES, 120)
    text = runbook(Material(file.cluster, file.text(), catalog.STAGES, fresh, (), "2026-11-23T07:30:00Z", "away"))
    read = Reader(page(text, "Runbook of the cluster aki"))
    assert set(read.tags) <= OWN | TEXT
    assert read.attributes <= {"charset", "class", "content", "http-equiv", "lang", "name", "start"}
    for script in (script for each in fresh for script in each.scripts):
        assert script in read.words
    assert file.text() in read.words
    assert "prefers-color-scheme: dark" in read.words


@settings(deadline=None)
@given(st.text())
@example("<script>alert(1)</script>")
@example("</code></pre><img src=x onerror=alert(1)>")
@example("[x](javascript:alert(1)) ![x](http://x/y.png) <http://x>")
@example("&lt;script&gt; &#60;b&#62;")
def test_hostile_text_stays_text(text: str) -> None:
    writer = Writer(lambda words: words)
    markdown = f"{writer.prose(text)}\n\n{writer.code(text)}\n\n{writer.fence(text)}\n\n## {writer.prose(text)}\n"
    made = page(f"{markdown}\n{text}\n", text)
    assert not set(Reader(made).tags) & {"script", "img", "iframe", "object", "link", "form", "svg"}
    assert 'href="javascript:' not in made
    assert made.count("<title>") == 1
