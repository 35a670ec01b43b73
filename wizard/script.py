"""A part as one POSIX sh script: what is shown before, what runs, what the runbook prints."""

from __future__ import annotations

import hashlib
import re

from wizard.actions import Action
from wizard.model import Part
from wizard.template import render, text

LIBRARIES = (
    "host/packages.sh",
    "host/domains.sh",
    "host/guests.sh",
    "host/ufw.sh",
    "host/secrets.sh",
    "host/kubeadm.sh",
    "host/kubernetes.sh",
    "host/pod_network.sh",
    "host/reboot.sh",
)
"""Words that only some parts use: a script contains those files of which its actions use a word."""


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
        library=text("host/library.sh") + "".join(words_for((*part.actions, *part.always))),
        guard=text("host/guard.sh"),
    )


def words_for(actions: tuple[Action, ...]) -> list[str]:
    """The libraries that define a word with which a line of these actions begins."""
    begins = {match for action in actions for match in re.findall(r"^\w+", action.shell(), re.MULTILINE)}
    return [
        "\n" + library
        for library in map(text, LIBRARIES)
        if begins & set(re.findall(r"^(\w+)\(\)", library, re.MULTILINE))
    ]


def digest_of(scripts: tuple[str, ...]) -> str:
    """What the owner approves: the sha256 over all scripts of a step for one target."""
    return hashlib.sha256("\0".join(scripts).encode("utf-8", "surrogateescape")).hexdigest()
