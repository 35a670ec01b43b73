"""One part: its script started as a job, followed through lost connections to its end, and if guarded, settled."""

from __future__ import annotations

import contextlib
import shlex
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from wizard.actions import Hole, SecretFile
from wizard.engine.hosts import Hosts
from wizard.errors import HostLostError, HostUnavailable, StepFailed
from wizard.events import Observer, PartFinished, PartOutput, PartStarted
from wizard.journal import Entry, Journal
from wizard.model import Guard, Part, Secret
from wizard.remote import job
from wizard.remote.console import host_key
from wizard.remote.job import JobState, Lease
from wizard.remote.known_hosts import PublicKey
from wizard.remote.redact import Redactor
from wizard.remote.sanitise import Sanitiser
from wizard.remote.shell import HOME, Shell

T = TypeVar("T")

TAIL_LINES = 15
MINTING = 60
"""Seconds in which a host has minted a secret."""
FORGOTTEN = 'find "${place%/*}" -mindepth 1 -maxdepth 1 -mmin +15 -exec rm -rf {} + 2>/dev/null'
"""Takes away what was brought for a script that never began, or was not there to clean up."""
MOST_OF_A_CONSOLE = 1024 * 1024


class LetGo(Exception):
    """The owner stopped watching: the script goes on on its host."""


@dataclass
class Control:
    """What the owner may say while a script runs; looked at between and during parts."""

    stop_after: threading.Event
    end_now: threading.Event
    let_go: threading.Event

    @classmethod
    def new(cls) -> Control:
        return cls(threading.Event(), threading.Event(), threading.Event())

    @property
    def wanted(self) -> bool:
        return self.stop_after.is_set() or self.end_now.is_set() or self.let_go.is_set()


@dataclass(frozen=True)
class Attempt:
    """One run of one part, as the journal's `intent` event holds it, before the host knows of it."""

    id: str
    step: str
    target: str
    host: str
    part: int
    parts: int
    title: str
    script: str
    limit: int
    guard: Guard | None
    holes: tuple[Hole, ...] = ()
    """The secrets that are brought to the host before the script is; none are when it is picked up again."""

    @classmethod
    def of(cls, step: str, target: str, part: Part, script: str, number: int, count: int) -> Attempt:
        holes = tuple(hole for action in part.actions if isinstance(action, SecretFile) for hole in action.holes)
        of = (job.new_id(step), step, target, part.on, number, count, part.title, script, part.limit, part.guard)
        return cls(*of, holes)


class Runner:
    """Runs attempts on hosts, keeps each one's raw log in the state directory, and tells what it sees."""

    def __init__(self, hosts: Hosts, journal: Journal, tell: Observer, control: Control, take_over: bool) -> None:
        self._hosts, self._journal, self._tell = hosts, journal, tell
        self._control, self._take_over = control, take_over
        self._logs = journal.directory / "logs"

    def start(self, attempt: Attempt) -> JobState:
        """Writes the intent down, then starts the job; looked at, not started, where the host has it already."""
        self._journal.append(
            "intent",
            attempt.step,
            attempt.target,
            attempt.id,
            host=attempt.host,
            part=attempt.part,
            parts=attempt.parts,
            title=attempt.title,
            script=attempt.script,
            limit=attempt.limit,
            reach=list(attempt.guard.reach) if attempt.guard else None,
            probes=[[probe.title, *probe.argv] for probe in attempt.guard.probes] if attempt.guard else None,
        )
        for hole in attempt.holes:
            self._bring(attempt, hole)
        lease = Lease(self._journal.lineage, self._journal.serial, self._take_over)
        return self._insist(
            attempt,
            lambda connection: job.start(connection, attempt.id, attempt.script, limit=attempt.limit, lease=lease),
        )

    def _bring(self, attempt: Attempt, hole: Hole) -> None:
        """Has the secret minted, and lays it down on the attempt's host, 0600; it passes through memory alone."""
        minted = self._insist_on(hole.on, lambda connection: connection.run(shlex.join(hole.argv), limit=MINTING))
        if minted.rc or not minted.out.strip():
            raise StepFailed(
                f"{hole.words} could not be had", where=hole.on, why=minted.complaint, tail=minted.complaint
            )
        self._hosts.mask(Secret(minted.text.strip()))
        clean = f'rm -rf "$place"; {FORGOTTEN}; mkdir -p "$place"; ' if hole == attempt.holes[0] else ""
        script = f'umask 077; place={HOME}/secrets/{attempt.id}; {clean}cat >"$place"/{hole.name}'
        laid = self._insist(attempt, lambda connection: connection.run(script, stdin=minted.out))
        if laid.rc:
            raise StepFailed(f"{hole.words} could not be laid down", where=attempt.host, why=laid.complaint)

    def state(self, attempt: Attempt) -> JobState:
        return self._insist(attempt, lambda connection: job.state(connection, attempt.id))

    def follow(self, attempt: Attempt) -> JobState:
        """Shows the log from where it was left, until the script has ended. Raises `LetGo` when the owner leaves."""
        began = time.monotonic()
        where = (attempt.step, attempt.target)
        self._tell(PartStarted(*where, attempt.part, attempt.parts, attempt.host, attempt.title, attempt.id))
        with self._log(attempt.id) as log:
            watch = threading.Event()
            over = threading.Event()
            watcher = threading.Thread(target=self._heed, args=(attempt, watch, over), daemon=True)
            watcher.start()
            sanitiser, redactor = Sanitiser(), Redactor(self._hosts.secrets())

            def show(chunk: bytes) -> None:
                log.write(chunk)
                log.flush()
                if text := redactor.feed(sanitiser.feed(chunk)):
                    self._tell(PartOutput(*where, attempt.host, text))

            try:
                state = self._insist(
                    attempt, lambda connection: job.follow(connection, attempt.id, log.tell(), show, watch)
                )
            finally:
                over.set()
                watcher.join()
            if text := redactor.feed(sanitiser.end()) + redactor.end():
                self._tell(PartOutput(*where, attempt.host, text))
        if state.word == "running":
            raise LetGo
        seconds = time.monotonic() - began
        self._tell(PartFinished(*where, attempt.part, attempt.host, -1 if state.rc is None else state.rc, seconds))
        self._journal.append("ended", *where, attempt.id, word=state.word, rc=state.rc, seconds=round(seconds, 1))
        return state

    def _heed(self, attempt: Attempt, watch: threading.Event, over: threading.Event) -> None:
        """Ends the script on the host when the owner says so, or stops watching it."""
        while not over.wait(0.1):
            if self._control.let_go.is_set():
                watch.set()
                return
            if self._control.end_now.is_set():
                with contextlib.suppress(HostLostError, HostUnavailable):
                    job.stop(self._hosts.connection(attempt.host), attempt.id)
                return

    def _insist_on(self, host: str, deed: Callable[[Shell], T]) -> T:
        """Does it over the connection in use, and once more over a new one where that turns out dead."""
        try:
            return deed(self._hosts.connection(host))
        except HostLostError:
            return deed(self._hosts.connection(host))

    def _insist(self, attempt: Attempt, deed: Callable[[Shell], T]) -> T:
        """Does it over the connection in use, and again over a new one each time that is lost."""
        connection = self._hosts.connection(attempt.host)
        while True:
            try:
                return deed(connection)
            except HostLostError as lost:
                if self._control.let_go.is_set():
                    raise LetGo from lost
                connection = self.regain(attempt, lost.what)

    def regain(self, attempt: Attempt, reason: str) -> Shell:
        """The host again, where it was or, after a change of its address, where it should be."""
        addresses = (None, *(attempt.guard.reach if attempt.guard else ()))
        try:
            return self._hosts.regain(attempt.host, reason, addresses=addresses, stop=self._control.let_go)
        except HostLostError as lost:
            if self._control.let_go.is_set():
                raise LetGo from lost
            raise

    # ------------------------------------------------------------ logs

    def _log(self, attempt_id: str) -> contextlib.AbstractContextManager[LogFile]:
        self._logs.mkdir(mode=0o700, exist_ok=True)
        return contextlib.closing(LogFile(self._logs / f"{attempt_id}.log"))

    def host_key(self, attempt_id: str) -> PublicKey | None:
        """The host key that an attempt found on a console and printed."""
        path = self._logs / f"{attempt_id}.log"
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - MOST_OF_A_CONSOLE))
            return host_key(file.read().decode("utf-8", "replace"))

    def tail(self, attempt_id: str, lines: int = TAIL_LINES) -> str:
        """The last lines of an attempt's log, as they may be shown."""
        return tail(self._logs / f"{attempt_id}.log", lines)


class LogFile:
    """An attempt's raw output, 0600; its size is the byte from which the host's log is asked for."""

    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600)
        self._file = path.open("ab")

    def write(self, chunk: bytes) -> None:
        self._file.write(chunk)

    def flush(self) -> None:
        self._file.flush()

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()


def tail(path: Path, lines: int) -> str:
    """The last `lines` lines of a raw log, sanitised; at most its last 64 KiB are read."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 65536))
        sanitiser = Sanitiser()
        text = sanitiser.feed(file.read()) + sanitiser.end()
    return "\n".join(text.splitlines()[-lines:])


def attempt_of(intent: Entry) -> Attempt:
    """The attempt that an `intent` event speaks of, to be picked up again."""
    from wizard.model import Probe

    said = intent.payload
    guard = None
    if said["reach"] is not None:
        guard = Guard(tuple(said["reach"]), tuple(Probe(title, tuple(argv)) for title, *argv in said["probes"]))
    return Attempt(
        intent.attempt,
        intent.step,
        intent.target,
        said["host"],
        said["part"],
        said["parts"],
        said["title"],
        said["script"],
        said["limit"],
        guard,
    )
