"""The runbook as one page for a browser: no scripts, nothing fetched, light or dark as the reader's system has it."""

from __future__ import annotations

from wizard.template import render


def page(markdown: str, title: str) -> str:
    """The page of this Markdown; HTML in it stays text, and a link leads nowhere but to the web or a mail."""
    from html import escape

    from markdown_it import MarkdownIt

    body = MarkdownIt("commonmark", {"html": False}).disable("image").render(markdown)
    return render("runbook/page.html.j2", title=escape(title), body=body)
