"""The few kinds of action a part is made of. Each knows its one-line summary, its shell, and its way back.

The way back is written down on the host, before the action is taken, by the shell functions used here
(`templates/host/library.sh`): the before-image of a file, the inverse of a command.
"""

from __future__ import annotations

import difflib
import hashlib
import shlex
from dataclasses import dataclass
from typing import Literal

END = "END_OF_FILE"


def digest(text: str) -> str:
    """The sha256 of a file's content, in hex."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def seen_as(was: str | None) -> str:
    """How a file's present content is named in a script: its sha256, or `absent`."""
    return "absent" if was is None else digest(was)


def unified(path: str, was: str | None, now: str | None) -> str:
    """A unified diff of a file's content, as the owner reads it; `None` is "no such file"."""
    lines = difflib.unified_diff(
        (was or "").splitlines(keepends=True),
        (now or "").splitlines(keepends=True),
        "/dev/null" if was is None else path,
        "/dev/null" if now is None else path,
    )
    return "".join(line if line.endswith("\n") else line + "\n" for line in lines)


@dataclass(frozen=True)
class WriteFile:
    """The file at `path` has this content and mode, owned by root. `was` is its present content, None where absent."""

    path: str
    content: str
    was: str | None
    mode: int = 0o644
    kind: Literal["write-file"] = "write-file"

    def __post_init__(self) -> None:
        if not self.content.endswith("\n") or "\0" in self.content:
            raise ValueError(f"{self.path}: a file ends with a newline and has no NUL")

    @property
    def summary(self) -> str:
        return f"{'write' if self.was is None else 'change'} {self.path}"

    @property
    def diff(self) -> str:
        return unified(self.path, self.was, self.content)

    def shell(self) -> str:
        end = END
        while end in self.content.splitlines():
            end += "_"
        head = f"put {shlex.quote(self.path)} {self.mode:04o} {seen_as(self.was)} <<'{end}'"
        return f"{head}\n{self.content}{end}"


@dataclass(frozen=True)
class Hole:
    """A secret that host `on` mints just in time: `argv` prints it there, as root. A file has `mark` in its place."""

    name: str
    on: str
    argv: tuple[str, ...]
    words: str
    """What it is: "a bootstrap token, good for 15 minutes"."""

    @property
    def mark(self) -> str:
        return f"SECRET{{{self.name}}}"

    @property
    def how(self) -> str:
        """What it is and how it is had, for those who do it by hand."""
        return f"{self.words}; on {self.on}: {shlex.join(self.argv)}"


@dataclass(frozen=True)
class SecretFile:
    """The file at `path`, 0600, has this content with the secrets in it. No copy is kept, and there is no way back:
    the part's `always` removes it.
    """

    path: str
    content: str
    holes: tuple[Hole, ...]
    kind: Literal["secret-file"] = "secret-file"

    @property
    def summary(self) -> str:
        return f"write {self.path}, with {', '.join(hole.mark for hole in self.holes)}"

    @property
    def diff(self) -> str:
        return unified(self.path, None, self.content)

    def shell(self) -> str:
        asked = [shlex.join(("need_secret", hole.name, hole.how)) for hole in self.holes]
        return "\n".join([*asked, f"put_secret {shlex.quote(self.path)} <<'{END}'", f"{self.content}{END}"])


@dataclass(frozen=True)
class EditLine:
    """One whole line of a foreign file, `was`, becomes `now`; everything else in it stays, unseen and uncopied.

    For files that hold secrets beside the line (a WireGuard key), so no context is shown or kept. Mode and owner stay.
    A line that is there twice is changed twice.
    The way back turns the line round; at boot, before anything else runs, it is not taken: not for guarded parts.
    """

    path: str
    was: str
    now: str
    kind: Literal["edit-line"] = "edit-line"

    def __post_init__(self) -> None:
        if any(sign in line for line in (self.was, self.now) for sign in "\n\0") or not (self.was and self.now):
            raise ValueError(f"{self.path}: a line is replaced by a line: {self.was!r}")

    @property
    def summary(self) -> str:
        return f"change one line of {self.path}"

    @property
    def diff(self) -> str:
        return f"--- {self.path}\n+++ {self.path}\n@@ one line @@\n-{self.was}\n+{self.now}\n"

    def shell(self) -> str:
        return shlex.join(("edit_line", self.path, self.was, self.now))


@dataclass(frozen=True)
class RemoveFile:
    """There is no file at `path`; `was` is its present content, kept on the host for the way back."""

    path: str
    was: str
    kind: Literal["remove-file"] = "remove-file"

    @property
    def summary(self) -> str:
        return f"move aside {self.path}"

    @property
    def diff(self) -> str:
        return unified(self.path, self.was, None)

    def shell(self) -> str:
        return f"drop {shlex.quote(self.path)} {seen_as(self.was)}"


@dataclass(frozen=True)
class Run:
    """A command, left out when `unless` succeeds, so that every script can be run twice; `undo` is its inverse."""

    argv: tuple[str, ...]
    words: str = ""
    unless: tuple[str, ...] = ()
    undo: Run | None = None
    kind: Literal["run"] = "run"

    @property
    def summary(self) -> str:
        return self.words or shlex.join(self.argv)

    def line(self) -> str:
        """The command as one line of sh."""
        command = shlex.join(self.argv)
        line = f"{shlex.join(self.unless)} >/dev/null 2>&1 || {command}" if self.unless else command
        if "\n" in line or "\t" in line:
            raise ValueError(f"a command is one line: {line!r}")
        return line

    def shell(self) -> str:
        way_back = [f"on_undo {shlex.quote(self.undo.line())}"] if self.undo else []
        return "\n".join([f"say {shlex.quote(self.summary)}", *way_back, self.line()])


RESTART = Run(
    ("systemd-run", "-q", "--collect", "--on-active=2", "--timer-property=AccuracySec=100ms", "systemctl", "reboot"),
    "restart this machine, 2 seconds from now",
)
"""The last action of a part that `restarts`: by then its script has ended, and has said so."""


@dataclass(frozen=True)
class Install:
    """These Debian packages are there, without what they merely recommend; `refresh` fetches the lists first.

    The way back takes away what came with them, except what other packages need by then (`templates/host/packages.sh`).
    """

    packages: tuple[str, ...]
    refresh: bool = False
    kind: Literal["install"] = "install"

    @property
    def summary(self) -> str:
        return f"install {', '.join(self.packages)}"

    def shell(self) -> str:
        install = shlex.join(("packages_install", *self.packages))
        return f"packages_refresh\n{install}" if self.refresh else install


@dataclass(frozen=True)
class OnUndo:
    """Nothing now; on the way back, `then` runs. Put first in a part, it runs last, after the files are back."""

    then: Run
    kind: Literal["on-undo"] = "on-undo"

    @property
    def summary(self) -> str:
        return f"on the way back: {self.then.summary}"

    def shell(self) -> str:
        return f"on_undo {shlex.quote(self.then.line())}"


@dataclass(frozen=True)
class Wait:
    """Waits until `probe` succeeds, at most `limit` seconds; `words` say what is waited for."""

    probe: tuple[str, ...]
    limit: int
    words: str
    kind: Literal["wait"] = "wait"

    @property
    def summary(self) -> str:
        return f"wait until {self.words} (at most {self.limit} s)"

    def argv(self) -> tuple[str, ...]:
        """As a command, for `Run.unless`."""
        return ("await", str(self.limit), self.words, *self.probe)

    def shell(self) -> str:
        return shlex.join(self.argv())


@dataclass(frozen=True)
class RestoreFile:
    """The way back of a file: its before-image `before` returns to `path`, or the file goes where there was none.

    `written` is the sha256 we left there ("absent" where we removed it): anything else is somebody's edit, and refused.
    """

    path: str
    written: str
    before: str | None
    kind: Literal["restore-file"] = "restore-file"

    @property
    def summary(self) -> str:
        return f"{'restore' if self.before else 'remove'} {self.path}"

    def shell(self) -> str:
        return shlex.join(("restore", self.path, self.written, self.before or "-"))


@dataclass(frozen=True)
class RemoveDirectory:
    """The way back of a directory that we made: it goes if it is empty."""

    path: str
    kind: Literal["remove-directory"] = "remove-directory"

    @property
    def summary(self) -> str:
        return f"remove the directory {self.path} if it is empty"

    def shell(self) -> str:
        return f"rmdir {shlex.quote(self.path)} 2>/dev/null || true"


@dataclass(frozen=True)
class TakeBack:
    """An inverse as it was written down on the host: one line of sh."""

    line: str
    kind: Literal["take-back"] = "take-back"

    @property
    def summary(self) -> str:
        if self.line.startswith("edit_line "):
            return f"put the line back in {shlex.split(self.line)[1]}"
        command = self.line.split(" || ", 1)[-1]
        if command.startswith("await "):
            limit, words = shlex.split(command)[1:3]
            return f"wait until {words} (at most {limit} s)"
        return command

    def shell(self) -> str:
        return f"say {shlex.quote(self.summary)}\n{self.line}"


@dataclass(frozen=True)
class Forget:
    """The host's notes of these attempts are closed: what they changed has been undone."""

    attempts: tuple[str, ...]
    kind: Literal["forget"] = "forget"

    @property
    def summary(self) -> str:
        return "close the notes of what was undone"

    def shell(self) -> str:
        return shlex.join(("forget", *self.attempts))


Action = (
    WriteFile
    | SecretFile
    | EditLine
    | RemoveFile
    | Run
    | Install
    | OnUndo
    | Wait
    | RestoreFile
    | RemoveDirectory
    | TakeBack
    | Forget
)
