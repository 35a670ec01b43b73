"""The journal: nothing acknowledged is lost, nothing damaged is read, one process writes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wizard.errors import NewerState, WaitsForOwner, WizardError
from wizard.journal import APPLICATION_ID, SCHEMA, Damaged, Journal, age, fold

KINDS = ["started", "running", "guarded", "done", "failed", "skipped", "reverted", "undone", "interrupted", "unknown",
         "blocked", "intent", "ended", "settled", "measured"]  # fmt: skip
TEXT = st.text(max_size=40)
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(KINDS),
        st.sampled_from(["bridge.port", "bridge.network", "isolated.network"]),
        st.sampled_from(["hypervisor", "aki0"]),
        st.sampled_from(["", "20261123-071530-bridge.port-1f3a"]),
        st.dictionaries(st.sampled_from(["reason", "rc", "word"]), TEXT | st.integers() | st.none(), max_size=3),
    ),
    max_size=30,
)


@contextlib.contextmanager
def opened(directory: Path) -> Iterator[Journal]:
    journal = Journal(directory)
    try:
        yield journal
    finally:
        journal.close()


def written(directory: Path, count: int = 40) -> dict[str, Any]:
    """A journal with `count` events, closed; what it says."""
    with opened(directory) as journal:
        journal.bind("5c0ffee5c0ffee5c0ffee5c0ffee5c0f")
        for number in range(count):
            kind = KINDS[number % len(KINDS)]
            journal.append(kind, f"bridge.{'abc'[number % 3]}", "hypervisor", f"attempt-{number}", reason=f"n {number}")
        return said(journal)


def said(journal: Journal) -> dict[str, Any]:
    return {"entries": list(journal.entries()), "standings": journal.standings(), "lineage": journal.lineage}


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir()) if path.name != "lock"}


# ---------------------------------------------------------------- what it says


@settings(max_examples=40, deadline=None)
@given(EVENTS)
def test_the_standing_table_is_the_fold_of_the_events(events: list[tuple[str, str, str, str, dict[str, Any]]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        with opened(Path(directory)) as journal:
            for kind, step, target, attempt, payload in events:
                journal.append(kind, step, target, attempt, **payload)
            assert journal.standings() == fold(journal.entries())
            before = said(journal)
        with opened(Path(directory)) as journal:
            assert said(journal) == before
            assert journal.serial == len(events)
            assert [dict(entry.payload) for entry in journal.entries()] == [payload for *_, payload in events]


def test_text_that_is_no_utf8_and_control_characters_come_back_as_they_were(tmp_path: Path) -> None:
    script = b"put \xff\xfe \x00\x1b[31m \xe2\x80\xae".decode("utf-8", "surrogateescape")
    with opened(tmp_path) as journal:
        journal.append("intent", "bridge.port", "hypervisor", script=script)
        journal.append("failed", "bridge.port", "hypervisor", reason="said \udcff")
    with opened(tmp_path) as journal:
        assert next(journal.entries()).payload["script"] == script
        assert journal.standings()["bridge.port", "hypervisor"].reason == "said ?"


def test_events_are_never_changed_or_deleted(tmp_path: Path) -> None:
    written(tmp_path, 3)
    with contextlib.closing(sqlite3.connect(tmp_path / "journal.db")) as db:
        for statement in ("UPDATE event SET kind = 'done'", "DELETE FROM event"):
            with pytest.raises(sqlite3.IntegrityError, match="append only"):
                db.execute(statement)


def test_threads_append_at_the_same_time(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:

        def write(name: str) -> None:
            for number in range(25):
                journal.append("measured", target=name, number=number)
                assert sum(1 for entry in journal.entries() if entry.target == name) == number + 1

        threads = [threading.Thread(target=write, args=(f"aki{number}",)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert journal.serial == 100


def test_it_is_bound_to_one_machine(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        journal.bind("aaaa")
        journal.bind("aaaa")
    with opened(tmp_path) as journal, pytest.raises(WaitsForOwner, match="machine-id aaaa, this one has bbbb"):
        journal.bind("bbbb")


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    directory = tmp_path / "state" / "aki"
    before = os.umask(0)
    try:
        with opened(directory) as journal:
            journal.append("done", "bridge.port", "hypervisor")
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}
    finally:
        os.umask(before)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert set(modes) >= {"journal.db", "journal.backup.db", "lock", "journal.db-head"}
    assert set(modes.values()) == {0o600}


def test_a_copy_is_made_at_every_opening(tmp_path: Path) -> None:
    before = written(tmp_path)
    with opened(tmp_path):
        pass
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(tmp_path / "journal.backup.db", tmp_path / "elsewhere" / "journal.db")
    with opened(tmp_path / "elsewhere") as journal:
        assert said(journal) == before


@pytest.mark.parametrize(
    ("seconds", "words"), [(5, "just now"), (61, "1 min ago"), (7300, "2 h ago"), (200000, "2 d ago")]
)
def test_age(seconds: int, words: str) -> None:
    assert age("1970-01-01T00:00:00.000Z", now=seconds) == words


# ---------------------------------------------------------------- damage


def refused(directory: Path, before: dict[str, Any]) -> bool:
    """Whether the journal is refused, untouched; when it is not, it must say what it said before."""
    was = (directory / "journal.db").read_bytes()
    try:
        with opened(directory) as journal:
            assert said(journal) == before
    except WizardError:
        assert (directory / "journal.db").read_bytes() == was
        return True
    return False


def test_a_flipped_bit_is_found_or_is_in_nothing_that_is_read(tmp_path: Path) -> None:
    before = written(tmp_path / "good")
    content = (tmp_path / "good" / "journal.db").read_bytes()
    found = 0
    written_to = [bit for byte, value in enumerate(content) if value for bit in range(byte * 8, byte * 8 + 8)]
    for bit in random.Random(1).sample(written_to, 300):
        shutil.copytree(tmp_path / "good", tmp_path / "bad", dirs_exist_ok=True)
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        (tmp_path / "bad" / "journal.db").write_bytes(flipped)
        found += refused(tmp_path / "bad", before)
    assert found > 200


def test_every_flipped_bit_of_an_event_is_found(tmp_path: Path) -> None:
    before = written(tmp_path / "good")
    content = (tmp_path / "good" / "journal.db").read_bytes()
    start = content.index(b'{"reason": "n 17"}')
    for bit in range(start * 8, (start + 18) * 8, 3):
        shutil.copytree(tmp_path / "good", tmp_path / "bad", dirs_exist_ok=True)
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        (tmp_path / "bad" / "journal.db").write_bytes(flipped)
        with pytest.raises(Damaged, match="damaged; nothing was changed"), opened(tmp_path / "bad"):
            pass
    assert refused(tmp_path / "good", before) is False


def test_a_truncated_journal_is_never_begun_anew(tmp_path: Path) -> None:
    before = written(tmp_path / "good")
    content = (tmp_path / "good" / "journal.db").read_bytes()
    sizes = {0, 1, 100, 4096, len(content) - 1, *random.Random(2).sample(range(len(content)), 60)}
    for size in sizes:
        shutil.copytree(tmp_path / "good", tmp_path / "bad", dirs_exist_ok=True)
        (tmp_path / "bad" / "journal.db").write_bytes(content[:size])
        assert refused(tmp_path / "bad", before), size


def killed(directory: Path, count: int) -> dict[str, Any]:
    """A journal whose writer was killed after `count` events: they are still in the write-ahead log."""
    with opened(directory):
        pass
    if not (child := os.fork()):
        try:
            journal = Journal(directory)
            for number in range(count):
                journal.append("done", f"bridge.{number}", "hypervisor", reason="r" * 50)
        finally:  # whatever happens, this process is no second test run
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    shutil.copytree(directory, directory.with_name("read"))
    with opened(directory.with_name("read")) as journal:
        return said(journal)


def test_a_damaged_write_ahead_log_is_found(tmp_path: Path) -> None:
    before = killed(tmp_path / "good", 20)
    log = (tmp_path / "good" / "journal.db-wal").read_bytes()
    assert len(before["entries"]) == 20
    draw = random.Random(3)
    for number in range(60):
        shutil.rmtree(tmp_path / "bad", ignore_errors=True)
        shutil.copytree(tmp_path / "good", tmp_path / "bad")
        flipped = bytearray(log)
        bit = draw.randrange(len(log) * 8)
        flipped[bit // 8] ^= 1 << bit % 8
        damaged = bytes(flipped) if number % 2 else log[: draw.randrange(len(log))]
        (tmp_path / "bad" / "journal.db-wal").write_bytes(damaged)
        refused(tmp_path / "bad", before)


def test_an_older_copy_in_its_place_is_found(tmp_path: Path) -> None:
    written(tmp_path, 3)
    shutil.copy(tmp_path / "journal.db", tmp_path / "old")
    with opened(tmp_path) as journal:
        journal.append("done", "bridge.port", "hypervisor")
    shutil.copy(tmp_path / "old", tmp_path / "journal.db")
    with pytest.raises(Damaged) as refusal, opened(tmp_path):
        pass
    assert refusal.value.why == "its last event is number 3, and number 4 was written"


@pytest.mark.parametrize("content", [b"", b"4 beef beef\n", b"\xff", b"999 " + b"0" * 64 + b" x\n"])
def test_a_damaged_head_says_nothing(tmp_path: Path, content: bytes) -> None:
    before = written(tmp_path)
    (tmp_path / "journal.db-head").write_bytes(content)
    assert refused(tmp_path, before) is False


def test_a_journal_that_is_gone_is_not_begun_anew_over_its_copy(tmp_path: Path) -> None:
    written(tmp_path)
    copy = (tmp_path / "journal.backup.db").read_bytes()
    (tmp_path / "journal.db").unlink()
    with pytest.raises(Damaged, match="gone"), opened(tmp_path):
        pass
    assert not (tmp_path / "journal.db").exists()
    assert (tmp_path / "journal.backup.db").read_bytes() == copy


def test_the_cure_that_is_named_helps(tmp_path: Path) -> None:
    written(tmp_path, 5)
    with opened(tmp_path) as journal:
        before = said(journal)
    (tmp_path / "journal.db").write_bytes(b"")
    with pytest.raises(Damaged, match="move away"), opened(tmp_path):
        pass
    for path in tmp_path.glob("journal.db*"):
        path.unlink()
    shutil.copy(tmp_path / "journal.backup.db", tmp_path / "journal.db")
    with opened(tmp_path) as journal:
        assert said(journal) == before
        journal.append("done", "bridge.port", "hypervisor")


def test_something_else_under_its_name_is_left_as_it_is(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "journal.db")) as db:
        db.execute("CREATE TABLE mine (x)")
    before = (tmp_path / "journal.db").read_bytes()
    with pytest.raises(Damaged), opened(tmp_path):
        pass
    assert (tmp_path / "journal.db").read_bytes() == before


def test_a_newer_journal_is_refused_untouched(tmp_path: Path) -> None:
    written(tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / "journal.db")) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA + 6}")
    before = files(tmp_path)
    with pytest.raises(NewerState) as refusal, opened(tmp_path):
        pass
    assert f"format is {SCHEMA + 6}" in str(refusal.value)
    assert f"knows {SCHEMA})" in str(refusal.value)
    assert refusal.value.status == 2
    after = files(tmp_path)
    assert {name: after[name] for name in before} == before


def test_after_a_refusal_the_lock_is_free(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"")
    with pytest.raises(Damaged), opened(tmp_path):
        pass
    with (tmp_path / "lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


# ---------------------------------------------------------------- several processes

HOLDER = """
import sys, pathlib
from wizard.journal import Journal
journal = Journal(pathlib.Path(sys.argv[1]))
journal.append("done", "bridge.port", "hypervisor", reason="by the first")
print("held", flush=True)
sys.stdin.readline()
journal.append("done", "bridge.port", "hypervisor", reason="again by the first")
print("written", flush=True)
sys.stdin.readline()
"""


def test_a_second_process_only_reads_and_names_the_first(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdin is not None
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        with opened(tmp_path) as second:
            assert second.held_by.startswith(f"process {first.pid} on ")
            assert [entry.payload["reason"] for entry in second.entries()] == ["by the first"]
            with pytest.raises(WaitsForOwner, match=f"process {first.pid}"):
                second.append("done", "bridge.port", "hypervisor")
            second.bind("aaaa")
            first.stdin.write("\n")
            first.stdin.flush()
            assert first.stdout.readline() == "written\n"
            assert second.standings()["bridge.port", "hypervisor"].reason == "again by the first"
        first.kill()
    with opened(tmp_path) as third:
        assert third.held_by == ""
        assert third.serial == 2


def test_a_killed_writer_loses_nothing_and_damages_nothing(tmp_path: Path) -> None:
    """SIGKILL at random instants, from the making of the journal on."""
    draw = random.Random()
    for _ in range(24):
        directory = tmp_path / str(draw.randrange(6))
        acknowledged, out = os.pipe()
        if not (child := os.fork()):
            try:
                write_for_ever(directory, out)
            finally:  # whatever happens, this process is no second test run
                os._exit(1)
        os.close(out)
        time.sleep(draw.uniform(0, 0.06))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with os.fdopen(acknowledged, "rb") as pipe:
            numbers = [int(line) for line in pipe.read().splitlines(keepends=True) if line.endswith(b"\n")]
        with opened(directory) as journal:
            assert journal.held_by == ""
            assert journal.serial >= max(numbers, default=0)
            assert journal.standings() == fold(journal.entries())


def write_for_ever(directory: Path, out: int) -> None:
    """In a child of its own: appends, and says the number of each event once it is acknowledged."""
    journal = Journal(directory)
    while True:
        entry = journal.append("done", "bridge.port", "hypervisor", reason="x" * random.randrange(3000))
        os.write(out, b"%d\n" % entry.seq)


# ---------------------------------------------------------------- a disk that refuses


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 512 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k,mode=0700", "none", disk], check=False, capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"a small tmpfs cannot be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", disk], check=True)


def fill(disk: Path) -> Path:
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * 512)
    return ballast


def test_a_full_disk_is_said_plainly_and_loses_nothing(tiny_disk: Path) -> None:
    with opened(tiny_disk / "aki") as journal:
        kept = [journal.append("done", "bridge.port", "hypervisor", reason=str(n)) for n in range(5)]
        ballast = fill(tiny_disk)
        with pytest.raises(WizardError, match="progress cannot be saved") as refusal:
            journal.append("done", "bridge.port", "hypervisor", reason="x" * 100_000)
        assert "full" in refusal.value.why
        assert "make room" in refusal.value.cure
        ballast.unlink()
        kept.append(journal.append("done", "bridge.port", "hypervisor", reason="with room again"))
        assert list(journal.entries()) == kept
    with opened(tiny_disk / "aki") as journal:
        assert list(journal.entries()) == kept


def test_a_full_disk_at_the_start_is_no_damage(tiny_disk: Path) -> None:
    ballast = fill(tiny_disk)
    with pytest.raises(WizardError, match="progress cannot be saved") as refusal, opened(tiny_disk / "aki"):
        pass
    assert not isinstance(refusal.value, Damaged)
    ballast.unlink()
    with opened(tiny_disk / "aki") as journal:
        assert journal.append("done", "bridge.port", "hypervisor").seq == 1


def test_the_file_says_what_it_is(tmp_path: Path) -> None:
    written(tmp_path)
    content = (tmp_path / "journal.db").read_bytes()
    assert content[68:72] == APPLICATION_ID.to_bytes(4, "big")
    assert content[60:64] == SCHEMA.to_bytes(4, "big")


def test_the_lineage_is_its_own(tmp_path: Path) -> None:
    first, second = (written(tmp_path / name, 1)["lineage"] for name in ("one", "two"))
    assert first != second
    assert first
