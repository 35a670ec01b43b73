"""A part's script read back: the files it writes, its commands, and how they are taken back.

The script is the one source: what ran is in the journal as a script, what would run is compiled to one. Words of the
library (templates/host) are shown as the commands that a person would type; what is not known is shown as it is.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from wizard.actions import END
from wizard.runbook.guest_words import GUEST_WORDS
from wizard.runbook.kubernetes_words import KUBERNETES_WORDS
from wizard.runbook.pod_network_words import POD_NETWORK_WORDS

KEPT = "/var/lib/homek8s-wizard"
"""Where a host keeps the before-images, the logs and the notes for the way back."""


@dataclass(frozen=True)
class File:
    """A file is written; `new` when there was none before."""

    path: str
    mode: str
    content: str
    new: bool


@dataclass(frozen=True)
class Gone:
    """A file is moved aside."""

    path: str


@dataclass(frozen=True)
class Command:
    """A line that can be typed; `words` say what is waited for."""

    line: str
    words: str = ""


@dataclass(frozen=True)
class Back:
    """On the way back `path` is as it was: gone where there was no file, else restored from its before-image."""

    path: str
    remove: bool


Deed = File | Gone | Command
Return = Command | Back


@dataclass(frozen=True)
class Body:
    """What a script does: `guard` in seconds (0: none), `back` what takes it back, in the order to do it."""

    guard: int
    main: tuple[Deed, ...]
    always: tuple[Deed, ...]
    back: tuple[Return, ...]


@dataclass(frozen=True)
class _Armed:
    seconds: int


@dataclass(frozen=True)
class _Noted:
    """For the way back."""

    command: Command


_Read = File | Gone | Command | _Armed | _Noted


def read_script(script: str) -> Body:
    lines = iter(script.split("\n"))
    main, always = list(_function(lines, "main")), list(_function(lines, "clean_up"))
    guard = next((each.seconds for each in main if isinstance(each, _Armed)), 0)
    return Body(guard, _deeds(main), _deeds(always), tuple(_backwards(main)))


def secrets_in(script: str) -> Iterator[tuple[str, str]]:
    """The secrets that it needs: the name, what it is and how it is had."""
    for each in _function(iter(script.split("\n")), "main"):
        if isinstance(each, Command) and (found := _SECRET.fullmatch(each.line)):
            yield found["name"], found["how"]


_SECRET = re.compile(r"# SECRET\{(?P<name>[a-z-]+)\} below: (?P<how>.*)", re.S)


def _deeds(found: list[_Read]) -> tuple[Deed, ...]:
    return tuple(each for each in found if isinstance(each, File | Gone | Command))


def _backwards(main: list[_Read]) -> Iterator[Return]:
    for each in reversed(main):
        match each:
            case File(path, _, _, new):
                yield Back(path, remove=new)
            case Gone(path):
                yield Back(path, remove=False)
            case _Noted(command):
                yield command


def _function(lines: Iterator[str], name: str) -> Iterator[_Read]:
    """What stands between `NAME() {` and the next `}` outside of a here-document."""
    for line in lines:
        if line == f"{name}() {{":
            break
    for line in lines:
        if line == "}":
            return
        yield from _deed(_whole(line, lines), lines)


def _whole(line: str, lines: Iterator[str]) -> str:
    """The line with those that follow, while a quote is open."""
    while True:
        try:
            shlex.split(line)
            return line
        except ValueError:
            if (more := next(lines, None)) is None:
                return line
            line += "\n" + more


_PUT = re.compile(rf"put (.+) ([0-7]{{4}}) (\w+) <<'({END}_*)'", re.S)

_PUT_SECRET = re.compile(rf"put_secret (.+) <<'({END}_*)'", re.S)


def _deed(line: str, lines: Iterator[str]) -> Iterator[_Read]:
    if found := _PUT.fullmatch(line):
        content = "".join(f"{each}\n" for each in iter(lambda: next(lines, found[4]), found[4]))
        yield File(_word(found[1]), found[2], content, new=found[3] == "absent")
        return
    if found := _PUT_SECRET.fullmatch(line):
        content = "".join(f"{each}\n" for each in iter(lambda: next(lines, found[2]), found[2]))
        yield File(_word(found[1]), "0600", content, new=True)
        return
    match _words(line):
        case ["arm", seconds] if seconds.isdecimal():
            yield _Armed(int(seconds))
        case ["on_undo", back]:
            yield from (_Noted(command) for command in typed(back))
        case ["drop", path, _]:
            yield Gone(path)
        case [":"] | []:
            pass
        case _:
            yield from typed(line)


_UNLESS = " >/dev/null 2>&1 || "


def typed(line: str) -> Iterator[Command]:
    """A line of a script as a person would type it; nothing, where it only speaks or keeps notes."""
    unless, separator, command = line.partition(_UNLESS)
    if separator and (question := _words(unless)):
        yield from (_only_if(question, unless, each) for each in typed(command))
        return
    words = _words(line)
    if not words or words[0] not in ("say", "forget", "leave_domain"):
        yield _typed(words) if words and words[0] in _LIBRARY else Command(line)


def _only_if(question: list[str], unless: str, then: Command) -> Command:
    match question:
        case ["await", limit, what, *_]:
            return Command(then.line, f"only if it does not come about within {limit} s that {what}:")
        case _:
            return Command(f"{unless} || {then.line}", then.words)


def _probe(argv: list[str]) -> str:
    """A test as it would be typed: without the shell around it."""
    match argv:
        case ["sh", "-c", inner] if "\n" not in inner:
            return inner
        case _:
            return shlex.join(argv)


def _typed(words: list[str]) -> Command:
    match words:
        case ["await", limit, what, *probe]:
            return Command(f"until {_probe(probe)}; do sleep 1; done", f"at most {limit} s, until {what}:")
        case ["need_secret", name, how]:
            return Command(f"# SECRET{{{name}}} below: {how}")
        case ["packages_refresh"]:
            return Command("apt-get update")
        case ["packages_install", *names]:
            return Command(shlex.join(("apt-get", "install", "--no-install-recommends", *names)))
        case ["packages_remove" | "packages_purge" as word, *names]:
            return Command(shlex.join(("apt-get", word.removeprefix("packages_"), *names)))
        case ["restore", path, _, "-"]:
            return Command(shlex.join(("rm", "-f", path)))
        case ["restore", path, _, before]:
            return Command(shlex.join(("cp", "-p", before, path)))
        case ["keep_domain", domain, path]:
            return Command(f"{shlex.join(('virsh', 'dumpxml', '--inactive', '--security-info', domain))} >{path}")
        case ["define_again", _, path]:
            return Command(shlex.join(("virsh", "define", path)))
        case ["unplug", domain, mac]:
            return Command(shlex.join(("virsh", "detach-interface", domain, "network", "--mac", mac, "--live")))
        case [word, *arguments] if word in GUEST_WORDS:
            return Command(*GUEST_WORDS[word](arguments))
        case [word, *arguments] if word in POD_NETWORK_WORDS:
            return Command(*POD_NETWORK_WORDS[word](arguments))
        case [word, *arguments] if word in KUBERNETES_WORDS:
            return Command(*KUBERNETES_WORDS[word](arguments))
        case _:
            return Command(shlex.join(words))


_LIBRARY = (
    *("await", "restore", "keep_domain", "define_again", "unplug", "need_secret"),
    *("packages_refresh", "packages_install", "packages_remove", "packages_purge"),
    *GUEST_WORDS,
    *POD_NETWORK_WORDS,
    *KUBERNETES_WORDS,
)


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return []


def _word(quoted: str) -> str:
    return (_words(quoted) or [quoted])[0]
