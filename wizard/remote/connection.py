"""A host over SSH: scripts run there as root, in full, streamed, or as a raw pipe; never longer than their deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from wizard.errors import HostUnavailable, TookTooLong
from wizard.model import Output
from wizard.remote.gate import enter, followed_body, lone_body, new_nonce, plain_words, script_body, signed
from wizard.remote.handshake import open_transport
from wizard.remote.heartbeat import Heartbeat
from wizard.remote.known_hosts import PublicKey
from wizard.remote.login import Login
from wizard.remote.wire import Wire, lost

if TYPE_CHECKING:
    import paramiko

MIB = 1024 * 1024
CHANNELS = 4
"""At once on one connection; sshd's MaxSessions is 10 by default, and a channel is closed later than it seems."""
_SESSION_PATIENCE = 10.0
_TICK = 0.25
_WRITING_TICK = 0.01


@dataclass(frozen=True)
class Answer(Output):
    """What a script printed and its exit status (`wire.KILLED` after a signal)."""

    dropped: int = 0
    """Bytes of stdout beyond what was asked to be kept; the first ones are in `out`."""


@dataclass(frozen=True)
class Ends:
    """The two ends of the connection as the host sees them ($SSH_CONNECTION, ssh(1)); behind a NAT or a jump host,
    `client` is that one's address."""

    client: str
    host: str


def connect(login: Login, *, address: str | None = None, timeout: float = 20) -> Connection:
    """A new connection, over new TCP, through the destination's jump hosts, asking the owner where needed.

    `address` is dialled in place of the destination's; the host must still show the destination's key. `timeout` is in
    seconds, for each of: reaching it, its banner, its key. Raises `HostUnavailable`.
    """
    transports: list[paramiko.Transport] = []
    try:
        for hop in login.jumps:
            transports.append(open_transport(hop, _last(transports), None, timeout)[0])
        transport, key = open_transport(login, _last(transports), address, timeout)
    except BaseException:
        for below in reversed(transports):
            below.close()
        raise
    reached = (address or login.destination.host) if transports else str(transport.getpeername()[0])
    return Connection(login, transport, transports, key, reached)


def _last(transports: Sequence[paramiko.Transport]) -> paramiko.Transport | None:
    return transports[-1] if transports else None


class Connection:
    """An authenticated connection. Any thread may use it, each call has a channel of its own, at most four at once.

    When the link breaks, every call under way raises `HostLostError`, within 20 s of the peer's death.
    """

    def __init__(
        self,
        login: Login,
        transport: paramiko.Transport,
        below: Sequence[paramiko.Transport],
        key: PublicKey,
        address: str,
    ) -> None:
        self.login = login
        self.host = login.host
        self.host_key = key
        """What the host identified itself with; `host_key.fingerprint` as ssh prints it."""
        self.address = address
        """What was dialled: an IP address, or beyond jump hosts the name that the last of them resolved."""
        self._transport, self._below = transport, tuple(below)
        self._slots = threading.BoundedSemaphore(CHANNELS)
        # TCP itself notices a dead peer, but beyond a jump host there is another TCP connection, not ours.
        every, patience = (5, 12) if below else (20, 60)
        self._heartbeat = Heartbeat(transport, every=every, patience=patience)

    def run(
        self, script: str, *, stdin: bytes = b"", limit: float = 60, root: bool = True, keep: int = 4 * MIB
    ) -> Answer:
        """Run a POSIX sh script and wait for it: as root, in /, LC_ALL=C, umask 022, a PATH with sbin.

        At most `keep` bytes of stdout and 64 KiB of stderr are kept, the first of each. After `limit` seconds (from its
        start, what sudo asks apart) raises `TookTooLong`; the script then goes on until it notices that nobody
        reads. Raises `HostLostError` when the link breaks, `HostUnavailable` without root.
        """
        out, err = Kept(keep), Kept(64 * 1024)
        body = script_body if stdin else lone_body
        with self._slot(limit), self._entered(script, body, root, out.add, err.add) as wire:
            if stdin:
                wire.write(stdin, last=True)
            rc = self._pump(wire, out.add, err.add, time.monotonic() + limit, None)
        assert rc is not None
        return Answer(rc, bytes(out.data), bytes(err.data), out.dropped)

    def stream(
        self,
        script: str,
        on_output: Callable[[bytes], None],
        *,
        stop: threading.Event | None = None,
        on_error: Callable[[bytes], None] = lambda chunk: None,
        limit: float | None = None,
        root: bool = True,
    ) -> int | None:
        """As `run`, but stdout goes to `on_output` as it arrives, for as long as it takes; the script has no stdin.

        The exit status; None after `stop` was set, which ends the script too (TERM), as does the end of the connection.
        """
        deadline = None if limit is None else time.monotonic() + limit
        with self._slot(limit or 60), self._entered(script, followed_body, root, on_output, on_error) as wire:
            return self._pump(wire, on_output, on_error, deadline, stop)

    def pipe(self, argv: Sequence[str], *, root: bool = True) -> Pipe:
        """A command's stdin and stdout, raw. It takes one of the four channels until it is closed.

        `argv` must be plain words (ValueError).
        """
        self._take_slot(60)
        try:
            nonce = new_nonce()
            wire, *rest = enter(self._start, self.login, f"exec {plain_words(argv)}", nonce, root=root)
        except BaseException:
            self._slots.release()
            raise
        return Pipe(wire, rest[0], rest[1], self._slots.release)

    def close(self) -> None:
        self._heartbeat.stop()
        for transport in (self._transport, *reversed(self._below)):
            transport.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def alive(self) -> bool:
        return all(transport.is_active() for transport in (self._transport, *self._below))

    @cached_property
    def ends(self) -> Ends:
        """Asked of the host once."""
        fields = self.run('printf %s "$SSH_CONNECTION"', root=False, limit=20).text.split()
        if len(fields) != 4:
            raise HostUnavailable("the host does not say on which address it was reached", where=self.host)
        return Ends(fields[0], fields[2])

    # ------------------------------------------------------------ inside

    @contextmanager
    def _entered(
        self,
        script: str,
        body: Callable[[int, str], str],
        root: bool,
        on_output: Callable[[bytes], None],
        on_error: Callable[[bytes], None],
    ) -> Iterator[Wire]:
        """A wire that has been sent the script."""
        nonce = new_nonce()
        payload = signed(script, nonce)
        wire, out, err = enter(self._start, self.login, body(len(payload), nonce), nonce, root=root)
        try:
            on_output(out)
            on_error(err)
            wire.write(payload)
            yield wire
        finally:
            wire.close()

    def _pump(
        self,
        wire: Wire,
        on_output: Callable[[bytes], None],
        on_error: Callable[[bytes], None],
        deadline: float | None,
        stop: threading.Event | None,
    ) -> int | None:
        while True:
            out, err = wire.read(_WRITING_TICK if wire.writing else _TICK)
            if out:
                on_output(out)
            if err:
                on_error(err)
            if stop is not None and stop.is_set():
                return None
            if not out and not err and wire.over:
                return wire.rc()
            if deadline is not None and time.monotonic() > deadline:
                raise TookTooLong(
                    "a command did not end in time", where=self.host, why="the host is very busy, or hangs"
                )

    @contextmanager
    def _slot(self, limit: float) -> Iterator[None]:
        self._take_slot(limit)
        try:
            yield
        finally:
            self._slots.release()

    def _take_slot(self, limit: float) -> None:
        if not self._slots.acquire(timeout=limit):
            raise TookTooLong(f"{CHANNELS} other commands are still running", where=self.host)

    def _start(self, command: str) -> Wire:
        channel = self._session()
        try:
            channel.exec_command(command)
        except Exception as failure:
            channel.close()
            raise lost(self.host) from failure
        return Wire(channel, self._transport, self.host)

    def _session(self) -> paramiko.Channel:
        """A new channel; one that the host refuses for now (MaxSessions) is asked for again. Raises `HostLostError`."""
        import paramiko

        deadline, pause = time.monotonic() + _SESSION_PATIENCE, 0.05
        while True:
            try:
                return self._transport.open_session(timeout=20)
            except (paramiko.SSHException, EOFError, OSError) as refusal:
                # Refused is a ChannelException, but to one thread only when several are refused at once.
                if not self._transport.is_active():
                    raise lost(self.host) from refusal
                if time.monotonic() > deadline:
                    raise HostUnavailable(
                        f"the host opens no more sessions ({refusal})",
                        where=self.host,
                        why="MaxSessions in its sshd_config is very low",
                        cure="set `MaxSessions 10` there and reload ssh",
                    ) from refusal
            time.sleep(pause)
            pause = min(2 * pause, 1.0)


class Pipe:
    """A command's raw stdin and stdout. `recv` in one thread, `sendall` in one, `close` in any."""

    def __init__(self, wire: Wire, out: bytes, err: bytes, on_close: Callable[[], None]) -> None:
        self._wire, self._first = wire, out
        self._err = Kept(4096)
        self._err.add(err)
        self._on_close: Callable[[], None] | None = on_close
        self._closing = threading.Lock()

    def recv(self) -> bytes:
        """The next bytes of stdout, waiting for them; empty once the command ended, the link broke or `close` came."""
        out, self._first = self._first, b""
        while not out and not self._wire.over:
            out, err = self._wire.read(_TICK)
            self._err.add(err)
        return out

    @property
    def complaint(self) -> str:
        """What the command said on stderr so far, at most 4 KiB."""
        return self._err.data.decode("utf-8", "replace")

    def sendall(self, data: bytes) -> None:
        """Send to stdin. Raises OSError when the command has ended or the link is broken."""
        channel = self._wire.channel
        channel.settimeout(None)
        channel.sendall(data)

    def close(self) -> None:
        with self._closing:
            self._wire.close()
            if self._on_close:
                self._on_close()
                self._on_close = None


class Kept:
    """The first `room` bytes of a stream; the rest is counted."""

    def __init__(self, room: int) -> None:
        self.data, self.dropped, self._room = bytearray(), 0, room

    def add(self, chunk: bytes) -> None:
        kept = chunk[: max(self._room - len(self.data), 0)]
        self.data += kept
        self.dropped += len(chunk) - len(kept)
