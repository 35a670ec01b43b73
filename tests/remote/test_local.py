"""The owner's own machine as a host: scripts by a local sh, jobs that outlive the wizard; no root, no systemd."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.remote.conftest import until
from wizard.actions import Action, OnUndo, Run, WriteFile
from wizard.errors import HostUnavailable, TookTooLong, WaitsForOwner
from wizard.facts.ours import OURS, Ours
from wizard.model import OWNER, Known, Part
from wizard.remote import job
from wizard.remote.job import JobState, Lease
from wizard.remote.local import LocalConnection
from wizard.remote.observe import observe
from wizard.remote.shell import Shell
from wizard.remote.wire import KILLED
from wizard.script import compile_part

LEASE = Lease("a-lineage", 1)


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    """Where cluster.yaml is; the name is one that must be quoted."""
    directory = tmp_path / "it's a $(place)"
    directory.mkdir()
    return directory


@pytest.fixture
def here(beside: Path) -> Shell:
    return LocalConnection(beside, beside / "state of aki" / "here")


# ---------------------------------------------------------------- scripts


def test_both_streams_the_status_and_the_place(here: Shell, beside: Path) -> None:
    (beside / "key.asc").write_text("a key\n")
    answer = here.run("cat ./key.asc; echo oh >&2; exit 3")
    assert (answer.rc, answer.out, answer.err) == (3, b"a key\n", b"oh\n")


def test_the_environment_is_known(here: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "ja_JP.UTF-8")
    monkeypatch.setenv("LANGUAGE", "ja")
    monkeypatch.setenv("KUBECONFIG", "/a/config")
    said = here.run('echo "$LC_ALL ${LANGUAGE-none} $(umask) $KUBECONFIG $HOME"; command -v homek8s-wizard ip').text
    assert said.splitlines()[0] == f"C none 0022 /a/config {os.environ['HOME']}"
    assert said.splitlines()[1].endswith("/homek8s-wizard")


def test_the_wizards_own_command_comes_first(here: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "homek8s-wizard"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert here.run("command -v homek8s-wizard").text.strip() != str(other)


def test_stdin_and_scripts_of_any_size(here: Shell) -> None:
    assert here.run("cat", stdin=b"\0secret\xff" * 50_000).out == b"\0secret\xff" * 50_000
    assert here.run(f": {'x' * 500_000}\necho whole").text == "whole\n"
    assert here.run("exit 4", stdin=b"x" * 500_000).rc == 4


def test_what_is_beyond_what_is_kept_is_counted(here: Shell) -> None:
    answer = here.run("head -c 100000 /dev/zero", keep=10)
    assert (answer.out, answer.dropped) == (bytes(10), 99_990)


def test_a_signal_is_told_from_an_exit(here: Shell) -> None:
    assert here.run("kill -9 $$").rc == KILLED


def test_a_process_left_behind_does_not_hold_it_up(here: Shell) -> None:
    began = time.monotonic()
    assert here.run("sleep 20 & echo done").text == "done\n"
    assert time.monotonic() - began < 5


def test_a_limit_ends_it(here: Shell, tmp_path: Path) -> None:
    with pytest.raises(TookTooLong):
        here.run(f"echo $$ >{tmp_path}/pid; sleep 30", limit=0.5)
    until(lambda: not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists())


def test_a_stream_comes_as_it_is_made_and_stops_when_told(here: Shell, tmp_path: Path) -> None:
    stop, seen = threading.Event(), bytearray()

    def read(chunk: bytes) -> None:
        seen.extend(chunk)
        stop.set()

    script = f"echo first; sh -c 'echo $$ >{tmp_path}/pid; exec sleep 30'"
    assert here.stream(script, read, stop=stop) is None
    assert bytes(seen) == b"first\n"
    assert here.stream("cat; exit 5", read) == 5


def test_no_such_directory(tmp_path: Path) -> None:
    with pytest.raises(HostUnavailable, match="no command can be run on this machine"):
        LocalConnection(tmp_path / "absent", tmp_path).run("true")


# ---------------------------------------------------------------- jobs


class Bench:
    def __init__(self, here: Shell) -> None:
        self.here = here
        self.attempts: list[str] = []

    def start(self, *actions: Action, lease: Lease = LEASE, limit: int = 60, always: tuple[Action, ...] = ()) -> str:
        attempt = job.new_id("a.step")
        script = compile_part("a.step", OWNER, Part(OWNER, "test", actions, always))
        self.attempts.append(attempt)
        assert job.start(self.here, attempt, script, limit=limit, lease=lease).word == "running"
        return attempt

    def follow(self, attempt: str, offset: int = 0) -> tuple[JobState, str]:
        log = bytearray()
        state = job.follow(self.here, attempt, offset, log.extend, threading.Event())
        return state, log.decode()

    def ours(self) -> Ours:
        seen = observe(self.here, [OURS])[OURS.id]
        assert isinstance(seen, Known), seen
        assert isinstance(seen.value, Ours)
        return seen.value


@pytest.fixture
def bench(here: Shell) -> Iterator[Bench]:
    bench = Bench(here)
    yield bench
    for attempt in bench.attempts:
        job.stop(here, attempt)


def sh(script: str) -> Run:
    return Run(("sh", "-c", script))


def running(pattern: str) -> list[str]:
    found = subprocess.run(["pgrep", "-fx", pattern], capture_output=True, text=True, check=False)
    return found.stdout.split()


def test_a_job_runs_as_the_user_and_is_followed_to_its_end(bench: Bench, beside: Path) -> None:
    attempt = bench.start(sh('echo "I am $(id -u) in $HOME"; exit 7'))
    state, log = bench.follow(attempt)
    assert state == JobState("ended", 7)
    assert f"I am {os.geteuid()} in {os.environ['HOME']}" in log
    home = beside / "state of aki" / "here"
    assert stat.S_IMODE((home / "jobs").stat().st_mode) == 0o700
    assert (home / "jobs" / attempt / "rc").read_text() == "exit-code exited 7\n"


def test_files_go_back(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "dir" / "a.conf"
    assert bench.follow(bench.start(OnUndo(sh("true")), WriteFile(str(file), "x\n", None)))[0].succeeded
    assert file.read_text() == "x\n"
    back = bench.ours().inverses("a.step@owner")
    assert bench.follow(bench.start(*back))[0].succeeded
    assert not file.parent.exists()


def test_it_outlives_a_killed_wizard_and_is_found_again_at_the_byte(bench: Bench, beside: Path) -> None:
    attempt = "20261123-000000-a.step-0001"
    bench.attempts.append(attempt)
    wizard = f"""
import threading, sys
from pathlib import Path
from wizard.remote import job
from wizard.remote.local import LocalConnection
here = LocalConnection(Path({str(beside)!r}), Path({str(beside)!r}) / "state of aki" / "here")
script = "i=0; while [ $i -lt 10 ]; do i=$((i + 1)); echo line $i; sleep 0.1; done"
job.start(here, {attempt!r}, script, limit=60, lease=job.Lease("a-lineage", 1))
def show(chunk):
    sys.stdout.buffer.write(chunk); sys.stdout.flush()
job.follow(here, {attempt!r}, 0, show, threading.Event())
"""
    process = subprocess.Popen([sys.executable, "-c", wizard], stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    seen = b""
    while b"line 3" not in seen:
        seen += os.read(process.stdout.fileno(), 100)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert job.state(bench.here, attempt).word == "running"
    assert bench.ours().jobs == (attempt,)
    state, rest = bench.follow(attempt, len(seen))
    assert state == JobState("ended", 0)
    assert (seen.decode() + rest).split("\n") == [*(f"line {number}" for number in range(1, 11)), ""]
    assert bench.ours().jobs == ()


def test_a_claimed_attempt_is_not_started_twice(bench: Bench, tmp_path: Path) -> None:
    attempt = bench.start(sh(f"echo once >>{tmp_path}/count"))
    bench.follow(attempt)
    assert job.start(bench.here, attempt, "exit 9\n", limit=60, lease=LEASE) == JobState("ended", 0)
    assert (tmp_path / "count").read_text() == "once\n"


def test_of_many_at_once_one_starts(bench: Bench, tmp_path: Path) -> None:
    words: list[str] = []

    def start() -> None:
        words.append(job.start(bench.here, "an-id", f"echo x >>{tmp_path}/count", limit=60, lease=LEASE).word)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bench.follow("an-id")[0].succeeded
    assert len(words) == 4
    assert (tmp_path / "count").read_text() == "x\n"


def test_one_script_at_a_time_and_one_journal(bench: Bench) -> None:
    attempt = bench.start(sh("sleep 30"))
    with pytest.raises(WaitsForOwner, match="another script of the wizard runs there"):
        bench.start(sh("true"))
    job.stop(bench.here, attempt)
    with pytest.raises(WaitsForOwner, match="another wizard's journal owns this host"):
        bench.start(sh("true"), lease=Lease("another", 1))
    with pytest.raises(WaitsForOwner, match="older than the work done"):
        bench.start(sh("true"), lease=Lease("a-lineage", 0))
    assert bench.follow(bench.start(sh("true"), lease=Lease("another", 1, take_over=True)))[0].succeeded


def test_stop_ends_all_that_was_started_after_its_clean_up(bench: Bench, tmp_path: Path) -> None:
    mine = f"sleep 1234.{os.getpid()}"
    clean_up = sh(f"sleep 0.5; echo cleaned >>{tmp_path}/cleaned")
    attempt = bench.start(sh(f"setsid {mine} & {mine}"), sh(f"touch {tmp_path}/after"), always=(clean_up,))
    until(lambda: len(running(mine)) == 2)
    assert job.stop(bench.here, attempt) == JobState("interrupted")
    assert running(mine) == []
    assert not (tmp_path / "after").exists()
    assert (tmp_path / "cleaned").read_text() == "cleaned\n"


def test_what_it_left_running_ends_with_it(bench: Bench) -> None:
    mine = f"sleep 4321.{os.getpid()}"
    assert bench.follow(bench.start(sh(f"setsid {mine} >/dev/null 2>&1 &")))[0].succeeded
    assert running(mine) == []


def test_it_is_ended_after_its_limit(bench: Bench) -> None:
    assert bench.follow(bench.start(sh("sleep 60"), limit=1))[0] == JobState("interrupted")


def test_ended_by_a_power_cut_it_is_no_success(bench: Bench) -> None:
    """All its processes gone at once, and no result written."""
    attempt = bench.start(sh("sleep 60"))
    its = f"grep -lszE '^HK8S_(JOB|SESSION)={attempt}$' /proc/[0-9]*/environ | cut -d/ -f3"
    # Those too that have only just been started, by one that is gone by now.
    killed = f'while pids=$({its}); [ -n "$pids" ]; do kill -KILL $pids || true; done'
    assert bench.here.run(killed).rc == 0
    until(lambda: job.state(bench.here, attempt) == JobState("interrupted"))


def test_states_of_what_was_never_started(bench: Bench) -> None:
    assert job.state(bench.here, "no-such") == JobState("absent")
    assert job.stop(bench.here, "no-such") == JobState("absent")
    assert bench.ours().records == ()


def test_much_output_neither_stops_it_nor_fills_the_disk(bench: Bench, tmp_path: Path) -> None:
    attempt = bench.start(sh(f"yes | head -c 80M; echo whole >{tmp_path}/whole"))
    size = 0

    def count(chunk: bytes) -> None:
        nonlocal size
        size += len(chunk)

    assert job.follow(bench.here, attempt, 0, count, threading.Event()) == JobState("ended", 0)
    assert size == 64 * 1024 * 1024
    assert (tmp_path / "whole").exists()
