"""What the screens leave on disk, readable by the owner alone: the log of runs, the last error, reports of bugs."""

from __future__ import annotations

import os
import platform
import sys
import traceback
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import textual

from wizard import __version__


class Record:
    """Files in `directory` (0700), made when there is something to keep. A full disk is no reason to stop."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @property
    def log(self) -> Path:
        return self.directory / "screen.log"

    def keep_lines(self, lines: Iterable[str]) -> None:
        self._write(self.log, "".join(f"{line}\n" for line in lines), os.O_APPEND)

    def keep_error(self, text: str) -> Path:
        """The last error, for a terminal whose clipboard cannot be reached."""
        return self._write(self.directory / "last-error.txt", text, os.O_TRUNC)

    def keep_bug(self, error: BaseException) -> Path:
        """A report without the values of variables and without the error's words, which may repeat a secret."""
        now = datetime.now(UTC)
        path = self.directory / f"bug-{now:%Y%m%dT%H%M%S}-{os.getpid()}.txt"
        return self._write(path, _report(error, now), os.O_TRUNC)

    def _write(self, path: Path, text: str, how: int) -> Path:
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | how | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(text.encode("utf-8", "replace"))
        except OSError:
            return Path(os.devnull)
        return path


def _report(error: BaseException, now: datetime) -> str:
    head = [
        f"homek8s-wizard {__version__}, {now:%Y-%m-%dT%H:%M:%SZ}",
        f"Python {platform.python_version()}, Textual {textual.__version__}, {platform.platform()}",
        f"TERM={os.environ.get('TERM', '')}, arguments: {len(sys.argv) - 1}",
    ]
    return "\n".join([*head, "", *_chain(error), ""])


def _chain(error: BaseException) -> list[str]:
    before = error.__cause__ or error.__context__
    places = [
        f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in traceback.extract_tb(error.__traceback__)
    ]
    return [*(_chain(before) if before else []), *places, f"{type(error).__module__}.{type(error).__qualname__}", ""]
