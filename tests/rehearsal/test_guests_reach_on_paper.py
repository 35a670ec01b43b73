"""guests.reach on domains without disks: moved and booted cold as libvirt sees it, refused, and waited for in vain."""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path

from tests.rehearsal.conftest import Hypervisor
from tests.rehearsal.on_paper import OnPaper, nic
from tests.rehearsal.wizard_on import cut_off, until_said

REACH = ("apply", "guests.reach", "--yes")
LAN = "vxlan10-bridge"


def test_moved_and_booted_cold_and_back_as_it_was(hypervisor: Hypervisor, tmp_path: Path, suite: str) -> None:
    wizard = OnPaper(hypervisor(suite), tmp_path / "owner", ("d0", "d1"), more=", nic: bridge")
    wizard.inside("ip link add virbr9 type bridge; ip link set virbr9 up")
    before = [wizard.define("d0", nic("52:54:00:a0:00:10"), start=True)]
    before.append(wizard.define("d1", nic("52:54:00:a0:00:11", "direct", "dev='enp5s0' mode='bridge'")))
    wizard.ok("apply", "bridge", "--yes")
    assert wizard.run("apply", "guests.reach@d0").returncode == 5, "a restart is asked about"
    assert wizard.nics("d0", network=LAN) == []
    killed_and_cut_off_between_off_and_on(wizard)
    for name in ("d0", "d1"):
        assert wizard.nics(name, network=LAN) == wizard.nics(name, network=LAN, inactive=True) != []
    assert "part 1" not in wizard.ok(*REACH).stderr
    wizard.obeying("d1", times=2)
    wizard.ok("undo", "guests.reach", "--yes")
    assert wizard.nics("d0", network=LAN) != [], "while it runs, it stays where it is"
    assert [wizard.definition(name) for name in ("d0", "d1")] == before
    assert wizard.inside("virsh -q list --name").split() == ["d0"], "what was off is off again"
    assert wizard.left() == ""


def killed_and_cut_off_between_off_and_on(wizard: OnPaper) -> None:
    """The script goes on by itself; who looks again finds it."""
    running = wizard.start(*REACH)
    until_said(running, "==> virsh shutdown d0")
    running.send_signal(signal.SIGKILL)
    running.communicate(timeout=30)
    again = wizard.start(*REACH)
    until_said(again, "guests.reach@d0 was under way: going on where it was")
    until_said(again, "Connected to hypervisor")
    cut_off(wizard.machine)
    wizard.obeying("d0")
    said, _ = again.communicate(timeout=120)
    assert again.returncode == 0, said


def test_one_mac_twice_is_said_before_anything_runs(hypervisor: Hypervisor, tmp_path: Path) -> None:
    wizard = OnPaper(hypervisor(), tmp_path / "owner", ("d0",))
    wizard.define("d0", nic("52:54:00:a0:00:10"))
    wizard.define("clone", nic("52:54:00:a0:00:10"))
    done = wizard.run(*REACH)
    assert done.returncode == 5, done.stderr
    assert "d0 and clone both have the MAC 52:54:00:a0:00:10" in done.stderr
    assert wizard.inside("virsh -q list --name").strip() == ""


IMPATIENT = """
from wizard.stages import guests_domain
guests_domain.BOOT = 15
from wizard.cli import main
main()
"""
"""The installed command, but for the ten minutes that it gives a guest to boot."""


class Impatient(OnPaper):
    """With all that the steps do and ask; of guests on paper only that they have no disk to start from."""

    def argv(self, verb: str, *arguments: str) -> list[str]:
        [python, _m, _module, *rest] = super().argv(verb, *arguments)
        return [python, "-c", IMPATIENT, *rest]

    def run(self, verb: str, *arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        argv, environment = self.argv(verb, *arguments), self.environment
        return self.machine.run_on_lan(argv, capture_output=True, text=True, env=environment, timeout=timeout)


def test_a_guest_that_never_comes_up(hypervisor: Hypervisor, tmp_path: Path) -> None:
    wizard = Impatient(hypervisor(), tmp_path / "owner", ("d0", "d1"))
    wizard.ok("apply", "bridge", "isolated", "--yes")
    for number, name in enumerate(("d0", "d1")):
        wizard.define(name, nic(f"52:54:00:a0:00:1{number}", "network", f"network='{LAN}'"))
    wizard.inside(r"printf 'Booting.\r\n\033[31mKernel panic\033[0m\r\n' >/var/log/libvirt/qemu/d1-console.log")
    began = wizard.run(*REACH)
    assert began.returncode == 4, began.stderr
    assert re.search(r"waiting until d1 answers over SSH \(at most 1\d s more\).*says: Kernel panic\n", began.stderr)
    assert "look at its console, on the hypervisor: virsh console d1 (leave with Ctrl+])" in began.stderr
    assert wizard.inside("virsh -q list --name").split() == ["d1", "d0"], "the control plane comes last"
    again = wizard.run(*REACH)
    assert again.returncode == 4, again.stderr
    for name in ("d0", "d1"):
        assert f"guests.reach@{name}: [unknown] {name} runs, but cannot be asked: " in again.stderr
        assert f"Look at it: virsh console {name} (leave with Ctrl+]), virsh domstate {name}" in again.stderr
    blocked = wizard.run("apply", "guests", "--yes")
    assert "guests.attach@d1: [blocked] waits for guests.reach" in blocked.stderr
    wizard.inside("virsh -q destroy d0; virsh -q destroy d1")
    wizard.ok("undo", "guests.reach", "--yes")
