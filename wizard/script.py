"""A part as one POSIX sh script: what is shown before, what runs, what the runbook prints."""

from __future__ import annotations

import hashlib

from wizard.model import Part
from wizard.template import render, text


def compile_part(
    step: str, target: str, part: Part, *, number: int = 1, count: int = 1, guard_seconds: int = 120
) -> str:
    """The script of `part`; a part with a guard arms it for `guard_seconds` before its first action.

    Run as `sh SCRIPT ATTEMPT`, it stops at the first failure, runs `part.always` in any case, and can be run twice.
    """
    return render(
        "host/part.sh.j2",
        step=step,
        target=target,
        on=part.on,
        number=number,
        count=count,
        title=part.title,
        actions=part.actions,
        always=part.always,
        guard_seconds=guard_seconds if part.guard else 0,
        library=text("host/library.sh"),
        guard=text("host/guard.sh"),
    )


def digest_of(scripts: tuple[str, ...]) -> str:
    """What the owner approves: the sha256 over all scripts of a step for one target."""
    return hashlib.sha256("\0".join(scripts).encode("utf-8", "surrogateescape")).hexdigest()
