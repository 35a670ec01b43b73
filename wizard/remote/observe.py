"""All facts of a host in one round trip: one script runs every command, four at a time, and frames what it printed."""

from __future__ import annotations

import dataclasses
import queue
import secrets
import shlex
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from wizard.errors import TookTooLong, WizardError
from wizard.model import AnyFact, Fact, FactError, Known, LibvirtFact, Output, Seen, Unseen
from wizard.remote.connection import MIB, Connection
from wizard.remote.libvirt_tunnel import CannotTell, LibvirtTunnel
from wizard.remote.shell import Shell
from wizard.remote.wire import lost

OUT_CAP = MIB
ERR_CAP = 4096
_LANES = 4
_GRACE = 10.0
_OPEN_LIMIT = 15.0
"""Seconds to open libvirt, which systemd may have to start first."""

_ENDING = 5.0

_PROLOGUE = """\
d=$(mktemp -d /run/hk8s-facts.XXXXXX 2>/dev/null || mktemp -d) || exit 71
trap 'rm -rf "$d"' EXIT
trap 'exit 143' HUP INT TERM PIPE
# One command: stdout and stderr to files, cut at their caps; both readers end with the command's time. All facts
# together run hundreds of programs on a host, so what a shell can do by itself is not given to one more.
fact() { # PLACE SECONDS COMMAND
  timeout -k 2 "$2" sh -c '
    f=$1 command=$2; set --
    { { (eval "$command") 3>&- </dev/null; echo $? >"$f.rc"; } 2>&1 >&3 3>&- |
      { head -c ERR_CAP >"$f.err"; ! read -r more || cat >/dev/null; }
    } 3>&1 | head -c MOST >"$f.out"
  ' fact "$d/$1" "$3"
  # Also late: a process left behind that still holds the output. What was read of it until then is not all.
  case $? in 124|137) echo 124 >"$d/$1.rc";; esac
}
"""

_EPILOGUE = """\
wait
{
  cd "$d"
  files='' bodies='' i=0
  while [ "$i" -lt COUNT ]; do
    : >>"$i.out" >>"$i.err"
    files="$files $i.out $i.err" i=$((i + 1))
  done
  set -- $(wc -c $files)
  i=0
  while [ "$i" -lt COUNT ]; do
    read -r rc <"$i.rc" && [ -n "$rc" ] || rc=70
    if [ "$1" -gt OUT_CAP ]; then echo "NONCE $i $rc big 0 0"
    else
      echo "NONCE $i $rc whole $1 $3"
      bodies="$bodies $i.out $i.err"
    fi
    shift 4
    i=$((i + 1))
  done
  echo 'NONCE end'
  [ -z "$bodies" ] || cat $bodies
} 2>/dev/null
"""


@dataclass(frozen=True)
class _Frame:
    output: Output
    too_big: bool

    def at(self, asked: tuple[float, float]) -> _Frame:
        return _Frame(dataclasses.replace(self.output, asked=asked), self.too_big)


def observe(connection: Shell, facts: Sequence[AnyFact[Any]]) -> dict[str, Seen]:
    """What the host says now, by fact id, for every fact. Raises `HostLostError` and `HostUnavailable` alone."""
    commands = [fact for fact in facts if isinstance(fact, Fact)]
    through_libvirt = [fact for fact in facts if isinstance(fact, LibvirtFact)]
    reading = None
    if through_libvirt:
        assert isinstance(connection, Connection), "libvirt is asked over SSH alone"
        reading = _Reading(connection, through_libvirt)
    try:
        seen = _run(connection, commands) if commands else {}
        return {**seen, **(reading.result() if reading else {})}
    finally:
        if reading:
            reading.end()


def measure(connection: Shell, fact: Fact[Any], on_words: Callable[[bytes], None]) -> Seen:
    """What one costly fact says, in a channel of its own; what it prints on stderr goes to `on_words` meanwhile.

    Its command is ended (TERM) after its limit. Raises `HostLostError` and `HostUnavailable`.
    """
    out, err = bytearray(), bytearray()

    def heard(chunk: bytes) -> None:
        err.extend(chunk)
        on_words(chunk)

    try:
        rc = connection.stream(f"sh -c {shlex.quote(fact.command)}", out.extend, on_error=heard, limit=fact.limit)
    except TookTooLong:
        return Unseen(f"no answer within {fact.limit} s")
    assert rc is not None
    return _seen(fact, _Frame(Output(rc, bytes(out), bytes(err[-ERR_CAP:])), len(out) > OUT_CAP))


# ---------------------------------------------------------------- commands


def _run(connection: Shell, facts: Sequence[Fact[Any]]) -> dict[str, Seen]:
    nonce, began = secrets.token_hex(16), time.time()
    try:
        answer = connection.run(
            facts_script(facts, nonce), limit=_longest(facts) + _GRACE, keep=len(facts) * (OUT_CAP + ERR_CAP + 256)
        )
    except TookTooLong as late:
        return {fact.id: Unseen(f"the host did not answer in time ({late.what})") for fact in facts}
    frames, asked = parse_frames(answer.out, nonce), (began, time.time())
    broken = Unseen(f"the host's answer broke off{f': {answer.complaint[-200:]}' if answer.complaint else ''}")
    return {
        fact.id: _seen(fact, frames[place].at(asked)) if place in frames else broken for place, fact in enumerate(facts)
    }


def _longest(facts: Sequence[Fact[Any]]) -> float:
    """Seconds until the slowest lane must have ended."""
    return max((sum(fact.limit + 2 for fact in facts[lane::_LANES]) for lane in range(_LANES)), default=0)


def facts_script(facts: Sequence[Fact[Any]], nonce: str) -> str:
    """The sh script that runs all commands and prints a frame for each.

    A line for each, `NONCE place rc whole|big OUT ERR` (the lengths in bytes), then `NONCE end`, then all those bytes.
    """
    lanes = []
    for lane in range(_LANES):
        calls = [
            f"fact {place} {fact.limit} {shlex.quote(fact.command)}"
            for place, fact in enumerate(facts)
            if place % _LANES == lane
        ]
        if calls:
            lanes.append("{\n" + "\n".join(calls) + "\n} </dev/null >/dev/null 2>&1 &\n")
    constants = {
        "ERR_CAP": ERR_CAP,
        "OUT_CAP": OUT_CAP,
        "MOST": OUT_CAP + 1,
        "COUNT": len(facts),
        "NONCE": nonce,
    }
    return _filled(_PROLOGUE, constants) + "".join(lanes) + _filled(_EPILOGUE, constants)


def _filled(text: str, constants: Mapping[str, object]) -> str:
    for name, value in constants.items():
        text = text.replace(name, str(value))
    return text


def parse_frames(stream: bytes, nonce: str) -> dict[int, _Frame]:
    """The frames up to the first that is damaged; lengths, never contents, say where one ends."""
    return dict(_frames(stream, f"{nonce} ".encode()))


def _frames(stream: bytes, mark: bytes) -> Iterator[tuple[int, _Frame]]:
    head, found, bodies = stream.partition(mark + b"end\n")
    at = 0
    for line in head.split(b"\n")[:-1] if found else ():
        fields = line.removeprefix(mark).split()
        if (
            not line.startswith(mark)
            or len(fields) != 5
            or not all(fields[number].isdigit() for number in (0, 1, 3, 4))
        ):
            return
        place, rc, out, err = (int(fields[number]) for number in (0, 1, 3, 4))
        start, at = at, at + out + err
        if at > len(bodies):
            return
        yield place, _Frame(Output(rc, bodies[start : start + out], bodies[start + out : at]), fields[2] == b"big")


def _seen(fact: Fact[Any], frame: _Frame) -> Seen:
    if frame.too_big:
        return Unseen("more than 1 MiB of output")
    if frame.output.rc in (124, 137):
        return Unseen(f"no answer within {fact.limit} s")
    return _parsed(partial(fact.parse, frame.output))


def _parsed(read: Callable[[], Any]) -> Seen:
    try:
        return Known(read())
    except FactError as unclear:
        return Unseen(str(unclear))
    except Exception as unclear:  # a parser, or libvirt, may stumble over anything; the rest is still seen
        return Unseen(f"not understood ({type(unclear).__name__}: {str(unclear)[:200]})")


# ---------------------------------------------------------------- libvirt


class _Reading:
    """The libvirt facts, read in a thread beside the script; what takes too long there is cut off."""

    def __init__(self, connection: Connection, facts: Sequence[LibvirtFact[Any]]) -> None:
        self._facts = facts
        self._connection = connection
        self._tunnel: LibvirtTunnel | None = None
        self._reached = threading.Event()
        """The tunnel is there, or will not be: what comes before may wait for the owner to type a password."""
        self._answers: queue.SimpleQueue[Seen | WizardError] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, daemon=True, name=f"libvirt {connection.host}")
        self._thread.start()

    def result(self) -> dict[str, Seen]:
        """Raises what the connection raised, `HostLostError` also when libvirt only noticed that it is gone."""
        self._reached.wait()
        seen: dict[str, Seen] = {}
        limit = _OPEN_LIMIT
        for fact in self._facts:
            try:
                answer = self._answers.get(timeout=limit + fact.limit)
            except queue.Empty:
                break
            if isinstance(answer, WizardError):
                raise answer
            seen[fact.id], limit = answer, 0
        if not self._connection.alive:
            raise lost(self._connection.host)
        unanswered = Unseen("libvirt did not answer in time")
        return {fact.id: seen.get(fact.id, unanswered) for fact in self._facts}

    def end(self) -> None:
        """Whatever still waits in libvirt fails now; returns when the tunnel is gone."""
        if self._reached.wait(_ENDING) and self._tunnel:
            self._tunnel.close()
        self._thread.join(_ENDING)

    def _work(self) -> None:
        try:
            with self._reaching() as tunnel:
                opened = tunnel.open()
                for fact in self._facts:
                    self._answers.put(_parsed(partial(fact.read, opened)))
                if opened is not None:
                    with suppress(Exception):  # libvirtError, which is not imported here
                        opened.close()
        except (CannotTell, TookTooLong, OSError) as unclear:
            for _ in self._facts:
                self._answers.put(Unseen(str(unclear)))
        except WizardError as failure:
            self._answers.put(failure)

    def _reaching(self) -> LibvirtTunnel:
        try:
            self._tunnel = LibvirtTunnel(self._connection)
        finally:
            self._reached.set()
        return self._tunnel
