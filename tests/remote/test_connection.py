"""Scripts on a host, over a real sshd."""

from __future__ import annotations

import threading

import pytest

from wizard.errors import HostLostError, TookTooLong
from wizard.remote.connection import Connection


def test_run_returns_both_streams_and_the_status(connection: Connection) -> None:
    answer = connection.run("echo out; echo err >&2; exit 3")
    assert (answer.rc, answer.out, answer.err) == (3, b"out\n", b"err\n")
