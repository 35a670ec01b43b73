"""The command as a process: exit statuses and words, without any host."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).with_name("homek8s-wizard")
Run = Callable[..., "subprocess.CompletedProcess[str]"]

GOOD = """\
name: aki
hypervisor:
  ssh: {ssh}
bridge:
  port: enp4s0
  addresses: [192.168.182.100/24]
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def run(*arguments: str, file: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        if file:
            (tmp_path / "cluster.yaml").write_text(file)
        state = {"XDG_STATE_HOME": str(tmp_path / "state"), **environment}
        return subprocess.run(
            [str(COMMAND), *arguments],
            cwd=tmp_path,
            env={**os.environ, **state},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A loopback port that is bound and does not listen: connections to it are refused."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


VERBS = ("plan", "apply", "status", "check")


@pytest.mark.parametrize("verb", [*VERBS, "export"])
def test_all_mistakes_are_said_at_once_with_their_lines(run: Run, verb: str) -> None:
    done = run(
        verb, file="name: aki\nhypervisor:\n  ssh: owner@192.0.2.1\nbridge:\n  prot: x\n  port: a/b\n  gateway: 1.2.3\n"
    )
    assert done.returncode == 2
    assert done.stdout == ""
    for place in ("cluster.yaml:5: bridge.prot", "cluster.yaml:6: bridge.port", "cluster.yaml:7: bridge.gateway"):
        assert place in done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_no_file_is_said_with_the_cure(run: Run, verb: str) -> None:
    done = run(verb)
    assert done.returncode == 2
    assert "cluster.yaml" in done.stderr


def test_an_unknown_name_is_bad_input_before_any_connection(run: Run) -> None:
    done = run("plan", "bridge.prot", "isolatd", file=GOOD.format(ssh="owner@192.0.2.1"))
    assert done.returncode == 2
    assert "bridge.prot" in done.stderr
    assert "isolatd" in done.stderr
    assert "bridge.port" in done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_a_host_that_refuses_is_status_4(run: Run, verb: str, closed_port: int) -> None:
    done = run(verb, file=GOOD.format(ssh=f"ssh://owner@127.0.0.1:{closed_port}"))
    assert done.returncode == 4
    assert "Next:" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "options",
    [
        ("--sudo-password-file", "missing"),
        ("--host-key", "nonsense"),
        ("--secrets", "missing.yaml"),
        ("--guard-seconds", "3"),
    ],
)
def test_a_bad_option_is_bad_input(run: Run, options: tuple[str, str]) -> None:
    done = run("apply", *options, file=GOOD.format(ssh="owner@192.0.2.1"))
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_undo_says_what_it_needs_to_know(run: Run) -> None:
    done = run("undo", file=GOOD.format(ssh="owner@192.0.2.1"))
    assert done.returncode == 2
    assert "--all" in done.stderr


def test_a_journal_of_a_newer_version_is_left_alone(run: Run, tmp_path: Path) -> None:
    import sqlite3

    from wizard.journal import APPLICATION_ID

    directory = tmp_path / "state" / "homek8s-wizard" / "aki"
    directory.mkdir(parents=True)
    with sqlite3.connect(directory / "journal.db") as db:
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute("PRAGMA user_version = 99")
    before = (directory / "journal.db").read_bytes()
    done = run("plan", file=GOOD.format(ssh="owner@192.0.2.1"))
    assert done.returncode == 2
    assert "99" in done.stderr
    assert (directory / "journal.db").read_bytes() == before


def test_our_own_mistake_is_a_report_and_no_traceback(run: Run, tmp_path: Path) -> None:
    # A state directory that is a file makes the journal's own assumptions fail in a way that nobody foresaw.
    (tmp_path / "blocked").write_text("")
    done = run("plan", file=GOOD.format(ssh="owner@192.0.2.1"), XDG_STATE_HOME=str(tmp_path / "blocked"))
    assert done.returncode != 0
    assert "Traceback" not in done.stderr


def test_options_count_before_and_after_the_verb(run: Run, tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("name: 7\n")
    for arguments in (("-c", "other.yaml", "plan"), ("plan", "-c", "other.yaml")):
        done = run(*arguments)
        assert done.returncode == 2
        assert "other.yaml:1" in done.stderr


ENDED_IN_A_LINE = """
import io, os, signal, sys
from wizard.cli import main

class Terminal(io.RawIOBase):
    lines = 0

    def writable(self):
        return True

    def write(self, data):
        self.lines += 1
        if self.lines == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return os.write(1, data)

sys.stdout = sys.stderr = io.TextIOWrapper(io.BufferedWriter(Terminal()), line_buffering=True)
sys.argv = ["homek8s-wizard", "--help"]
main()
"""


def test_a_signal_in_the_middle_of_a_line_is_no_mistake() -> None:
    done = subprocess.run([sys.executable, "-c", ENDED_IN_A_LINE], capture_output=True, text=True, timeout=60)
    assert done.returncode == 128 + signal.SIGTERM, done.stdout + done.stderr
    assert "Ended. What was started on a host goes on there" in done.stdout
    assert done.stderr == ""


def test_the_start_up_of_a_verb_needs_neither_textual_nor_libvirt(tmp_path: Path) -> None:
    code = "import sys, wizard.cli.entry\n"
    code += "print([m for m in ('textual', 'libvirt', 'paramiko', 'jinja2') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_the_engine_never_imports_a_screen() -> None:
    code = "import sys, wizard.engine.engine\n"
    code += "print([m for m in sys.modules if m.split('.')[0] in ('textual', 'screens', 'rich')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert json.loads(done.stdout.replace("'", '"')) == [], done.stdout
