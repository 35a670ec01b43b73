"""The export as scripts: which, in which order, what is in them, and what they do when they are run by sh."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import shlex
import shutil
import subprocess
from dataclasses import replace
from html import escape
from pathlib import Path

import pytest

from tests.runbook.exporting import AT, GUARD, Log, Machine, file, of, part, seen, step
from wizard import catalog
from wizard.actions import Hole, Run, SecretFile, Wait
from wizard.cluster.file import load
from wizard.marks import WORD, commands_in, read_there
from wizard.model import HYPERVISOR, OWNER, Blocked, Do, Known, Nothing, Part, Secret, Unknown
from wizard.runbook import Material, planned_fresh
from wizard.runbook.replay import Replay, replays
from wizard.runbook.scripts import scripts
from wizard.script import compile_part

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
CANARY = "C4n4ry-9f8e7d6c5b4a39281706f5e4d3c2b1a0"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def names(material: Material) -> list[str]:
    return [name for name, _ in scripts(material).scripts]


def one(material: Material) -> str:
    [(_, script)] = scripts(material).scripts
    return script


# ---------------------------------------------------------------- which, and in which order


def test_one_script_to_each_part_in_the_order_of_the_catalog() -> None:
    host = step("a.host", Do("", (part(file("/a")), part(file("/b"), on="aki0"))), HYPERVISOR)
    guest = step("b.guest", Do("", (part(file("/c"), on="aki0", guard=GUARD),)), "aki0")
    assert names(of(host, guest)) == [
        "01-hypervisor-a.host.sh",
        "02-aki0-a.host.sh",
        "03-aki0-b.guest@aki0.sh",
        "03-aki0-b.guest@aki0-confirm.sh",
    ]
    assert scripts(of(host, guest)).count == 3


def test_what_ran_comes_before_what_would() -> None:
    log, ran, would = Log(), part(file("/ran")), Do("", (part(file("/would")),))
    script = log.ran("a.step", ran)
    material = of(step("a.step", would, HYPERVISOR), entries=tuple(log.entries))
    assert script in one(material)
    assert "It is what ran here at 2026-11-23 07:00:01 UTC" in one(material)


def test_what_was_undone_is_what_would_be_done_again() -> None:
    log, fresh = Log(), step("a.step", Do("", (part(file("/fresh")),)), HYPERVISOR)
    log.ran("a.step", part(file("/ran")))
    log.ran("a.step", part(file("/back")), end="undone")
    now = seen(fresh, Do("", (part(file("/now")),)))
    entries = tuple(log.entries)
    assert "put /fresh " in one(of(fresh, entries=entries))
    assert "put /now " in one(of(fresh, entries=entries, planned=(now,), unseen=""))


def test_what_was_cut_off_half_way_is_not_replayed_in_pieces() -> None:
    log, fresh = Log(), step("a.step", Do("", (part(file("/fresh")),)), HYPERVISOR)
    log.ran("a.step", part(file("/first-half")), rc=1, end="failed")
    log.ran("a.step", part(file("/second-half")))
    material = of(fresh, entries=tuple(log.entries), planned=(seen(fresh, Nothing("there")),), unseen="")
    assert "put /fresh " in one(material)
    assert "cut off half-way at 2026-11-23 07:00:01 UTC" in scripts(material).readme


def test_under_the_guard_nothing_is_left_half_way() -> None:
    log, wanted = Log(), part(file("/a"), guard=GUARD)
    for rc, kept, end in ((1, None, "failed"), (0, False, "reverted"), (0, True, "done")):
        script = log.ran("a.step", wanted, rc, kept, end)
    material = of(step("a.step", Nothing("there"), HYPERVISOR), entries=tuple(log.entries))
    assert names(material) == ["01-hypervisor-a.step.sh", "01-hypervisor-a.step-confirm.sh"]
    assert script in scripts(material).scripts[0][1]


def test_the_same_script_twice_in_a_row_is_there_once() -> None:
    log, a, b = Log(), part(file("/a")), part(file("/b"))
    for each in (a, a, b, a):
        log.ran("a.step", each)
    assert len(names(of(step("a.step", Nothing(""), HYPERVISOR), entries=tuple(log.entries)))) == 3


def test_what_is_wanted_otherwise_by_now_is_said() -> None:
    log, fresh = Log(), step("a.step", Do("", (part(file("/fresh")),)), HYPERVISOR)
    script = log.ran("a.step", part(file("/ran")))
    now = seen(fresh, Do("another port is wanted", (part(file("/now")),)))
    material = of(fresh, entries=tuple(log.entries), planned=(now,), unseen="")
    assert script in one(material)
    assert "by now more would be done: another port is wanted" in scripts(material).readme


def test_what_was_skipped_stays_out() -> None:
    log = Log()
    log.add("skipped", "a.step", reason="not in this house")
    exported = scripts(of(step("a.step", Do("", (part(file("/a")),)), HYPERVISOR), entries=tuple(log.entries)))
    assert exported.scripts == ()
    assert "a.step@hypervisor: skipped: not in this house" in exported.readme


def test_without_a_script_there_is_a_reason() -> None:
    there = step("a.there", Nothing("br0 has port enp4s0"), HYPERVISOR)
    waits = step("b.waits", Blocked("you", "no cable"), HYPERVISOR)
    unknown = step("c.unknown", Unknown("links", "not observed"), HYPERVISOR)
    readme = scripts(of(there, waits, unknown)).readme
    assert "a.there@hypervisor: br0 has port enp4s0\n" in readme
    assert "b.waits@hypervisor: waits for you: no cable\n" in readme
    assert "c.unknown@hypervisor: what it would do depends on the host" in readme
    assert "There is nothing to run." in readme


def test_a_guest_that_does_not_answer_gets_what_a_fresh_one_needs() -> None:
    guest = step("a.guest", Do("", (part(file("/fresh")),)), "aki0")
    away = seen(guest, Unknown("links", "no answer", unreachable=True), "aki0")
    assert "put /fresh " in one(of(guest, planned=(away,), unseen=""))


def test_what_to_know_stands_in_the_readme() -> None:
    host = step("a.host", Do("", (part(file("/a"), guard=GUARD, title="the bridge"),)), HYPERVISOR)
    readme = scripts(of(host)).readme
    assert "No host was looked at: no route to host." in readme
    assert "01  01-hypervisor-a.host.sh\n    on the hypervisor (owner@192.168.182.100): the bridge\n" in readme
    assert "guarded: confirm with 01-hypervisor-a.host-confirm.sh within 120 s" in readme
    assert "ssh -t owner@192.168.182.130 sudo sh DIR/NN-aki0-NAME.sh" in readme
    assert "homek8s-wizard undo STEP" in readme


# ---------------------------------------------------------------- what is in them


@pytest.mark.parametrize("example", sorted(path.name for path in EXAMPLES.glob("*.yaml")))
def test_every_example_becomes_scripts_that_shellcheck_likes(example: str, tmp_path: Path) -> None:
    loaded = load(EXAMPLES / example)
    fresh = planned_fresh(loaded.cluster, catalog.STAGES, 120)
    exported = scripts(Material(loaded.cluster, loaded.text(), catalog.STAGES, fresh, (), AT, "away", fresh))
    compiled = [script for each in fresh if not each.step.only_named for script in each.scripts]
    assert [script for script in compiled if not any(script in text for _, text in exported.scripts)] == []
    for name, script in exported.scripts:
        (tmp_path / name).write_text(script)
    written = [str(path) for path in tmp_path.iterdir()]
    for path in written:
        assert subprocess.run(["sh", "-n", path], capture_output=True).returncode == 0
    if shutil.which("shellcheck"):
        found = subprocess.run(["shellcheck", "-s", "sh", *written], capture_output=True, text=True)
        assert found.returncode == 0, found.stdout


def test_a_secret_is_masked_and_its_script_refuses_to_run(machine: Machine) -> None:
    secret = step("a.secret", Do("", (part(file("/a", f"{CANARY}\n"), guard=GUARD, title=CANARY),)), HYPERVISOR)
    exported = scripts(of(secret), [Secret(CANARY)])
    [(name, script)] = exported.scripts
    assert CANARY not in script + exported.readme
    assert "CANNOT BE RUN" in exported.readme
    done = machine.run(script)
    assert done.returncode == 1
    assert f"{name}: a secret was masked in this script" in done.stderr
    assert machine.notes() == []


HOSTILE = [
    "END_OF_PART\ntouch /tmp/owned",
    "$(touch /tmp/owned)",
    "`id`",
    "'; id; '",
    "\x1b[2J\u202e",
    "{{ 7 * 7 }}",
    "\udcff",
    "\r",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(machine: Machine, text: str) -> None:
    path = machine.root / "file"
    guard = replace(GUARD, reach=(text,), probes=(replace(GUARD.probes[0], title=text),))
    title = text.splitlines()[0]  # a part's title is one line
    wanted = Part(HYPERVISOR, title, (file(str(path), f"{text}\n"),), guard=guard)
    exported = scripts(of(step("a.step", Do(text, (wanted,)), HYPERVISOR), unseen=text))
    for _, content in (*exported.scripts, ("", exported.readme)):
        assert not set(content) & set("\x1b\u202e\udcff\r")
    done = machine.run(exported.scripts[0][1])
    assert done.returncode == 0, done.stderr
    assert path.read_bytes() == f"{text}\n".encode(errors="surrogateescape")
    assert not Path("/tmp/owned").exists()
    assert "7 * 7" in exported.readme or "7" not in text


def test_an_odd_target_makes_no_odd_name() -> None:
    log = Log()
    log.ran("a.step@aki0", part(file("/a"), on="../../etc/x\n"))
    [name] = names(of(step("a.step", Nothing(""), "aki0"), entries=tuple(log.entries)))
    assert re.fullmatch(r"[A-Za-z0-9._@-]+", name)


# ---------------------------------------------------------------- values read from the host


def reading(command: str, path: str, text: str = "") -> Material:
    """A step whose file and command hold what the host says, known from its picture of a fresh host."""
    mark = read_there(command)
    actions = (file(path, text or f"is {mark}, {mark}\n"), Run(("test", mark, "=", "52:54:00:00:00:01")))
    wanted = step("a.step", Do("", (part(*actions),)), HYPERVISOR)
    return of(replace(wanted, fresh=lambda cluster: {(HYPERVISOR, "links"): Known((mark,))}))


def test_a_mark_is_filled_before_it_is_used(machine: Machine) -> None:
    path = machine.root / "file"
    script = one(reading("echo 52:54:00:00:00:01 | head -n 1", str(path)))
    assert "# It first asks the host: echo 52:54:00:00:00:01 | head -n 1" in script
    for _ in range(2):
        done = machine.run(script)
        assert done.returncode == 0, done.stderr
    assert path.read_text() == "is 52:54:00:00:00:01, 52:54:00:00:00:01\n"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("cat /does/not/exist", "this host has no answer to: cat /does/not/exist"),
        ("echo", "this host has no answer to: echo"),
        ("echo a; echo b", "is not made of plain words: a\nb"),
        ('echo "a;b"', "is not made of plain words: a;b"),
    ],
)
def test_a_value_that_is_none_stops_before_anything(machine: Machine, command: str, said: str) -> None:
    path = machine.root / "file"
    done = machine.run(one(reading(command, str(path))))
    assert done.returncode == 75
    assert "nothing was done" in done.stderr
    assert said in done.stderr
    assert not path.exists()


def test_text_that_only_looks_like_a_mark_is_not_run(machine: Machine) -> None:
    path, owned = machine.root / "file", machine.root / "owned"
    text = f"READ-FROM-THE-HOST{{touch {owned}}}\n"
    script = one(reading("echo 52:54:00:00:00:01", str(path), text))
    assert machine.run(script).returncode == 0
    assert path.read_text() == text
    assert not owned.exists()


def test_a_mark_in_xml_is_filled_too(machine: Machine) -> None:
    """XML writes a quote as an entity, in one way or another."""
    path, mark = machine.root / "file", read_there('echo "52:54:00:00:00:01"')
    entity = mark.replace('"', "&#34;")
    xml = f"<mac address='{escape(mark)}'/><mac>{mark}</mac><mac address='{entity}'/>\n"
    done = machine.run(one(reading('echo "52:54:00:00:00:01"', str(path), xml)))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("read from this host") == 1
    mac = "52:54:00:00:00:01"
    assert path.read_text() == f"<mac address='{mac}'/><mac>{mac}</mac><mac address='{mac}'/>\n"


@pytest.mark.parametrize("example", sorted(path.name for path in EXAMPLES.glob("*.yaml")))
def test_no_mark_of_the_examples_is_left(example: str) -> None:
    loaded = load(EXAMPLES / example)
    fresh = planned_fresh(loaded.cluster, catalog.STAGES, 120)
    for each in replays(Material(loaded.cluster, loaded.text(), catalog.STAGES, fresh, (), AT, "away", fresh)):
        left = each.script if isinstance(each, Replay) else ""
        for written, _ in each.marks if isinstance(each, Replay) else ():
            left = left.replace(f"{WORD}{{{written}}}", "")
        assert WORD not in left, each.name


@pytest.mark.parametrize("command", ["", "a'b", "a{b", "a}b", "a\\b", "a\nb", "a\tb"])
def test_a_command_that_quoting_would_change_is_no_mark(command: str) -> None:
    with pytest.raises(ValueError, match="one line"):
        read_there(command)


def test_marks_go_through_any_quoting() -> None:
    mark = read_there('sed -n "s,a b,,p" /x | head -n 1')
    inner = Run(("sh", "-c", f"echo {mark}"))
    script = compile_part("a.step", HYPERVISOR, part(Run(("sh", "-c", inner.line()), undo=Run(("echo", inner.line())))))
    assert set(commands_in(script)) == {'sed -n "s,a b,,p" /x | head -n 1'}


# ---------------------------------------------------------------- run by sh


def test_it_keeps_the_wizards_notes_and_can_be_run_twice(machine: Machine) -> None:
    path = machine.root / "file"
    script = one(of(step("a.step", Do("", (part(file(str(path))),)), HYPERVISOR)))
    first, second, again = machine.run(script), machine.run(script), machine.run(script, "again")
    assert path.read_text() == "x\n"
    assert first.stdout.endswith("01-hypervisor-a.step.sh: done\n")
    assert "nothing to do; it ran before" in second.stdout
    assert "write" in again.stdout
    assert {done.returncode for done in (first, second, again)} == {0}
    [[attempt, of_step, kind, what, *_]] = machine.notes()
    assert re.fullmatch(r"by-hand-\d{8}-\d{6}-\d+-01-hypervisor-a.step", attempt)
    assert (of_step, kind, what) == ("a.step@hypervisor", "file", str(path))


def test_work_that_is_gone_is_done_again(machine: Machine) -> None:
    path, flag = machine.root / "file", machine.root / "flag"
    do = Run(("touch", str(flag)), unless=("test", "-e", str(flag)))
    script = one(of(step("a.step", Do("", (part(file(str(path)), do),)), HYPERVISOR)))
    machine.run(script)
    for gone in (path, flag):
        gone.unlink()
        assert machine.run(script).stdout.endswith("done\n")
        assert gone.exists()
    assert "nothing to do" in machine.run(script).stdout


def test_commands_alone_are_run_each_time(machine: Machine) -> None:
    script = one(of(step("a.step", Do("", (part(Run(("touch", str(machine.root / "flag")))),)), HYPERVISOR)))
    machine.run(script)
    assert "touch" in machine.run(script).stdout


def test_a_command_with_a_question_of_its_own_is_run_as_it_is(machine: Machine) -> None:
    """What stands in quotes is the command's, also where it looks like what the wizard asks before one."""
    flag = machine.root / "it's"
    inner = f"true >/dev/null 2>&1 || false; touch {shlex.quote(str(flag))}"
    asked = Run(("sh", "-c", inner), unless=("sh", "-c", f"false >/dev/null 2>&1 || test -e {shlex.quote(str(flag))}"))
    for action in (Run(("sh", "-c", inner)), asked):
        script = one(of(step("a.step", Do("", (part(file(str(machine.root / "file")), action),)), HYPERVISOR)))
        assert machine.run(script).stdout.endswith("done\n")
        assert flag.exists()
    assert "nothing to do; it ran before" in machine.run(script).stdout
    flag.unlink()
    assert machine.run(script).stdout.endswith("done\n")
    assert flag.exists()


def test_it_stops_at_the_first_failure_and_says_where_the_log_is(machine: Machine) -> None:
    path = machine.root / "file"
    failing = Wait(("false",), 0, "pigs fly")
    script = one(of(step("a.step", Do("", (part(failing, file(str(path))),)), HYPERVISOR)))
    done = machine.run(script)
    assert done.returncode == 1
    assert "still not so after 0 s: pigs fly" in done.stdout
    assert "its log is" in done.stderr
    assert not path.exists()


def test_a_file_that_is_otherwise_stops_it_before_anything(machine: Machine) -> None:
    first, path = machine.root / "first", machine.root / "file"
    path.write_text("mine\n")
    script = one(of(step("a.step", Do("", (part(file(str(first)), file(str(path))),)), HYPERVISOR)))
    done = machine.run(script)
    assert done.returncode == 75
    assert f"{path} is not as it was where this was planned" in done.stderr
    assert "nothing was done" in done.stderr
    assert not first.exists()


def test_a_guarded_one_is_confirmed_by_another_login(machine: Machine) -> None:
    path = machine.root / "file"
    (machine.root / "gateway").touch()
    guarded = step("a.step", Do("", (part(file(str(path)), guard=GUARD),)), HYPERVISOR)
    (_, script), (confirm, confirmation) = scripts(of(guarded)).scripts
    begun = machine.run(script)
    assert "120 s after it began, this host goes back" in begun.stdout
    assert f"Log in anew (to 192.168.182.100) and run there, as root: sh {confirm}" in begun.stdout
    assert "--on-active=120" in (machine.home / "timers").read_text()
    assert (machine.root / "units" / "hk8s-guard-boot.service").exists()
    assert "waits to be confirmed" in machine.run(script).stderr
    kept = machine.run(confirmation)
    assert (kept.returncode, kept.stdout) == (0, f"{confirm}: kept\n")
    assert not (machine.home / "guard" / "pending").exists()
    assert "nothing to do; it ran before" in machine.run(script).stdout
    late = machine.run(confirmation)
    assert late.returncode == 75
    assert "nothing waits to be confirmed" in late.stderr


def test_what_no_longer_answers_stands_in_the_way_of_confirming(machine: Machine) -> None:
    (machine.root / "gateway").touch()
    guarded = step("a.step", Do("", (part(file(str(machine.root / "file")), guard=GUARD),)), HYPERVISOR)
    (_, script), (_, confirmation) = scripts(of(guarded)).scripts
    machine.run(script)
    (machine.root / "gateway").unlink()
    refused = machine.run(confirmation.replace("tries=15", "tries=1"))
    assert refused.returncode == 1
    assert "because this is no longer so: the gateway answers." in refused.stderr
    assert machine.run(confirmation, "anyway").returncode == 0


def test_what_did_not_answer_before_does_not(machine: Machine) -> None:
    guarded = step("a.step", Do("", (part(file(str(machine.root / "file")), guard=GUARD),)), HYPERVISOR)
    (_, script), (_, confirmation) = scripts(of(guarded)).scripts
    machine.run(script)
    assert machine.run(confirmation).returncode == 0


def test_the_login_that_began_it_does_not_confirm_it(machine: Machine) -> None:
    guarded = step("a.step", Do("", (part(file(str(machine.root / "file")), guard=GUARD),)), HYPERVISOR)
    (_, script), (_, confirmation) = scripts(of(guarded)).scripts
    # As under sshd: the shell of this test has its name.
    shell = f"printf sshd >/proc/$$/comm; sh {machine.root}/a.sh; sh {machine.root}/b.sh; true"
    for name, text in (("a.sh", script), ("b.sh", confirmation)):
        (machine.root / name).write_text(machine.here(text))
    done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, timeout=120)
    assert "this is the login that began the change, which proves nothing" in done.stderr
    assert machine.run(confirmation).returncode == 0


# ---------------------------------------------------------------- secrets, and the owner's own machine


def with_a_secret(machine: Machine, on: str) -> Material:
    """A part that leaves the secret's length behind, and removes the file that had it."""
    path, length = str(machine.root / "admin.conf"), str(machine.root / "length")
    hole = Hole("admin-conf", "aki0", ("cat", "/etc/kubernetes/admin.conf"), "the administrator's kubeconfig")
    actions = (SecretFile(path, f"a: {hole.mark}\n", (hole,)), Run(("sh", "-c", f"wc -c <{path} >{length}")))
    wanted = Part(on, "with a secret", actions, (Run(("rm", "-f", path)),))
    return of(step("a.step", Do("", (wanted,)), on))


@pytest.mark.parametrize("on", [HYPERVISOR, OWNER])
def test_a_secret_is_asked_for_at_the_keyboard_and_not_kept(
    machine: Machine, on: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(machine.root / "state"))
    monkeypatch.delenv("SUDO_USER", raising=False)
    script = machine.root / "script.sh"
    script.write_text(machine.here(one(with_a_secret(machine, on))))
    assert machine.run(script.read_text()).returncode == 5
    ours, theirs = pty.openpty()
    process = subprocess.Popen(["sh", str(script)], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    said = b""
    while b"press Enter and Ctrl+D" not in said:
        said += os.read(ours, 1000)
    assert b"aki0: cat /etc/kubernetes/admin.conf" in said
    os.write(ours, f"{CANARY}\n\x04".encode())
    with contextlib.suppress(OSError):  # the terminal goes with its last process
        while more := os.read(ours, 1000):
            said += more
    os.close(ours)
    assert process.wait(60) == 0, said
    assert CANARY.encode() not in said
    assert (machine.root / "length").read_text().strip() == str(len(f"a: {CANARY}\n"))
    found = subprocess.run(["grep", "-rl", CANARY, str(machine.root)], capture_output=True, text=True)
    assert found.stdout == ""


def test_what_is_for_the_owners_own_machine_runs_there_without_root(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(machine.root / "state"))
    monkeypatch.delenv("SUDO_USER", raising=False)
    path = machine.root / "file"
    exported = scripts(of(step("a.step", Do("", (part(file(str(path)), on=OWNER),)), OWNER)))
    [(name, script)] = exported.scripts
    assert name == "01-owner-a.step@owner.sh"
    assert f"# On your own machine, without sudo: sh {name}" in script
    assert f"    sh DIR/{name}" in exported.readme
    assert "on your own machine without sudo" in exported.readme
    run = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    assert path.read_text() == "x\n"
    assert (machine.root / "state/homek8s-wizard/aki/here/manifest").exists()
    monkeypatch.setenv("SUDO_USER", "owner")
    assert subprocess.run(["sh", "-c", script], capture_output=True, timeout=60).returncode == 77


@pytest.mark.skipif(os.geteuid() == 0, reason="root may")
def test_only_root_runs_it(tmp_path: Path) -> None:
    script = one(of(step("a.step", Do("", (part(file("/a")),)), HYPERVISOR)))
    done = subprocess.run(["sh"], input=script, capture_output=True, text=True)
    assert done.returncode == 77
