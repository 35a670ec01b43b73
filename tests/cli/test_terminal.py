"""The wizard on a real terminal: it opens, and it ends when the terminal goes."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).with_name("homek8s-wizard")


class Terminal:
    """A terminal of 80 by 24 with the wizard on it."""

    def __init__(self, directory: Path) -> None:
        self.master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (24, 80))
        self.process = subprocess.Popen(
            [COMMAND],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=directory,
            env={**os.environ, "TERM": "xterm-256color", "XDG_STATE_HOME": str(directory / "state")},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)

    def until(self, words: bytes) -> bytes:
        seen = b""
        while words not in seen:
            with suppress(OSError):  # EIO: the process has closed its side
                chunk = os.read(self.master, 65536)
                seen += chunk
                if chunk:
                    continue
            raise AssertionError(f"it ended before it said {words!r}: {seen[-2000:]!r}")
        return seen

    def hang_up(self) -> None:
        os.close(self.master)
        self.master = -1


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path)
    yield terminal
    terminal.process.kill()
    terminal.process.wait(10)
    if terminal.master >= 0:
        os.close(terminal.master)


def test_it_opens_with_a_welcome_and_f10_ends_it(terminal: Terminal) -> None:
    terminal.until(b"welcome")
    os.write(terminal.master, b"\x1b[21~")
    terminal.until(b"\x1b[?1049l")
    assert terminal.process.wait(20) == 0


def test_a_signal_leaves_the_terminal_as_it_was(terminal: Terminal) -> None:
    terminal.until(b"welcome")
    terminal.process.send_signal(signal.SIGTERM)
    terminal.until(b"\x1b[?1049l")
    assert terminal.process.wait(20) == 128 + signal.SIGTERM


def test_it_ends_with_its_terminal(terminal: Terminal) -> None:
    terminal.until(b"welcome")
    terminal.hang_up()
    assert terminal.process.wait(20) == 128 + signal.SIGHUP
