"""A part's script as a job on its host: it outlives the connection, is found again by its id, and runs once per id."""

from __future__ import annotations

import os
import re
import secrets
import shlex
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from wizard.errors import StepFailed, WaitsForOwner
from wizard.template import text

if TYPE_CHECKING:
    import threading

    from wizard.remote.shell import Shell


@dataclass(frozen=True)
class JobState:
    """What the host says of a job: `word` is running, ended, interrupted or absent; `rc` where it ended by exit."""

    word: str
    rc: int | None = None

    @property
    def succeeded(self) -> bool:
        return self.word == "ended" and self.rc == 0


@dataclass(frozen=True)
class Lease:
    """Who works on the host: the journal's lineage and last event. `take_over` replaces somebody else's."""

    lineage: str
    serial: int
    take_over: bool = False


def new_id(step: str) -> str:
    """A new attempt's id, readable in `systemctl` and sortable by time: 20261123-071530-bridge.port-1f3a."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{step}-{secrets.token_hex(2)}"


def parse_state(line: str) -> JobState:
    """The line that `state` prints. A job killed by a stop, a reboot or its time limit is interrupted, not ended."""
    match line.split():
        case ["ended", _, "exited", status] if status.isdigit():
            return JobState("ended", int(status))
        case ["ended", *_] | ["interrupted"]:
            return JobState("interrupted")
        case [("running" | "absent") as word]:
            return JobState(word)
        case _:
            raise StepFailed(f"the host's answer about a job cannot be understood: {line!r}")


def start(connection: Shell, attempt: str, script: str, *, limit: int, lease: Lease) -> JobState:
    """Claims `attempt` and starts its script; an attempt claimed before is only looked at.

    Raises `WaitsForOwner` when another script of ours runs there, or another journal owns the host.
    """
    values = {
        "limit": str(limit),
        "lineage": lease.lineage,
        "serial": str(lease.serial),
        "who": f"{os.environ.get('USER', 'somebody')} on {socket.gethostname()}",
        "take_over": "yes" if lease.take_over else "no",
    }
    answer = connection.run(_script("start", attempt, **values), stdin=script.encode("utf-8", "surrogateescape"))
    line = (answer.text.strip().splitlines() or [""])[-1]
    match answer.rc, line.partition(" ")[::2]:
        case 0, _:
            return parse_state(line)
        case 73, (_, unit):
            raise WaitsForOwner(
                f"another script of the wizard runs there: {unit}",
                where=connection.host,
                cure="wait until it has ended, then start again",
            )
        case 77, (_, who):
            raise WaitsForOwner(
                f"another wizard's journal owns this host: {who}",
                where=connection.host,
                why="the cluster was set up from another machine or another user account",
                cure="go on there, or take over with --take-over",
            )
        case 78, (_, serial):
            raise WaitsForOwner(
                f"the journal here is older than the work done on the host (event {serial} there)",
                where=connection.host,
                why="the state directory was restored from a copy",
                cure="use the newer copy, or go on with --take-over: the host itself is asked what is done",
            )
        case _:
            raise StepFailed(
                "the script could not be started", where=connection.host, why=answer.complaint, tail=answer.text
            )


def follow(
    connection: Shell, attempt: str, offset: int, on_output: Callable[[bytes], None], stop: threading.Event
) -> JobState:
    """Passes on the job's log from byte `offset`, until it has ended or `stop` is set; then looks at its state."""
    connection.stream(_script("follow", attempt, offset=str(offset)), on_output, stop=stop)
    return state(connection, attempt)


def state(connection: Shell, attempt: str) -> JobState:
    return parse_state(_answer(connection, _script("state", attempt)))


def stop(connection: Shell, attempt: str) -> JobState:
    """Ends the script and all that it started (its control group)."""
    return parse_state(_answer(connection, _script("stop", attempt), limit=60))


def _answer(connection: Shell, script: str, limit: float = 30) -> str:
    answer = connection.run(script, limit=limit)
    if answer.rc != 0:
        raise StepFailed("the job could not be looked at", where=connection.host, why=answer.complaint)
    return answer.text.strip()


def _script(verb: str, attempt: str, **values: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.@_-]+", attempt):
        raise ValueError(attempt)
    head = "\n".join(f"{name}={shlex.quote(value)}" for name, value in {"verb": verb, "id": attempt, **values}.items())
    return f"{head}\n{text('host/job.sh')}"
