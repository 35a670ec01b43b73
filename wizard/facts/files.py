"""The content of files by name, for steps that write them."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from wizard.model import Fact, Output

Contents = Mapping[str, str | None]


def _contents(output: Output) -> Contents:
    rows = (line.split("\t") for line in output.text.splitlines())
    return {path: None if here == "absent" else _text(content) for path, here, content in rows}


def _text(content: str) -> str:
    return base64.b64decode(content, validate=True).decode("utf-8", "surrogateescape")


def files(fact_id: str, *paths: str) -> Fact[Contents]:
    """A fact about these files: their content by path, None where there is none."""
    return Fact(
        fact_id,
        f"for f in {' '.join(paths)}; do if [ -e $f ]; then c=$(base64 -w0 $f) && printf '%s\\tpresent\\t%s\\n' $f $c; "
        "else printf '%s\\tabsent\\t\\n' $f; fi; done",
        _contents,
    )
