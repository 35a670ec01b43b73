"""Jobs and the guard on a real host: they outlive connections and reboots, and exactly one of keep and revert wins."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rehearsal.conftest import Hypervisor
from wizard.actions import OnUndo, Run, Wait, WriteFile
from wizard.errors import HostLostError, WaitsForOwner
from wizard.events import NeedSecret, Question
from wizard.model import Guard, Part, Secret
from wizard.rehearsal import Rehearsal
from wizard.remote import guard, job
from wizard.remote.connection import Connection, connect
from wizard.remote.destination import resolve
from wizard.remote.job import JobState, Lease
from wizard.remote.login import Login
from wizard.remote.ssh_config import SshConfig
from wizard.script import compile_part

LEASE = Lease("a-lineage", 1)
FILE = "/etc/hk8s-test/a.conf"


class Bench:
    """A rehearsal, and a way to run parts on it over SSH."""

    def __init__(self, machine: Rehearsal, state: Path) -> None:
        self.machine, self._state = machine, state
        self.connection = self.connect()

    def connect(self) -> Connection:
        status = self.machine.status()
        assert status is not None
        password = Secret(status.password_file.read_text().strip())

        def ask(question: Question) -> Secret:
            assert isinstance(question, NeedSecret)
            return password

        destination = resolve("owner@192.168.182.100", SshConfig(status.ssh_config))
        return connect(Login(destination, ask, self._state / "known_hosts", host="hypervisor"))

    def start(self, *actions: object, seconds: int = 0, lease: Lease = LEASE, always: tuple[Run, ...] = ()) -> str:
        part = Part("hypervisor", "test", actions, always, guard=Guard(()) if seconds else None)  # type: ignore[arg-type]
        attempt = job.new_id("a.step")
        script = compile_part("a.step", "hypervisor", part, guard_seconds=seconds or 120)
        assert job.start(self.connection, attempt, script, limit=60, lease=lease).word == "running"
        return attempt

    def follow(self, attempt: str, offset: int = 0) -> tuple[JobState, str]:
        log = bytearray()
        state = job.follow(self.connection, attempt, offset, log.extend, threading.Event())
        return state, log.decode()


@pytest.fixture
def bench(hypervisor: Hypervisor, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    machine = hypervisor(getattr(request, "param", "bookworm"))
    with machine.lan():
        bench = Bench(machine, tmp_path)
        yield bench
        bench.connection.close()


def written(bench: Bench) -> bool:
    return bench.machine.inside(f"test -e {FILE} && echo yes || echo no").strip() == "yes"


CHANGE = WriteFile(FILE, "x\n", None)


def test_a_job_goes_on_without_its_connection_and_is_found_again_at_the_byte(bench: Bench) -> None:
    attempt = bench.start(Run(("sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do echo line $i; sleep 0.2; done")))
    seen = bytearray()
    enough = threading.Event()

    def read(chunk: bytes) -> None:
        seen.extend(chunk)
        if b"line 3" in seen:
            bench.connection.close()
            enough.set()

    with pytest.raises(HostLostError):
        job.follow(bench.connection, attempt, 0, read, threading.Event())
    assert enough.is_set()
    bench.connection = bench.connect()
    state, rest = bench.follow(attempt, len(seen))
    assert state == JobState("ended", 0)
    lines = [line for line in (seen.decode() + rest).splitlines() if line.startswith("line")]
    assert lines == [f"line {number}" for number in range(1, 10)]


def test_a_claimed_attempt_is_not_started_twice(bench: Bench) -> None:
    attempt = bench.start(Run(("sh", "-c", "echo once >>/run/hk8s-count")))
    bench.follow(attempt)
    assert job.start(bench.connection, attempt, "exit 9\n", limit=60, lease=LEASE) == JobState("ended", 0)
    assert bench.machine.inside("cat /run/hk8s-count") == "once\n"


def test_one_script_at_a_time_and_one_journal_per_host(bench: Bench) -> None:
    attempt = bench.start(Run(("sleep", "30")))
    with pytest.raises(WaitsForOwner, match="another script of the wizard runs there"):
        bench.start(Run(("true",)))
    job.stop(bench.connection, attempt)
    with pytest.raises(WaitsForOwner, match="another wizard's journal owns this host"):
        bench.start(Run(("true",)), lease=Lease("another", 1))
    with pytest.raises(WaitsForOwner, match="older than the work done"):
        bench.start(Run(("true",)), lease=Lease("a-lineage", 0))
    assert bench.follow(bench.start(Run(("true",)), lease=Lease("another", 1, take_over=True)))[0].succeeded


def test_stop_ends_all_that_was_started(bench: Bench) -> None:
    attempt = bench.start(Run(("sh", "-c", "setsid sleep 1234 & sleep 1234")), Run(("touch", "/run/after")))
    bench.machine.inside("until [ $(pgrep -fxc 'sleep 1234') = 2 ]; do sleep 0.05; done")
    assert job.stop(bench.connection, attempt) == JobState("interrupted")
    assert bench.machine.inside("pgrep -fx 'sleep 1234' || echo none; ls /run/after 2>&1 || true").startswith(
        "none\nls:"
    )


def test_a_stopped_one_cleans_up_to_the_end(bench: Bench) -> None:
    # As from systemd, which signals all that it finds until it finds nothing new.
    clean_up = Run(("sh", "-c", "kill -TERM $$; sleep 0.5; echo cleaned >>/run/cleaned"))
    attempt = bench.start(Run(("sleep", "1234")), always=(clean_up,))
    bench.machine.inside("until [ $(pgrep -fxc 'sleep 1234') = 1 ]; do sleep 0.05; done")
    assert job.stop(bench.connection, attempt) == JobState("interrupted")
    assert bench.machine.inside("cat /run/cleaned") == "cleaned\n"


def test_a_reboot_and_a_power_cut_in_the_middle_are_never_success(bench: Bench) -> None:
    for power in (False, True):
        attempt = bench.start(CHANGE, Run(("sleep", "60")))
        bench.machine.inside(f"until [ -e {FILE} ]; do sleep 0.05; done")
        bench.machine.reboot(power)
        bench.connection = bench.connect()
        assert job.state(bench.connection, attempt) == JobState("interrupted")
        bench.machine.inside(f"rm {FILE}")


def test_gigabytes_of_output_do_not_stop_a_job_or_fill_the_disk(bench: Bench) -> None:
    attempt = bench.start(Run(("sh", "-c", "yes | head -c 300M; echo whole >/run/whole")))
    size = 0

    def count(chunk: bytes) -> None:
        nonlocal size
        size += len(chunk)

    assert job.follow(bench.connection, attempt, 0, count, threading.Event()) == JobState("ended", 0)
    assert size == 64 * 1024 * 1024
    assert bench.machine.inside("cat /run/whole") == "whole\n"


def test_a_full_disk_leaves_the_old_file_whole(bench: Bench) -> None:
    bench.machine.inside("mkdir /etc/hk8s-test; mount -t tmpfs -o size=64k none /etc/hk8s-test; echo old >" + FILE)
    attempt = bench.start(WriteFile(FILE, "x" * 200_000 + "\n", "old\n"))
    state, log = bench.follow(attempt)
    assert state.word == "ended"
    assert state.rc != 0
    assert "No space left on device" in log
    assert bench.machine.inside("ls -A /etc/hk8s-test; cat " + FILE) == "a.conf\nold\n"


# ---------------------------------------------------------------- the guard

GUARDED = (OnUndo(Run(("touch", "/run/went-back"))), CHANGE, Run(("touch", "/run/live"), undo=Run(("rm", "/run/live"))))


def until_settled(bench: Bench, attempt: str) -> str:
    bench.machine.inside(
        "i=0; while [ -e /var/lib/homek8s-wizard/guard/pending ] && [ $i -lt 300 ]; do sleep 0.1; i=$((i+1)); done"
    )
    return guard.look(bench.connection, attempt).outcome


def as_before(bench: Bench) -> bool:
    left = "ls -d /etc/hk8s-test /run/live /etc/systemd/system/hk8s* /etc/systemd/system/*/hk8s* 2>/dev/null || true"
    return bench.machine.inside(left) == ""


@pytest.mark.parametrize("bench", ["bookworm", "trixie"], indirect=True)
def test_silence_goes_back(bench: Bench) -> None:
    attempt = bench.start(*GUARDED, seconds=2)
    assert bench.follow(attempt)[0].succeeded
    assert until_settled(bench, attempt) == "reverted timer"
    assert as_before(bench)
    assert bench.machine.inside("ls /run/went-back").strip() == "/run/went-back"
    assert guard.keep(bench.connection, attempt) is False


def test_kept_once_it_stays(bench: Bench) -> None:
    attempt = bench.start(*GUARDED, seconds=60)
    bench.follow(attempt)
    assert guard.look(bench.connection, attempt).waits
    assert guard.keep(bench.connection, attempt) is True
    assert written(bench)
    assert bench.machine.inside("systemctl list-units --all --plain --no-legend 'hk8s-guard*'") == ""
    bench.machine.reboot(power=False)
    assert written(bench)


def test_revert_now(bench: Bench) -> None:
    attempt = bench.start(*GUARDED, seconds=60)
    bench.follow(attempt)
    guard.revert(bench.connection, attempt)
    assert until_settled(bench, attempt) == "reverted owner"
    assert as_before(bench)


def test_a_failing_script_goes_back_at_once(bench: Bench) -> None:
    attempt = bench.start(*GUARDED, Run(("false",)), seconds=60)
    assert bench.follow(attempt)[0] == JobState("ended", 1)
    assert guard.look(bench.connection, attempt).outcome == "reverted failed"
    assert as_before(bench)


def test_a_hanging_script_is_ended_when_its_time_is_over(bench: Bench) -> None:
    attempt = bench.start(*GUARDED, Run(("sleep", "50")), seconds=2)
    assert bench.follow(attempt)[0] == JobState("interrupted")
    assert until_settled(bench, attempt) == "reverted timer"
    assert as_before(bench)


@pytest.mark.parametrize("bench", ["bookworm", "trixie"], indirect=True)
@pytest.mark.parametrize("power", [False, True])
def test_a_restart_before_the_confirmation_goes_back(bench: Bench, power: bool) -> None:
    attempt = bench.start(*GUARDED, seconds=300)
    bench.follow(attempt)
    bench.machine.reboot(power)
    bench.connection = bench.connect()
    assert guard.look(bench.connection, attempt).outcome == "reverted boot"
    assert as_before(bench)


def test_a_second_guard_is_refused_while_one_waits(bench: Bench) -> None:
    first = bench.start(*GUARDED, seconds=60)
    bench.follow(first)
    state, log = bench.follow(bench.start(Run(("touch", "/run/second")), seconds=60))
    assert state.rc == 73
    assert "another change is waiting to be confirmed" in log
    assert guard.keep(bench.connection, first) is True


def test_keep_and_revert_exclude_each_other(bench: Bench) -> None:
    for _ in range(8):
        attempt = bench.start(CHANGE, seconds=60)
        bench.follow(attempt)
        script = "/var/lib/homek8s-wizard/guard/script"
        keep, back = f"sh {script} {attempt} keep", f"sh {script} {attempt} revert owner"
        words = bench.machine.inside(
            f"{keep} 2>/dev/null & one=$!; {back} >/dev/null 2>&1 & two=$!\n"
            "wait $one && echo kept; wait $two && echo reverted; true"
        ).split()
        assert len(words) == 1
        assert written(bench) is (words == ["kept"])
        bench.machine.inside(f"rm -f {FILE}")


def test_a_job_is_ended_after_its_limit(bench: Bench) -> None:
    part = Part("hypervisor", "test", (Run(("sleep", "60")),))
    attempt = job.new_id("a.step")
    job.start(bench.connection, attempt, compile_part("a.step", "hypervisor", part), limit=1, lease=LEASE)
    assert bench.follow(attempt)[0] == JobState("interrupted")


def test_waiting_is_said_in_the_log(bench: Bench) -> None:
    state, log = bench.follow(bench.start(Wait(("test", "-e", "/etc/passwd"), 3, "there are accounts")))
    assert state.succeeded
    assert "==> wait until there are accounts (at most 3 s)" in log
