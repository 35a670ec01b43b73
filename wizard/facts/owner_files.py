"""Files on the owner's own machine that cluster.yaml names: a manifest, a key. Relative paths begin where it lies."""

from __future__ import annotations

import shlex

from wizard.model import Fact, FactError, Output

_ABSENT = 44
_COMMAND = f"""[ -e "$f" ] || [ -L "$f" ] || exit {_ABSENT}
[ -f "$f" ] || {{ echo "it is no file" >&2; exit 1; }}
cat -- "$f"
"""


def owner_file(path: str) -> Fact[str | None]:
    """A fact for the host `OWNER`: the file's content, at most 1 MiB of UTF-8; None where there is none."""

    def content(output: Output) -> str | None:
        if output.rc == _ABSENT:
            return None
        if output.rc:
            raise FactError(f"{path} cannot be read: {output.complaint or 'no reason was given'}")
        try:
            return output.out.decode()
        except UnicodeDecodeError:
            raise FactError(f"{path} is not text (UTF-8)") from None

    return Fact(f"owner-file:{path}", f"f={_as_words(path)}\n{_COMMAND}", content)


def _as_words(path: str) -> str:
    """The path as a word of sh; one that begins with `~/` is in the owner's home."""
    if path.startswith("~/"):
        return f'"$HOME"/{shlex.quote(path[2:])}'
    return shlex.quote(path if path.startswith("/") else f"./{path}")
