"""The guard of a change that may cut SSH: looked at, kept or reverted (templates/host/guard.sh does it on the host)."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wizard.errors import StepFailed
from wizard.model import Probe

if TYPE_CHECKING:
    from wizard.remote.shell import Shell

_HOME = "/var/lib/homek8s-wizard/guard"


@dataclass(frozen=True)
class GuardState:
    """`seconds` until the host reverts by itself, None when nothing waits; `outcome` is the host's word on it."""

    seconds: float | None
    outcome: str = ""

    @property
    def waits(self) -> bool:
        return self.seconds is not None


def look(connection: Shell, attempt: str) -> GuardState:
    """Whether this attempt's guard is armed, else what became of it: "kept", "reverted timer", … or ""."""
    answer = connection.run(
        f'[ "$(cat {_HOME}/pending 2>/dev/null)" != {attempt} ] || '
        f'{{ echo "waits $(($(cat {_HOME}/deadline) - $(cut -d. -f1 /proc/uptime)))"; exit 0; }}\n'
        f"echo over; cat {_HOME}/outcome 2>/dev/null || true"
    )
    match answer.text.split(maxsplit=2):
        case ["waits", seconds]:
            return GuardState(float(seconds))
        case ["over", of, outcome] if of == attempt:
            return GuardState(None, outcome.strip())
        case ["over", *_]:
            return GuardState(None)
        case _:
            raise StepFailed("the guard could not be looked at", where=connection.host, why=answer.complaint)


def keep(connection: Shell, attempt: str) -> bool:
    """Confirms the change. False: too late, the host has gone back already (exactly one of the two wins)."""
    answer = connection.run(f"sh {_HOME}/script {attempt} keep")
    if answer.rc not in (0, 75):
        raise StepFailed("the change could not be confirmed", where=connection.host, why=answer.complaint)
    return answer.rc == 0


def revert(connection: Shell, attempt: str) -> None:
    """Starts going back now; detached, because it may cut this very connection."""
    connection.run(f"systemd-run -q --collect --unit=hk8s-guard-now /bin/sh {_HOME}/script {attempt} revert owner")


def ask(connection: Shell, probes: Sequence[Probe]) -> tuple[bool, ...]:
    """What holds now, one answer per probe, in one round trip."""
    if not probes:
        return ()
    script = "\n".join(f"{shlex.join(probe.argv)} >/dev/null 2>&1 && echo yes || echo no" for probe in probes)
    return tuple(word == "yes" for word in connection.run(script, limit=15 * len(probes)).text.split())
