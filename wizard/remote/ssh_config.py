"""OpenSSH client configuration as paramiko understands it, with `Include`, and mistakes named by file and line.

Beyond paramiko: `Include` (globs, relative to ~/.ssh) and comments behind a value. Not honoured: a `Match` with
`exec` never applies, as nothing local is executed; a `Host` block in a file that is included from inside another `Host`
block applies on its own terms alone. Sources: ssh_config(5), paramiko.config.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from wizard.errors import InputError, InputFinding

USER_CONFIG = "~/.ssh/config"
SYSTEM_CONFIG = "/etc/ssh/ssh_config"
_SETTING = re.compile(r"(\w+)(?:\s*=\s*|\s+)(.+)")
_NEVER = "\x01"
_DEPTH = 16
"""ssh_config(5) does not say, readconf.c does: READCONF_MAX_DEPTH."""


def mistake(file: str, line: int, message: str, cure: str) -> InputError:
    return InputError([InputFinding(file, line, "", message, cure)])


class SshConfig:
    """What the configuration says about a host: `lookup(name)` answers with lower-case keywords."""

    def __init__(self, file: Path | None = None) -> None:
        """With `file`, that one alone (as `ssh -F`); otherwise the user's and the system's, where they exist.

        Raises `InputError` when a file cannot be read or understood.
        """
        self.source = str(file) if file else USER_CONFIG
        self._lines = tuple(_lines(file.expanduser(), 0) if file else _default_lines())

    def lookup(self, name: str, *, user: str = "", port: int = 0) -> Mapping[str, str | list[str]]:
        """The settings for `name`; the first value of each keyword wins, IdentityFile adds up.

        A user and a port given on the command line come before all others, also for `Match user` and `%r`.
        """
        import paramiko

        typed = ["Host *", *([f"User {user}"] if user else []), *([f"Port {port}"] if port else [])]
        try:
            found = paramiko.SSHConfig.from_text("\n".join([*typed, *self._lines])).lookup(name)
        except Exception as wrong:  # paramiko and shlex raise what they like at a malformed file
            message = f"not a configuration that can be applied to {name}: {' '.join(str(wrong).split())}"
            raise mistake(self.source, 0, message, "Correct the file") from wrong
        return {key: value for key, value in found.items() if value is not None}


def _default_lines() -> Iterator[str]:
    for name in (USER_CONFIG, SYSTEM_CONFIG):
        path = Path(name).expanduser()
        if path.is_file():
            yield "Host *"
            yield from _lines(path, 0)


def _lines(path: Path, depth: int) -> Iterator[str]:
    """The settings of a file and of all it includes, one a line."""
    if depth > _DEPTH:
        raise mistake(str(path), 0, "files include each other without end", "Remove one of the Include lines")
    block = "Host *"
    for number, line in enumerate(_read(path).splitlines(), 1):
        setting = _uncommented(line)
        if not setting:
            continue
        match = _SETTING.fullmatch(setting)
        if match is None:
            raise mistake(str(path), number, f"not a setting: {setting[:80]}", "Write a keyword and its value")
        keyword = match[1].lower()
        if keyword == "include":
            for included in _included(match[2]):
                yield from _lines(included, depth + 1)
            yield block
            continue
        if keyword in ("host", "match"):
            block = setting = _without_exec(setting)
        yield setting


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "surrogateescape").replace("\0", " ")
    except OSError as wrong:
        raise mistake(
            str(path), 0, f"cannot be read: {wrong.strerror}", "Check the name and who may read it"
        ) from wrong


def _uncommented(line: str) -> str:
    line = line.strip()
    if line.startswith("#"):
        return ""
    return line if '"' in line else re.sub(r"\s#.*", "", line)


def _without_exec(setting: str) -> str:
    """A condition that nothing meets, in place of one that runs a command."""
    return f"Match originalhost {_NEVER}" if re.match(r"(?i)match\b.*\bexec\b", setting) else setting


def _included(patterns: str) -> Iterator[Path]:
    for pattern in patterns.replace('"', " ").split():
        absolute = os.path.join(os.path.expanduser("~/.ssh"), os.path.expanduser(pattern))
        for name in sorted(glob.glob(absolute)):
            if os.path.isfile(name):
                yield Path(name)
