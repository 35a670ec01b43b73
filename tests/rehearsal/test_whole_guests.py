"""All of it, guests included: from the article half done and from bare machines to the end, and all the way back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from screens.app import end_engine
from tests.rehearsal import bird
from tests.rehearsal.conftest import Hypervisor
from tests.rehearsal.firewall_on import values
from tests.rehearsal.keyboard import Owner, wizard_app
from tests.rehearsal.namespaces import ON_ISOLATED
from tests.rehearsal.pictures import whole
from tests.rehearsal.tcp import tcp_source_of_guest
from tests.rehearsal.wizard_on import WizardOn, forwarding_ports, links
from wizard.events import State
from wizard.rehearsal import Rehearsal, RehearsalError
from wizard.rehearsal.waiting import until

BOOTS = 600
"""Seconds in which emulated guests have started, also beside other tests."""
UFW = "/etc/default/ufw"
LAN = {"aki0": "192.168.182.130", "aki1": "192.168.182.131", "aki2": "192.168.182.132"}
ISOLATED = {"aki0": "192.168.190.100", "aki1": "192.168.190.101", "aki2": "192.168.190.102"}


def nothing_to_do(wizard: WizardOn, *names: str) -> None:
    """Nor while the guests come back by themselves: what only they can say is not known until then, and no change."""

    def seen() -> bool | None:
        looked = wizard.run("plan", "--json")
        said = json.loads(looked.stdout)
        states = {row["state"] for row in said["steps"]}
        assert (said["changes"], states - {"done", "unknown"}) == (0, set()), looked.stdout
        assert looked.returncode != 3, looked.stdout
        return states == {"done"} or None

    seen()
    for name in names:
        wizard.machine.wait_ssh(BOOTS, host=name)
    try:
        until(seen, BOOTS, "the guests did not come back")
    except RehearsalError:
        pytest.fail(wizard.run("plan").stdout)


def guests_talk(machine: Rehearsal, *names: str) -> None:
    """Over TCP, on both networks, and each is seen with its own address."""
    for one, other in pairwise(names):
        for addresses in (LAN, ISOLATED):
            assert tcp_source_of_guest(machine, one, other, addresses[other]) == addresses[one]


@pytest.mark.turns(at="a whole life with guests")
@pytest.mark.long(first=True)
async def test_the_article_half_done_is_finished_by_keyboard_through_a_reboot_and_back(
    hypervisor: Hypervisor, tmp_path: Path
) -> None:
    machine = hypervisor("trixie", midway=True)
    wizard = WizardOn(machine, tmp_path / "owner")
    before = whole(machine)
    applied = await finished_by_keyboard(machine, wizard.directory)
    assert "bridge.network@hypervisor" not in applied
    assert "guests.reach@aki0" not in applied
    assert {"bridge.port@hypervisor", "firewall.ufw@hypervisor", "guests.reach@aki2", "guests.address@aki0"} <= set(
        applied
    )
    nothing_to_do(wizard, *LAN)
    assert links(machine)["br0"]["addresses"] == ["192.168.182.100/24"]
    assert "enp4s0" in forwarding_ports(machine, "br0")
    assert "enp5s0" not in forwarding_ports(machine, "br0")
    guests_talk(machine, "aki0", "aki1", "aki2")
    with bridged_packets_filtered(machine):
        guests_talk(machine, "aki0", "aki1")
    bird.peers(machine, ON_ISOLATED)
    assert bird.established(machine, ON_ISOLATED)
    machine.reboot(power=False)
    nothing_to_do(wizard, *LAN)
    guests_talk(machine, "aki0", "aki1", "aki2")
    wizard.ok("undo", "--all", "--yes", timeout=BOOTS * 2)
    assert whole(machine) == before


@contextmanager
def bridged_packets_filtered(machine: Rehearsal) -> Iterator[None]:
    """By the host's firewall, as on many hosts, without the article's global ACCEPT: ufw's rules let guests talk."""
    assert values(machine) == "000"
    drop = 's/^DEFAULT_FORWARD_POLICY=.*/DEFAULT_FORWARD_POLICY="DROP"/'
    machine.inside(f"cp -p {UFW} /root/ufw && sed -i '{drop}' {UFW} && ufw reload")
    machine.inside("sysctl -qw net.bridge.bridge-nf-call-iptables=1")
    assert machine.inside("iptables -S FORWARD").startswith("-P FORWARD DROP\n")
    yield
    machine.inside("sysctl -qw net.bridge.bridge-nf-call-iptables=0")
    machine.inside(f"mv /root/ufw {UFW} && ufw reload")


async def finished_by_keyboard(machine: Rehearsal, directory: Path) -> list[str]:
    """From the welcome to the last step, at 80 by 24; what was applied."""
    with machine.lan():
        app = wizard_app(machine, directory, state_dir=directory / "state" / "homek8s-wizard")
        async with app.run_test(size=(80, 24), notifications=True, tooltips=True) as pilot:
            owner = Owner(app, pilot, BOOTS)
            await owner.welcomed()
            applied = await owner.to_the_end()
            assert {row.state for row in app.session.rows} == {State.DONE}
        end_engine(app)
    return applied


@pytest.mark.turns(at="a whole life with guests")
@pytest.mark.long(first=True)
def test_from_a_fresh_machine_to_guests_through_a_reboot_and_back(hypervisor: Hypervisor, tmp_path: Path) -> None:
    machine = hypervisor(guests=2)
    wizard = WizardOn(machine, tmp_path / "owner")
    before = whole(machine)
    wizard.ok("apply", "--yes", timeout=BOOTS * 3)
    nothing_to_do(wizard, "aki0", "aki1")
    guests_talk(machine, "aki0", "aki1")
    machine.reboot(power=False)
    nothing_to_do(wizard, "aki0", "aki1")
    guests_talk(machine, "aki0", "aki1")
    refused = wizard.run("undo", "--all", "--yes", timeout=BOOTS)
    assert refused.returncode == 5
    assert "--destroy aki1" in refused.stderr
    assert machine.inside("virsh domstate aki1").strip() == "running"
    wizard.ok("undo", "--all", "--yes", "--destroy", "aki0", "--destroy", "aki1", timeout=BOOTS)
    assert whole(machine) == before
    assert not machine.inside("ls /var/lib/libvirt/images | grep aki; true")
