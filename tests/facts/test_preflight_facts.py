"""What real hosts print, read: Debian 12 and 13, before and after libvirt is installed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.facts.capture import FACTS, FIXTURES
from wizard.facts.access import CONSOLE, SSHD, Console
from wizard.facts.firewall import FORWARDING, Chain, Forwarding
from wizard.facts.packages import HYPERVISOR_PACKAGES, PACKAGES, PROGRAMS
from wizard.facts.storage import FSYNC, IMAGES, PLACES, VOLUMES
from wizard.facts.system import CLOCK, HOSTNAME, INIT, MEMORY, PROCESSOR, RELEASE, Clock, Hostname, Init
from wizard.facts.units import FIREWALL_UNITS, LIBVIRT_UNITS
from wizard.facts.virtualisation import KVM, Kvm
from wizard.facts.wireguard import WIREGUARD, Tunnel, Wireguard
from wizard.model import Fact, FactError, Output
from wizard.stages.preflight_packages import DROP_IN, DROP_INS, daemon_of, is_running

HOSTS = ("bookworm-bare", "bookworm-full", "trixie-bare", "trixie-full")
SUITE = {"bookworm": "12", "trixie": "13"}


def seen(fact: Fact[Any], host: str) -> Any:
    return fact.parse(Output(0, (FIXTURES / host / f"{fact.id}.out").read_bytes()))


def read(fact: Fact[Any], text: str, rc: int = 0, err: str = "") -> Any:
    return fact.parse(Output(rc, text.encode(), err.encode()))


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.id)
def test_every_fact_of_every_host_is_understood(fact: Fact[Any], host: str) -> None:
    assert seen(fact, host) is not None


@pytest.mark.parametrize("host", HOSTS)
def test_the_machine(host: str) -> None:
    suite = host.partition("-")[0]
    release = seen(RELEASE, host)
    assert (release.id, release.version, release.arch) == ("debian", SUITE[suite], "x86_64")
    assert seen(INIT, host) == Init(0, "systemd", {"12": 252, "13": 257}[release.version], "running")
    assert seen(PROCESSOR, host).inside == "systemd-nspawn"
    assert 0 < seen(MEMORY, host).available < seen(MEMORY, host).total
    assert seen(CLOCK, host) == Clock(False, 2026)
    assert seen(KVM, host) == Kvm(False, False, "there is no /dev/kvm")


@pytest.mark.parametrize("host", HOSTS)
def test_disks(host: str) -> None:
    volumes = seen(VOLUMES, host)
    assert tuple(volumes) == PLACES
    assert volumes[IMAGES].writable
    assert volumes["/tmp"].kind == "tmpfs"
    assert 0 < seen(FSYNC, host).median <= seen(FSYNC, host).p99


@pytest.mark.parametrize("suite", SUITE)
def test_packages_before_and_after(suite: str) -> None:
    bare, full = seen(PACKAGES, f"{suite}-bare"), seen(PACKAGES, f"{suite}-full")
    assert set(bare.missing) == set(HYPERVISOR_PACKAGES) - {"iptables"}
    assert set(bare.candidate) == set(HYPERVISOR_PACKAGES)
    assert full.missing == ()
    assert full.programs == PROGRAMS
    for packages in (bare, full):
        assert packages.debian
        assert not packages.interrupted
        assert packages.broken == ""
        assert packages.lists_age is not None


def test_packages_in_disorder() -> None:
    lines = ("status\tovmf\tunpacked", "candidate\tvirtinst\t(none)", "interrupted")
    found = read(PACKAGES, "\n".join((*lines, "broken\tUnmet dependencies.", "broken\tTry it.", "end")))
    assert found.interrupted
    assert found.broken == "Unmet dependencies. Try it."
    assert found.candidate == {}
    assert "ovmf" in found.missing
    assert found.lists_age is None


def test_a_host_without_apt() -> None:
    found = read(PACKAGES, "program\tvirsh\nforeign\nend\n")
    assert (found.debian, found.programs) == (False, ("virsh",))


@pytest.mark.parametrize("fact", [PACKAGES, WIREGUARD, FORWARDING, LIBVIRT_UNITS, SSHD])
def test_a_command_that_broke_off_is_no_value(fact: Fact[Any]) -> None:
    with pytest.raises(FactError, match="broken pipe"):
        read(fact, "", 141, "broken pipe")


@pytest.mark.parametrize("suite", SUITE)
def test_libvirt_units(suite: str) -> None:
    bare, full = seen(LIBVIRT_UNITS, f"{suite}-bare"), seen(LIBVIRT_UNITS, f"{suite}-full")
    assert not any(unit.exists for unit in bare.values())
    assert full["libvirtd.socket"].is_active
    assert full["libvirtd.service"].is_enabled
    assert not full["virtqemud.service"].exists
    assert is_running(full, daemon_of(full))
    assert seen(FIREWALL_UNITS, f"{suite}-full")["ufw.service"].is_active
    assert seen(DROP_IN, f"{suite}-full") == dict.fromkeys(DROP_INS.values())


def test_firewall_off_and_on() -> None:
    assert seen(FORWARDING, "bookworm-bare") == Forwarding((), "nf_tables")
    found = seen(FORWARDING, "trixie-full")
    assert found.ufw
    assert found.chains == (Chain("ip", "filter", "FORWARD", "drop"), Chain("ip6", "filter", "FORWARD", "drop"))
    assert found.drops == ("FORWARD in table ip filter", "FORWARD in table ip6 filter")


def test_iptables_of_the_old_kind() -> None:
    text = "iptables\tiptables v1.8.9 (legacy)\nlegacy\tnat filter \nufw\t\npolicy\t-P FORWARD DROP\n"
    found = read(FORWARDING, text)
    assert found == Forwarding(None, "legacy", ("nat", "filter"), "DROP")
    assert found.drops == ("FORWARD of iptables-legacy",)


def test_wireguard_says_whose_packets_come_in_and_never_a_key() -> None:
    assert seen(WIREGUARD, "bookworm-full") == Wireguard((Tunnel("wg0", ("10.8.0.1/24",), ("10.8.0.2/32",), 51820),))
    assert seen(WIREGUARD, "trixie-bare") == Wireguard()


def test_ways_in() -> None:
    assert seen(CONSOLE, "trixie-full") == Console((), False, ("owner",))
    assert read(CONSOLE, "screens=card0-DP-1 card1-HDMI-A-1\nmanagement=yes\npasswords=aki root\n") == Console(
        ("card0-DP-1", "card1-HDMI-A-1"), True, ("root", "aki")
    )
    assert seen(SSHD, "bookworm-bare").addresses == ()
    assert seen(SSHD, "bookworm-full").addresses == ("192.168.182.100",)
    two = "port 22\nport 2222\nlistenaddress [::]:22\nlistenaddress [fd00::1]:22\nmaxsessions 3\nusedns yes\n"
    found = read(SSHD, two)
    assert (found.ports, found.addresses, found.max_sessions, found.use_dns) == ((22, 2222), ("fd00::1",), 3, True)


def test_own_name() -> None:
    assert seen(HOSTNAME, "bookworm-bare") == Hostname("hypervisor", ("127.0.1.1",), ("files", "dns"))
    assert seen(HOSTNAME, "bookworm-full") == Hostname("hypervisor", (), ("files", "dns"))
    with pytest.raises(FactError, match="no name"):
        read(HOSTNAME, "name=\naddresses=\nsources=files\n")


@pytest.mark.parametrize(
    ("text", "rc", "kvm"),
    [
        ("absent\n", 0, Kvm(False, False, "there is no /dev/kvm")),
        ("untried\n", 0, Kvm(True, None, "neither Perl nor an x86-64 processor to try it with")),
        ("stage=open\nerror=Permission denied\n", 0, Kvm(True, False, "open: Permission denied")),
        ("stage=machine\nerror=Device or resource busy\n", 0, Kvm(True, False, "machine: Device or resource busy")),
        ("stage=ran\nerror=5\n", 0, Kvm(True, True)),
        ("stage=ran\nerror=17\n", 0, Kvm(True, False, "the first instruction ended with exit 17")),
        ("", 142, Kvm(True, False, "it did not answer within 5 seconds")),
    ],
)
def test_kvm(text: str, rc: int, kvm: Kvm) -> None:
    assert read(KVM, text, rc) == kvm


def test_a_measurement_that_failed_is_no_value() -> None:
    with pytest.raises(FactError, match="No space left"):
        read(FSYNC, "", 28, "/var/lib: No space left on device")


@pytest.mark.parametrize(
    ("line", "version"), [("systemd 252 (252.39-1~deb12u2)", 252), ("systemd 257 (257.13)", 257), ("", None)]
)
def test_the_version_of_systemd(line: str, version: int | None) -> None:
    assert read(INIT, f"uid=0\ninit=systemd\nsystemd={line}\nstate=running\n").version == version
