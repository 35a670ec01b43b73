"""guests.attach on real domains without disks: definitions, live machines, what goes wrong, and the way back."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.rehearsal.conftest import Hypervisor
from tests.rehearsal.on_paper import PASSWORD, OnPaper, nic
from tests.rehearsal.wizard_on import cut_off
from wizard.stages.hotplug import has_room

ATTACH = ("apply", "guests.attach", "--yes")
UNDO = ("undo", "guests.attach", "--yes")
MAC = "52:54:00:a0:00:1{}"

Make = Callable[..., OnPaper]


@pytest.fixture
def paper_on(hypervisor: Hypervisor, tmp_path: Path) -> Make:
    def make(suite: str = "bookworm", *names: str) -> OnPaper:
        wizard = OnPaper(hypervisor(suite), tmp_path / "owner", names or ("d0",))
        wizard.inside("ip link add virbr9 type bridge; ip link set virbr9 up")
        wizard.ok("apply", "isolated", "--yes")
        return wizard

    return make


def planned(wizard: OnPaper, name: str = "d0") -> dict[str, object]:
    [row] = [
        r for r in wizard.json("plan", "guests.attach")["steps"] if r["step"] == "guests.attach" and r["target"] == name
    ]
    return row  # type: ignore[no-any-return]


# ---------------------------------------------------------------- there and back


def test_a_running_and_a_stopped_guest_there_and_back(paper_on: Make, suite: str) -> None:
    wizard = paper_on(suite, "d0", "d1")
    before = [wizard.define("d0", nic(MAC.format(0)), start=True), wizard.define("d1", nic(MAC.format(1)))]
    done = wizard.ok(*ATTACH)
    assert PASSWORD not in done.stdout + done.stderr
    assert done.stderr.index("guests.attach@d1") < done.stderr.index("guests.attach@d0"), "the control plane comes last"
    assert wizard.nics("d0") == wizard.nics("d0", inactive=True) != wizard.nics("d1", inactive=True)
    assert [len(wizard.nics(name, inactive=True)) for name in ("d0", "d1")] == [1, 1]
    assert wizard.inside("stat -c %a /var/lib/homek8s-wizard/domains/*").split() == ["600"] * 4
    assert wizard.inside("ls -d /sys/class/net/kube-isolated/brif/* | wc -l").strip() == "1"
    again = wizard.ok(*ATTACH)
    assert "part 1" not in again.stderr
    assert [len(wizard.nics(name, inactive=True)) for name in ("d0", "d1")] == [1, 1]
    undone = wizard.ok(*UNDO)
    said = "while it runs; it goes when d0 is shut down" in undone.stderr + undone.stdout
    assert said == (wizard.nics("d0") != []), "what stays plugged in is said, and nothing else"
    assert [wizard.definition(name) for name in ("d0", "d1")] == before
    assert wizard.left() == ""
    assert "nothing that the wizard did" in wizard.run(*UNDO).stderr


def test_room_is_seen_as_libvirt_sees_it_and_without_it_the_guest_is_booted_cold(paper_on: Make, suite: str) -> None:
    wizard = paper_on(suite)
    before = wizard.define("d0", nic(MAC.format(0)), start=True)
    plugged_full(wizard, "d0")
    row = planned(wizard)
    assert row["risk"] == "restarts-machine"
    asked = wizard.run("apply", "guests.attach")
    assert asked.returncode == 5, "a restart is asked about"
    wizard.obeying("d0")
    done = wizard.ok(*ATTACH)
    assert "virsh start d0" in done.stdout + done.stderr
    assert wizard.nics() == wizard.nics(inactive=True)
    assert len(wizard.nics()) == 1
    wizard.ok(*UNDO)
    assert wizard.definition() == before


def plugged_full(wizard: OnPaper, name: str) -> None:
    """Until libvirt finds no slot for another NIC, which the wizard sees beforehand."""
    for at in range(1, 9):
        room = has_room(wizard.inside(f"virsh dumpxml {name}"))
        plug = f"virsh -q attach-interface {name} bridge virbr9 --model virtio --mac {MAC.format(at)} --live 2>&1; true"
        assert ("No more available PCI slots" not in wizard.inside(plug)) == room
        if not room:
            return
    raise AssertionError(f"{name} has room for nine")


def test_a_guest_that_does_not_come_back_is_the_only_one_down(paper_on: Make) -> None:
    wizard = paper_on("trixie", "d0", "d1")
    for name in ("d0", "d1"):
        wizard.define(name, nic(MAC.format(0)), start=True)
        plugged_full(wizard, name)
    wizard.inside("ip link set virbr9 name elsewhere")
    wizard.obeying("d1")
    failed = wizard.run(*ATTACH)
    assert failed.returncode == 1, failed.stderr
    assert "guests.attach@d1: [failed]" in failed.stderr
    assert "guests.attach@d0: [blocked] waits for d1, which was restarted and is not back" in failed.stderr
    assert wizard.inside("virsh list --name").split() == ["d0"]
    wizard.inside("ip link set elsewhere name virbr9")
    wizard.obeying("d0")
    wizard.ok(*ATTACH)
    assert [len(wizard.nics(name)) for name in ("d0", "d1")] == [1, 1]


def test_what_is_there_in_part_is_completed_with_its_own_mac(paper_on: Make) -> None:
    wizard = paper_on("bookworm", "d0", "d1")
    wizard.define("d0", start=True)
    wizard.define("d1", start=True)
    attach = "virsh -q attach-interface {} network kube-isolated --model virtio --mac {} {}"
    wizard.inside(attach.format("d0", MAC.format(5), "--live"))
    wizard.inside(attach.format("d1", MAC.format(6), "--config"))
    own = wizard.definition("d1")
    wizard.ok(*ATTACH)
    for name, mac in (("d0", MAC.format(5)), ("d1", MAC.format(6))):
        assert wizard.nics(name) == wizard.nics(name, inactive=True) == [mac]
    wizard.ok(*UNDO)
    assert wizard.nics("d0") == [MAC.format(5)], "what the owner plugged in stays"
    assert wizard.definition("d1") == own


def test_two_nics_another_ones_mac_and_no_guest_at_all(paper_on: Make) -> None:
    wizard = paper_on()
    absent = wizard.run(*ATTACH)
    assert absent.returncode == 5
    assert "there is no guest d0 on the hypervisor" in absent.stderr
    wizard.define("d0", start=True)
    mac = str(planned(wizard)["parts"]).partition("--mac ")[2][:17]
    wizard.define("other", nic(mac))
    refused = wizard.run(*ATTACH)
    assert refused.returncode == 2, refused.stderr
    assert f"the guest other has the MAC {mac} already" in refused.stderr
    wizard.inside("virsh -q undefine other")
    for at in (5, 6):
        wizard.inside(f"virsh -q attach-interface d0 network kube-isolated --mac {MAC.format(at)} --config")
    double = wizard.run(*ATTACH)
    assert double.returncode == 5
    cure = f"virsh detach-interface d0 network --mac {MAC.format(6)} --config"
    assert cure in double.stderr
    wizard.inside(cure)
    wizard.ok(*ATTACH)
    assert wizard.nics() == wizard.nics(inactive=True) == [MAC.format(5)]


# ---------------------------------------------------------------- somebody else was there too


def test_undo_is_refused_with_a_diff_where_somebody_changed_the_definition(paper_on: Make) -> None:
    wizard = paper_on()
    before = wizard.define()
    wizard.ok(*ATTACH)
    wizard.inside("virsh dumpxml --inactive --security-info d0 >/root/ours.xml")
    wizard.inside("virsh -q setmem d0 32768 --config; systemctl restart libvirtd")
    refused = wizard.run(*UNDO)
    assert refused.returncode == 1
    assert "+  <currentMemory unit='KiB'>32768</currentMemory>" in refused.stderr
    assert PASSWORD not in refused.stderr
    assert wizard.nics(inactive=True)
    wizard.ok(*ATTACH)
    assert wizard.run(*UNDO).returncode == 1, "applying again does not make the change ours"
    wizard.inside("virsh -q define /root/ours.xml")
    wizard.ok(*UNDO)
    assert wizard.definition() == before


def test_a_guest_that_was_removed_by_hand_is_not_brought_back(paper_on: Make) -> None:
    wizard = paper_on()
    wizard.define()
    wizard.ok(*ATTACH)
    wizard.inside("virsh -q undefine d0")
    assert planned(wizard)["state"] == "blocked"
    wizard.ok(*UNDO)
    assert wizard.inside("virsh list --all --name").strip() == ""
    assert wizard.left() == ""


def test_undo_of_all_goes_past_guests_that_were_removed_by_hand(paper_on: Make) -> None:
    """Of what was set in them nothing can be noted any more, and what was kept of them goes."""
    wizard = paper_on("bookworm", "d0", "d1")
    wizard.define("d0", nic(MAC.format(0)), start=True)
    wizard.define("d1", nic(MAC.format(1)))
    wizard.ok("apply", "guests.reach", "guests.attach", "--yes")
    wizard.inside("virsh -q destroy d1")
    waits = wizard.run("undo", "guests.address@d1", "--yes")
    assert waits.returncode == 1
    assert "start it (virsh start d1), then undo again" in waits.stderr
    wizard.inside("virsh -q destroy d0; virsh -q undefine d0; virsh -q undefine d1")
    undone = wizard.ok("undo", "--all", "--yes")
    assert "d0 is gone, and with it what was done in it" in undone.stderr
    assert wizard.inside("virsh list --all --name; virsh net-list --all --name | grep kube; true").strip() == ""
    assert wizard.left() == ""


def test_a_guest_that_stands_still_is_left_as_it_is(paper_on: Make) -> None:
    wizard = paper_on()
    before = wizard.define("d0", start=True)
    wizard.inside("virsh -q suspend d0")
    blocked = wizard.run(*ATTACH)
    assert blocked.returncode == 5
    assert "libvirt has it as paused (user)" in blocked.stderr
    assert wizard.definition() == before
    cure = "virsh resume d0"
    assert f"let it go on: {cure}" in blocked.stderr
    wizard.inside(cure)
    wizard.ok(*ATTACH)
    assert len(wizard.nics()) == 1


# ---------------------------------------------------------------- interrupted


def until_part_runs(running: subprocess.Popen[str]) -> None:
    assert running.stdout is not None
    assert any("guests.attach@d0" in line for line in running.stdout)
    assert any("==>" in line for line in running.stdout)


def complete(wizard: OnPaper, before: str) -> None:
    """One NIC and no more, and the way back is whole."""
    assert wizard.nics() == wizard.nics(inactive=True)
    assert len(wizard.nics()) == 1
    assert planned(wizard)["state"] == "done"
    wizard.ok(*UNDO)
    assert wizard.definition() == before
    assert wizard.left() == ""


@pytest.mark.turns(at="a NIC is interrupted")
@pytest.mark.long
def test_killed_cut_off_and_with_libvirtd_restarted_it_goes_on(paper_on: Make) -> None:
    wizard = paper_on()
    before = wizard.define(start=True)
    running = wizard.start(*ATTACH)
    until_part_runs(running)
    running.send_signal(signal.SIGKILL)
    running.communicate(timeout=30)
    wizard.ok(*ATTACH)
    complete(wizard, before)
    wizard.inside("virsh -q destroy d0; virsh -q start d0")
    running = wizard.start(*ATTACH)
    until_part_runs(running)
    cut_off(wizard.machine, 3)
    output, _ = running.communicate(timeout=120)
    assert running.returncode == 0, output
    complete(wizard, before)
    wizard.inside("virsh -q destroy d0; virsh -q start d0")
    running = wizard.start(*ATTACH)
    until_part_runs(running)
    wizard.inside("systemctl kill -s KILL libvirtd.service; systemctl restart libvirtd")
    running.communicate(timeout=120)
    wizard.ok(*ATTACH)
    complete(wizard, before)


CUT_HERE = ("keep_domain d0", "--config", "leave_domain d0", "unplug d0", "--live")


@pytest.mark.turns("line", at="a NIC is interrupted")
@pytest.mark.parametrize("line", CUT_HERE)
def test_ended_at_any_of_its_lines_it_converges(paper_on: Make, line: str) -> None:
    """The script as it is in the plan, ended at this line as by a loss of power, run again, and taken back."""
    wizard = paper_on()
    before = wizard.define(start=True)
    [part] = planned(wizard)["parts"]  # type: ignore[misc]
    lines = part["script"].splitlines()
    [at] = [
        number
        for number, each in enumerate(lines)
        if line in each and not each.startswith("say ") and "() {" not in each
    ][:1]
    for number in (at, at + 1) if line == CUT_HERE[-1] else (at,):
        cut = "\n".join([*lines[:number], "kill -9 $$", *lines[number:]])
        wizard.inside(f"cat >/root/cut.sh <<'CUT'\n{cut}\nCUT\nsh /root/cut.sh ended-{number} || true")
        wizard.ok(*ATTACH)
        wizard.inside(f"cat >/root/whole.sh <<'CUT'\n{part['script']}\nCUT\nsh /root/whole.sh again-{number}")
        complete(wizard, before)
        wizard.inside("virsh -q destroy d0; virsh -q start d0")


def test_no_password_is_left_but_where_root_alone_reads_it(paper_on: Make) -> None:
    wizard = paper_on()
    wizard.define(start=True)
    wizard.ok(*ATTACH)
    said = wizard.ok("export").stdout + json.dumps(wizard.json("plan")) + json.dumps(wizard.json("status"))
    assert PASSWORD not in said
    for path in (wizard.directory / "state").rglob("*"):
        assert not path.is_file() or PASSWORD.encode() not in path.read_bytes(), path
    found = wizard.inside(f"grep -rl {PASSWORD} /var/lib/homek8s-wizard").split()
    assert found == ["/var/lib/homek8s-wizard/domains/d0.guests.attach.before.xml"]
