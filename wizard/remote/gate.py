"""How a script gets to run on a host: through the account's login shell, through sudo where needed, into a clean `sh`.

Nothing is sent before the `sh` behind the gate has said READY on both streams; what login shells and sudo print until
then is dropped. A password is sent only after sudo's prompt, which carries a nonce, was seen: on a host that asks for
none (NOPASSWD) a password sent at once would become input of the command (RELIABILITY 3.5).
"""

from __future__ import annotations

import re
import secrets
import shlex
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from wizard.errors import HostUnavailable
from wizard.events import SecretKind
from wizard.model import Secret
from wizard.remote.login import TRIES, Login
from wizard.remote.wire import Wire

if TYPE_CHECKING:
    import threading

PATIENCE = 45.0
"""Seconds a host may take from the request to READY: slow profiles, sudo looking its own name up (10 s and more)."""
_NOISE = 256 * 1024
"""So much chatter of a login shell is looked through for READY, the oldest is forgotten."""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ENVIRONMENT = f"PATH={_PATH}:$PATH LC_ALL=C; export PATH LC_ALL; unset LANGUAGE CDPATH ENV BASH_ENV; umask 022; cd /"


def script_body(size: int, nonce: str) -> str:
    """Shell text that reads a script of `size` bytes from stdin and runs it; what follows on stdin is the script's."""
    return _body(size, nonce, 'eval "$s"')


def lone_body(size: int, nonce: str) -> str:
    """As `script_body`, but the script has no stdin, and stdin need not end.

    An end of stdin that is sent while the host closes the channel makes its sshd end the whole connection.
    """
    return _body(size, nonce, 'eval "$s" </dev/null')


def followed_body(size: int, nonce: str) -> str:
    """As `script_body`, but the script has no stdin, and is ended when the connection is: stdin's end means that."""
    watch = "exec 3<&0; { cat <&3; kill 0; } >/dev/null 2>&1 & exec 3<&- </dev/null"
    return _body(size, nonce, f'{watch}; eval "$s"')


def _body(size: int, nonce: str, run: str) -> str:
    """dd, because it alone reads exactly so much from a pipe everywhere; the nonce at the end proves that all came."""
    read = f"s=$(dd bs={size} count=1 iflag=fullblock 2>/dev/null)"
    return f'{read}; case $s in *{nonce}) {run};; *) echo "the script arrived damaged" >&2; exit 70;; esac'


def signed(script: str, nonce: str) -> bytes:
    """The script as `script_body` wants it. Raises ValueError for a NUL, which no shell can hold."""
    if "\0" in script:
        raise ValueError("a script cannot contain NUL")
    return f"{script}\n#{nonce}".encode("utf-8", "surrogateescape")


def new_nonce() -> str:
    return secrets.token_hex(8)


def _command(body: str, nonce: str, *, sudo: bool, root: bool) -> str:
    """What the login shell is given. It may be sh, bash, zsh, fish or csh: plain words and one single-quoted string."""
    home = "HOME=/root; export HOME; " if root else ""
    inner = f"{_ENVIRONMENT}; {home}echo hk-ready-{nonce}; echo hk-ready-{nonce} >&2; {body}"
    assert not set("'\n!\\") & set(inner), inner
    if sudo:
        return f"exec env LC_ALL=C sudo -k -S -p '[hk-{nonce}]' -- sh -c '{inner}'"
    return f"exec sh -c '{inner}'"


def plain_words(argv: Sequence[str]) -> str:
    """argv as text that needs no quotes in any shell. Raises ValueError when it would."""
    if not argv or any(shlex.quote(word) != word for word in argv):
        raise ValueError(f"only plain words can be run here: {argv!r}")
    return " ".join(argv)


def enter(
    start: Callable[[str], Wire], login: Login, body: str, nonce: str, *, root: bool
) -> tuple[Wire, bytes, bytes]:
    """A wire whose command is past READY and waits for the script, and what it has printed since, on both streams.

    `start` runs a command line. Raises `HostUnavailable` when there is no way to become root, or no shell.
    """
    sudo = root and login.destination.user != "root"
    password = _SudoPassword(login)
    try:
        while True:
            wire = start(_command(body, nonce, sudo=sudo, root=root))
            try:
                rest = _Gate(wire, login, nonce, password).passed()
            except BaseException:
                wire.close()
                raise
            if rest is not None:
                password.proved()
                return wire, *rest
            wire.close()
    finally:
        password.release()


class _SudoPassword:
    """The password for sudo, asked for when it is not known yet, counted when it is wrong."""

    def __init__(self, login: Login) -> None:
        self.login = login
        self.secrets, self.about = login.secrets, login.account
        self.wrong = 0
        self._given: Secret | None = None
        self._lock: threading.RLock | None = None

    def next(self, quote: str) -> Secret:
        """The password to try now; calling again means that the last one was wrong. Raises `HostUnavailable`."""
        if self._given is not None:
            self.refused(quote)
        if self._lock is None:
            self._lock = self.secrets.settling(SecretKind.SUDO, self.about)
            self._lock.acquire()
        known = self.secrets.get(SecretKind.SUDO, self.about)
        self._given = known or self.login.secret(SecretKind.SUDO, self.about, self.wrong + 1)
        if self._given is None:
            user = self.login.destination.user
            raise HostUnavailable(
                f"sudo refused the password of {user}, and no other was given{quote}"
                if self.wrong
                else f"sudo wants the password of {user}, and none was given",
                where=self.login.host,
                cure="give it when asked, or with --sudo-password-file",
            )
        if known:
            self.release()
        return self._given

    def refused(self, quote: str) -> None:
        """The password given last was wrong."""
        if self._given is not None:
            self.secrets.forget(SecretKind.SUDO, self.about, self._given)
            self._given = None
            self.wrong += 1
        if self.wrong >= TRIES:
            raise HostUnavailable(
                f"sudo refused the password of {self.login.destination.user} {TRIES} times{quote}",
                where=self.login.host,
                why="a typing mistake, another keyboard layout, or the account is locked after failed attempts",
                cure=f"try `sudo -v` there as {self.login.destination.user}, then try again here",
            )

    def proved(self) -> None:
        if self._given is not None:
            self.secrets.keep(SecretKind.SUDO, self.about, self._given)

    def untried(self) -> None:
        """sudo went away while the owner was typing (passwd_timeout): the password is for the next one."""
        self.proved()
        self._given = None

    def release(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None


class _Gate:
    """Watches one command line up to READY."""

    def __init__(self, wire: Wire, login: Login, nonce: str, password: _SudoPassword) -> None:
        self.wire, self.login, self.password = wire, login, password
        self.ready, self.prompt = f"hk-ready-{nonce}\n".encode(), f"hk-{nonce}]".encode()
        self.out, self.err = bytearray(), bytearray()
        self.deadline = time.monotonic() + PATIENCE

    def passed(self) -> tuple[bytes, bytes] | None:
        """What came behind READY on both streams; None when sudo gave up before all tries were used: start anew."""
        while not (self.ready in self.out and self.ready in self.err):
            out, err = self.wire.read(0.25)
            self.out, self.err = (self.out + out)[-_NOISE:], (self.err + err)[-_NOISE:]
            if self.prompt in self.err and self.ready not in self.err:
                self._answer()
            elif re.search(rb"sudo: [^\n]*expired", self.err):
                raise self._refusal()  # sudo would go on to ask for a new one
            elif self.wire.over and not (out or err):
                self._gave_up()
                return None
            elif time.monotonic() > self.deadline:
                raise self._silent()
        return bytes(self.out).split(self.ready, 1)[1], bytes(self.err).split(self.ready, 1)[1]

    def _answer(self) -> None:
        said, _, rest = bytes(self.err).partition(self.prompt)
        self.err = bytearray(rest)
        password = self.password.next(_quoted(said))
        self.wire.write(password.reveal().encode() + b"\n")
        self.deadline = time.monotonic() + PATIENCE

    def _gave_up(self) -> None:
        self.wire.rc()  # a broken link is said as such
        if b"timed out reading password" in self.err:
            self.password.untried()
        elif re.search(rb"incorrect password|try again", self.err):
            self.password.refused(_quoted(self.err))
        else:
            raise self._refusal()

    def _refusal(self) -> HostUnavailable:
        said = self.err.decode("utf-8", "replace") + self.out.decode("utf-8", "replace")
        user, host = self.login.destination.user, self.login.host
        for pattern, what, why, cure in _REFUSALS:
            if re.search(pattern, said):
                filled = (text.format(user=user) for text in (what, why, cure))
                what, why, cure = filled
                return HostUnavailable(what + _quoted(said.encode()), where=host, why=why, cure=cure)
        return HostUnavailable(
            f"no command can be run as {user}{_quoted(said.encode())}",
            where=host,
            why="the account's login shell runs no commands (nologin, or a menu)",
            cure=f"try `ssh {self.login.destination.typed} id`; give the account a usual shell with chsh",
        )

    def _silent(self) -> HostUnavailable:
        return HostUnavailable(
            f"no shell within {PATIENCE:.0f} s{_quoted(self.err + self.out)}",
            where=self.login.host,
            why="the login shell's profile waits or asks for something, sudo asks for more than a password, "
            "or the host cannot resolve its own name",
            cure=f"try `ssh {self.login.destination.typed} sudo -v` and see what it waits for",
        )


_REFUSALS = (
    (
        r"(?i)expired",
        "the password of {user} has expired",
        "the account's password is older than its policy allows",
        "log in there as {user} and run `passwd`, then try again",
    ),
    (
        r"not in the sudoers|may not run sudo|not allowed to (execute|run)",
        "{user} may not become root with sudo",
        "the account is not in the group sudo (or wheel)",
        "as root there: `adduser {user} sudo`, then try again; or log in as root",
    ),
    (
        r"have a tty",
        "sudo wants a terminal (requiretty)",
        "sudoers says `Defaults requiretty`",
        "as root there: `visudo -f /etc/sudoers.d/homek8s`, with the line `Defaults:{user} !requiretty`",
    ),
    (
        r"sudo['’\": ].*(No such file|not found)",
        "there is no sudo",
        "it is not installed",
        "as root there: `apt install sudo && adduser {user} sudo`; or log in as root",
    ),
)


def _quoted(said: bytes | bytearray) -> str:
    """The last lines of what was said, for an error's first sentence."""
    text = re.sub(r"\[?hk-[0-9a-f]{16}]|[^\x20-\x7e\n]", "", bytes(said).decode("utf-8", "replace"))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f": “{' / '.join(lines[-3:])[:300]}”" if lines else ""
