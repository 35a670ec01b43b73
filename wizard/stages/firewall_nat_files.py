"""A cure for rules in files, so that it is still there after `wg-quick down` and `up`, and after a boot.

A file with keys is changed line by line (`EditLine`). Others too, where one line becomes one line; else they are
written whole, and the way back needs them to be as we left them.
"""

from __future__ import annotations

from collections.abc import Iterator

from wizard.actions import Action, EditLine, WriteFile
from wizard.facts.nat import Rewriting
from wizard.facts.nat_files import NatFile, Written
from wizard.model import Finding
from wizard.stages.firewall_nat_cure import WHERE, Cure

Cured = tuple[Rewriting, Cure]


def file_actions(cures: tuple[Cured, ...]) -> tuple[Action | Finding, ...]:
    """What is written; or why a line cannot be changed."""
    files = {found.file.path: found.file for found, _ in cures if found.file}
    return tuple(
        action
        for path, file in files.items()
        for action in _change(file, tuple(each for each in cures if each[0].file and each[0].file.path == path))
    )


def _change(file: NatFile, cures: tuple[Cured, ...]) -> Iterator[Action | Finding]:
    lines = {line.number: line.text for line in file.lines}
    changed = {number: _line(file, number, text, cures) for number, text in lines.items()}
    edits = dict.fromkeys((lines[number], now) for number, now in changed.items() if now != lines[number])
    mixed = [now for _, now in edits if now in lines.values()]
    if not mixed and not any("\n" in now for _, now in edits):
        yield from (EditLine(file.path, was, now) for was, now in edits)
    elif file.content is not None:
        yield WriteFile(file.path, "\n".join(changed[line.number] for line in file.lines), file.content, file.mode)
    else:
        why = f"{file.path} has the line as it is, and a second time as it would become: {mixed[0]}"
        yield Finding("line", why, "take one of the two out", WHERE)


def _line(file: NatFile, number: int, text: str, cures: tuple[Cured, ...]) -> str:
    """From the end of the line to its beginning, so that the places of the others stay what they are."""
    mine = [(found.written, cure) for found, cure in cures if found.written and found.written.line.number == number]
    for written, cure in sorted(mine, key=lambda each: -each[0].begin):
        text = text[: written.begin] + cure.prefix + text[written.begin :]
        if cure.before:
            text = _with_exemptions(file, written, text, cure)
    return text


def _with_exemptions(file: NatFile, written: Written, text: str, cure: Cure) -> str:
    if not file.name and written.program != "nft":
        return "".join(f"-A {written.chain} {rule}\n" for rule in cure.before) + text
    head = text[written.head : written.begin]
    if written.verb == "I":  # what is put first comes last
        more = "".join(f"; {head}{rule}" for rule in reversed(cure.before))
        return text[: written.end] + more + text[written.end :]
    return text[: written.head] + "".join(f"{head}{rule}; " for rule in cure.before) + text[written.head :]
