"""OpenSSH client configuration as paramiko understands it, with `Include`, and mistakes named by file and line.

Beyond paramiko: `Include` (globs, relative to ~/.ssh) and comments behind a value. Not honoured: `Match exec` and
`ProxyCommand` (nothing local is executed); a `Host` block in a file that is included from inside another `Host` block
applies on its own terms alone. Sources: ssh_config(5), paramiko.config.
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
        lines = list(_lines(file.expanduser(), 0)) if file else list(_default_lines())
        self._parsed = self._parse("\n".join(lines))

    def _parse(self, text: str) -> object:
        import paramiko

        try:
            return paramiko.SSHConfig.from_text(text)
        except Exception as wrong:  # shlex and paramiko raise what they like at a malformed file
            raise mistake(self.source, 0, f"not an ssh configuration: {wrong}", "Correct the file") from wrong

    def lookup(self, name: str) -> Mapping[str, str | list[str]]:
        """The settings for `name`; the first value of each keyword wins, IdentityFile adds up."""
        from paramiko import SSHConfig

        assert isinstance(self._parsed, SSHConfig)
        try:
            found = self._parsed.lookup(name)
        except ImportError as wrong:
            cure = "Give this host a Host block without it, and name that file with --ssh-config"
            raise mistake(self.source, 0, "Match exec runs a local command, which is not done here", cure) from wrong
        except Exception as wrong:  # a malformed number, no user name, an unresolvable canonical name
            raise mistake(self.source, 0, f"cannot be applied to {name}: {wrong}", "Correct the file") from wrong
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
            block = setting
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


def _included(patterns: str) -> Iterator[Path]:
    for pattern in patterns.replace('"', " ").split():
        absolute = os.path.join(os.path.expanduser("~/.ssh"), os.path.expanduser(pattern))
        for name in sorted(glob.glob(absolute)):
            if os.path.isfile(name):
                yield Path(name)
