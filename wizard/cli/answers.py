"""The engine's questions answered from flags and files; what they leave open is asked at the terminal, if any."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from wizard.cli.show import notes, planned_text
from wizard.errors import InputError, InputFinding
from wizard.events import Approve, Choose, HostKey, KeepOrRevert, NeedSecret, Question, SecretKind
from wizard.model import Risk, Secret


@dataclass(frozen=True)
class Answers:
    yes: bool = False
    destroy: tuple[str, ...] = ()
    accept_new_host_keys: bool = False
    host_keys: Mapping[str, str] = field(default_factory=dict)
    sudo: Mapping[str, Secret] = field(default_factory=dict)
    """By host; "" for all hosts."""
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    """By the account or key file that they open."""
    terminal: bool = False

    def __call__(self, question: Question) -> bool | str | Secret | None:
        match question:
            case HostKey():
                return self._host_key(question)
            case NeedSecret():
                return self._secret(question)
            case Approve():
                return self._approve(question)
            case KeepOrRevert():
                return question.holds
            case Choose(options=options):
                return options[0][0]

    def _host_key(self, asked: HostKey) -> bool | None:
        for name in (asked.host, asked.address):
            if name in self.host_keys:
                return self.host_keys[name] == asked.fingerprint
        if self.accept_new_host_keys:
            return True
        if not self.terminal:
            return None
        key = f"Its {asked.key_type} key: {asked.fingerprint}"
        click.echo(f"{asked.host} ({asked.address}) is not known yet. {key}", err=True)
        return click.confirm("Is that the right machine?", default=False, err=True)

    def _secret(self, asked: NeedSecret) -> Secret | None:
        given = self.sudo if asked.kind is SecretKind.SUDO else self.secrets
        secret = given.get(asked.about) or given.get(asked.host) or given.get("")
        if secret is not None:
            return secret if asked.attempt == 1 else None
        if not self.terminal:
            return None
        words = {
            SecretKind.SUDO: f"Password for sudo on {asked.host} ({asked.about})",
            SecretKind.SSH_PASSWORD: f"Password of {asked.about}",
            SecretKind.KEY_PASSPHRASE: f"Passphrase of {asked.about}",
        }[asked.kind]
        again = "That was not right. " if asked.attempt > 1 else ""
        return Secret(click.prompt(again + words, hide_input=True, err=True))

    def _approve(self, asked: Approve) -> bool | None:
        if asked.risk is Risk.DESTROYS_DATA:
            return True if asked.destroys in self.destroy else None
        if self.yes:
            for line in (f"{planned.name}: {note}" for planned in asked.planned for note in notes(planned)):
                click.echo(line, err=True)
            return True
        if not self.terminal:
            return None
        for planned in asked.planned:
            click.echo(planned_text(planned), err=True)
        if asked.changed:
            click.echo(asked.changed, err=True)
        return click.confirm(f"Do this ({asked.risk.words})?", default=False, err=True)


def from_options(given: Mapping[str, Any], *, terminal: bool) -> Answers:
    """What the options say; `terminal` tells whether to ask there what they leave open.

    Raises `InputError` for files that cannot be read and keys without a host.
    """
    return Answers(
        yes=bool(given.get("yes")),
        destroy=tuple(given.get("destroy") or ()),
        accept_new_host_keys=bool(given.get("accept_new_host_keys")),
        host_keys=dict(_host_key(text) for text in given.get("host_keys") or ()),
        sudo=_sudo(given.get("sudo_password_file")),
        secrets=_mapping(given["secrets"]) if given.get("secrets") else {},
        terminal=terminal,
    )


def _host_key(text: str) -> tuple[str, str]:
    host, equals, fingerprint = text.partition("=")
    if not (host and equals and fingerprint.startswith("SHA256:")):
        raise _wrong("command line", f"--host-key {text}", "Write it as HOST=SHA256:…, as `ssh-keygen -lf` prints it")
    return host, fingerprint


def _sudo(name: str | None) -> Mapping[str, Secret]:
    if not name:
        return {}
    if name.endswith((".yaml", ".yml")):
        return _mapping(Path(name))
    text = sys.stdin.readline() if name == "-" else _read(Path(name))
    return {"": Secret(text.rstrip("\r\n"))}


def _mapping(path: Path) -> Mapping[str, Secret]:
    import yaml

    try:
        data = yaml.safe_load(_read(path))
    except yaml.YAMLError as error:
        raise _wrong(str(path), "not YAML", "Write one `name: secret` on each line") from error
    if not isinstance(data, dict):
        raise _wrong(str(path), "no mapping", "Write one `name: secret` on each line")
    return {str(name): Secret(str(value)) for name, value in data.items()}


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        words = error.strerror if isinstance(error, OSError) else "it is not text"
        raise _wrong(str(path), f"cannot be read: {words}", "Name a file that you can read") from error


def _wrong(place: str, what: str, cure: str) -> InputError:
    return InputError([InputFinding(place, 0, "", what, cure)])
