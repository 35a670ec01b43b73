"""preflight.hypervisor: every verdict of every check, and what they come to."""

from __future__ import annotations

import dataclasses
from ipaddress import ip_interface
from typing import Any

import pytest

from wizard.checks.question import Question
from wizard.cluster import Cluster
from wizard.facts.access import CONSOLE, SSHD, Console, Sshd
from wizard.facts.firewall import FORWARDING, Chain, Forwarding
from wizard.facts.libvirt import DOMAINS, Domain, Domains
from wizard.facts.nat import NAT_LIVE
from wizard.facts.nat_files import NAT_FILES, NatFiles
from wizard.facts.nat_iptables import parse_save
from wizard.facts.network import LINKS, SSH_PATH, Address, Link, Links, SshPath
from wizard.facts.network_owners import OWNERS, Owners
from wizard.facts.networkd import NETWORKD, Managed, Networkd
from wizard.facts.storage import FSYNC, IMAGES, PLACES, VOLUMES, Fsync, Volume
from wizard.facts.system import (
    CLOCK,
    HOSTNAME,
    INIT,
    MEMORY,
    PROCESSOR,
    RELEASE,
    Clock,
    Hostname,
    Init,
    Memory,
    Processor,
    Release,
)
from wizard.facts.units import FIREWALL_UNITS, LIBVIRT_UNITS, Unit
from wizard.facts.virtualisation import KVM, Kvm
from wizard.facts.wireguard import WIREGUARD, Tunnel, Wireguard
from wizard.model import (
    HYPERVISOR,
    AnyFact,
    Blocked,
    Check,
    Context,
    FactUnknown,
    Known,
    Nothing,
    Refused,
    Seen,
    Unseen,
    Verdict,
)
from wizard.stages.preflight import HYPERVISOR_STEP, QUESTIONS

GIB = 1024**3
NIC = Link(
    "enp4s0", "52:54:00:00:00:01", hardware=True, carrier=True, addresses=(Address(ip_interface("192.168.182.100/24")),)
)
SPARE = Link("enp5s0", "52:54:00:00:00:02", hardware=True, carrier=True)
WLAN = Link("wlp3s0", "52:54:00:00:00:03", hardware=True, wireless=True, carrier=True)
VOLUME = Volume("/", "ext4", ("rw", "relatime"), 400 * GIB, 300 * GIB, 10_000_000)
LIBVIRTD = {
    "libvirtd.service": Unit("loaded", "active", "enabled"),
    "libvirtd.socket": Unit("loaded", "active", "enabled"),
}
MACVTAP = "<domain><devices><interface type='direct'><source dev='enp4s0'/></interface></devices></domain>"

MASQUERADE = "*nat\n-A POSTROUTING -o {} -j MASQUERADE\nCOMMIT\n"

GOOD: dict[AnyFact[Any], Any] = {
    INIT: Init(0, "systemd", 257, "running"),
    RELEASE: Release("debian", "13", "Debian GNU/Linux 13 (trixie)", "6.12.0", "x86_64"),
    PROCESSOR: Processor(8, "AMD Ryzen 7", "svm", ""),
    KVM: Kvm(True, True),
    MEMORY: Memory(32 * GIB, 30 * GIB),
    CLOCK: Clock(True, 2026),
    HOSTNAME: Hostname("home", ("127.0.1.1",), ("files", "dns")),
    VOLUMES: dict.fromkeys(PLACES, VOLUME),
    FSYNC: Fsync(IMAGES, 1000, 1.0, 4.2),
    LINKS: Links((NIC, SPARE, WLAN)),
    OWNERS: Owners(),
    NETWORKD: Networkd(True, "enabled", {"enp4s0": Managed("configured", "/etc/systemd/network/a.network")}),
    FIREWALL_UNITS: {"ufw.service": Unit("loaded", "active", "enabled")},
    FORWARDING: Forwarding((), "nf_tables"),
    WIREGUARD: Wireguard(),
    NAT_LIVE: (),
    NAT_FILES: NatFiles(),
    CONSOLE: Console(("card0-HDMI-A-1",), False, ("owner",)),
    SSH_PATH: SshPath("192.168.182.10", "192.168.182.100", 22, "enp4s0"),
    SSHD: Sshd((22,), (), 10, False),
    LIBVIRT_UNITS: LIBVIRTD,
    DOMAINS: Domains(),
}
BRIDGE = {"port": "enp4s0", "addresses": ["192.168.182.100/24"], "gateway": "192.168.182.1"}


def cluster(*, accept: tuple[str, ...] = (), bridge: dict[str, Any] | None = None, guests: int = 0) -> Cluster:
    guest = {"role": "worker", "ssh": "owner@192.168.182.131"}
    image = "/var/lib/libvirt/images/noble.img"
    return Cluster.model_validate(
        {
            "name": "home",
            "hypervisor": {"ssh": "owner@192.168.182.100", "accept": list(accept)},
            "bridge": {**BRIDGE, **(bridge or {})},
            "guests": [
                {
                    **guest,
                    "name": f"aki{n}",
                    "ssh": f"owner@192.168.182.{130 + n}",
                    "create": {"address": f"192.168.182.{130 + n}/24", "memory": "8GiB", "vcpus": 4, "image": image},
                }
                for n in range(guests)
            ],
        }
    )


def context(wanted: Cluster | None = None, changed: dict[AnyFact[Any], Any] | None = None) -> Context:
    seen: dict[tuple[str, str], Seen] = {}
    for fact, value in {**GOOD, **(changed or {})}.items():
        seen[HYPERVISOR, fact.id] = value if isinstance(value, Unseen) else Known(value)
    return Context(wanted or cluster(), seen)


def checks(ctx: Context) -> dict[str, Check]:
    return {check.id: check for check in HYPERVISOR_STEP.checks(ctx, HYPERVISOR)}


def with_domains(*domains: Domain) -> Domains:
    return Domains(domains)


def volumes(**changed: Volume) -> dict[str, Volume]:
    return {**GOOD[VOLUMES], **{place.replace("_", "/"): volume for place, volume in changed.items()}}


def volume(**changes: Any) -> Volume:
    return dataclasses.replace(VOLUME, **changes)


def links(*changed: Link) -> Links:
    return Links((*changed, *(link for link in GOOD[LINKS] if link.name not in {each.name for each in changed})))


def nic(**changes: Any) -> Link:
    return dataclasses.replace(NIC, **changes)


OK, WARN, STOP, UNKNOWN = Verdict.OK, Verdict.WARN, Verdict.STOP, Verdict.UNKNOWN

CASES: list[tuple[str, AnyFact[Any], Any, Verdict, str]] = [
    ("access", INIT, Init(1000, "systemd", 257), STOP, "not run as root"),
    ("systemd", INIT, Init(0, "init", None), STOP, "process 1 is init"),
    ("systemd", INIT, Init(0, "systemd", 245), STOP, "245 is too old"),
    ("systemd", INIT, Init(0, "systemd", 249, "starting"), WARN, "starting"),
    ("systemd", INIT, Init(0, "systemd", 249, "degraded"), OK, "systemd 249"),
    ("release", RELEASE, Release("debian", "12", "Debian GNU/Linux 12", "6.1", "x86_64"), OK, "Debian GNU/Linux 12"),
    ("release", RELEASE, Release("ubuntu", "22.04", "Ubuntu 22.04", "5.15", "x86_64"), OK, "Ubuntu 22.04"),
    ("release", RELEASE, Release("ubuntu", "20.04", "Ubuntu 20.04", "5.4", "x86_64"), WARN, "not been tried"),
    ("release", RELEASE, Release("fedora", "41", "Fedora Linux 41", "6.11", "x86_64"), WARN, "Fedora Linux 41"),
    ("release", RELEASE, Release("debian", "13", "Debian", "6.12", "aarch64"), STOP, "aarch64"),
    ("kvm", PROCESSOR, Processor(2, "AMD EPYC", "", ""), STOP, "/dev/kvm is there, but not backed"),
    ("kvm", PROCESSOR, Processor(2, "AMD EPYC", "", "kvm"), STOP, "neither vmx (Intel) nor svm"),
    ("kvm", KVM, Kvm(False, False, "there is no /dev/kvm"), STOP, "svm is there, but KVM does not work"),
    ("kvm", KVM, Kvm(True, False, "open: Permission denied"), STOP, "Permission denied"),
    ("kvm", KVM, Kvm(True, None, "no Perl"), WARN, "could not be tried"),
    ("memory", MEMORY, Memory(8 * GIB, 3 * GIB), WARN, "hardly one guest"),
    ("clock", CLOCK, Clock(True, 2015), STOP, "says 2015"),
    ("clock", CLOCK, Clock(False, 2026), WARN, "not synchronised"),
    ("clock", CLOCK, Clock(None, 2026), WARN, "nothing here tells"),
    ("hostname", HOSTNAME, Hostname("home", (), ("files", "dns", "myhostname")), WARN, "not in /etc/hosts"),
    ("hostname", HOSTNAME, Hostname("home", (), ("files", "myhostname", "dns")), OK, "answered by systemd"),
    ("hostname", HOSTNAME, Hostname("home", (), ("files", "resolve", "[!UNAVAIL=return]", "dns")), OK, "systemd"),
    ("room", VOLUMES, volumes(_var=volume(available=GIB)), STOP, "under /var"),
    ("room", VOLUMES, volumes(_var_lib_libvirt_images=volume(available=GIB)), STOP, "1.0 GiB free"),
    ("room", VOLUMES, volumes(_var_lib_libvirt_images=volume(available=9 * GIB)), WARN, "less than one node needs"),
    ("mounts", VOLUMES, volumes(_etc=volume(options=("ro",))), STOP, "/ is read-only"),
    ("mounts", VOLUMES, volumes(_var=volume(mount="/var", inodes=12)), STOP, "/var has room for 12 more files"),
    ("mounts", VOLUMES, volumes(_var=volume(mount="/var", inodes=None)), OK, "can be written"),
    ("mounts", VOLUMES, volumes(_var=volume(mount="/var", options=("rw", "noexec"))), STOP, "/var runs no programs"),
    ("mounts", VOLUMES, volumes(_tmp=volume(mount="/tmp", options=("rw", "noexec"))), WARN, "/tmp runs no programs"),
    ("fsync", FSYNC, Fsync(IMAGES, 900, 3.0, 9.9), OK, "9.9 ms"),
    ("fsync", FSYNC, Fsync(IMAGES, 900, 3.0, 10.0), WARN, "10.0 ms"),
    ("fsync", FSYNC, Fsync(IMAGES, 900, 3.0, 20.0), WARN, "20.0 ms"),
    ("fsync", FSYNC, Fsync(IMAGES, 90, 3.0, 31.2), STOP, "31.2 ms"),
    ("fsync", FSYNC, Unseen("not measured yet"), UNKNOWN, "not measured yet"),
    ("nic", LINKS, Links((SPARE, WLAN)), STOP, "enp4s0 is not there"),
    ("nic", LINKS, links(nic(kind="bridge")), STOP, "no network card"),
    ("nic", LINKS, links(nic(wireless=True)), STOP, "wireless"),
    ("nic", LINKS, links(nic(master="bond0")), STOP, "a port of bond0 already"),
    ("nic", LINKS, links(nic(master="br0")), OK, "port of br0"),
    ("nic", LINKS, links(nic(carrier=False)), WARN, "no signal"),
    ("nic", LINKS, links(nic(up=False, carrier=None)), WARN, "switched off"),
    ("nic-in-use", LINKS, links(Link("vlan7", "", "vlan", parent="enp4s0")), STOP, "vlan7 (vlan) uses enp4s0"),
    ("nic-in-use", LINKS, links(Link("macvtap0", "", "macvtap", parent="enp4s0")), STOP, "macvtap0"),
    ("nic-in-use", DOMAINS, with_domains(Domain("old", "1", False, xml=MACVTAP)), WARN, "old would use enp4s0 alone"),
    ("nic-in-use", DOMAINS, Unseen("libvirt does not answer"), OK, "nothing else"),
    ("nic-owner", OWNERS, Owners(netplan=("/etc/netplan/50-cloud-init.yaml",)), STOP, "netplan (/etc/netplan"),
    ("nic-owner", OWNERS, Owners(network_manager={"enp4s0": "connected"}), STOP, "NetworkManager"),
    ("nic-owner", OWNERS, Owners(ifupdown=("enp4s0",)), STOP, "and systemd-networkd manages enp4s0"),
    ("nic-owner", NETWORKD, Networkd(True, "enabled", {"enp4s0": Managed("unmanaged")}), OK, "nobody manages"),
    ("bridges", LINKS, links(Link("br0", "", "bridge"), nic(master="br0")), OK, "br0 (enp4s0)"),
    ("bridges", LINKS, links(Link("docker0", "", "bridge")), OK, "docker0 (no port)"),
    ("bridges", LINKS, links(Link("br0", "", "bond")), STOP, "br0 is there, and is no bridge"),
    ("firewalls", FORWARDING, Forwarding((), "nf_tables", ufw=True), OK, "ufw; forwarded packets pass"),
    ("firewalls", FIREWALL_UNITS, {"firewalld.service": Unit("loaded", "active", "enabled")}, WARN, "firewalld"),
    ("firewalls", FORWARDING, Forwarding((Chain("ip", "filter", "FORWARD", "drop"),), "nf_tables"), WARN, "dropped by"),
    ("firewalls", FORWARDING, Forwarding(None, "nf_tables", ("nat",)), OK, "iptables-legacy beside iptables"),
    ("wireguard", WIREGUARD, Wireguard((Tunnel("wg0"),)), OK, "wg0"),
    ("wireguard", NAT_LIVE, (parse_save("iptables-nft", MASQUERADE.format("br0")),), WARN, "`-o br0 -j MASQUERADE`"),
    ("wireguard", NAT_LIVE, (parse_save("iptables-nft", MASQUERADE.format("ppp0")),), OK, "none"),
    ("console", CONSOLE, Console((), True, ("root",)), OK, "management controller"),
    ("console", CONSOLE, Console((), False, ("owner",)), STOP, "neither a monitor"),
    ("console", CONSOLE, Console(("card0-DP-1",), False, ()), STOP, "no account has a password"),
    ("console", SSH_PATH, SshPath("10.0.0.2", "10.0.0.1", 22, "enp5s0"), OK, "over enp5s0"),
    ("console", SSH_PATH, SshPath("192.168.182.10", "192.168.182.100", 22, "br0"), OK, "over br0"),
    ("local-confirm", SSH_PATH, SshPath("127.0.0.1", "127.0.0.1", 22, "lo"), WARN, "on this machine"),
    ("local-confirm", SSH_PATH, None, WARN, "on this machine"),
    ("sshd", SSHD, Sshd((22,), ("192.168.182.100",), 10, False), WARN, "listens on 192.168.182.100 only"),
    ("sshd", SSHD, Sshd((22,), (), 2, False), WARN, "MaxSessions is 2"),
    ("sshd", SSHD, Sshd((22, 2222), (), 10, True), WARN, "UseDNS"),
    ("libvirt", LIBVIRT_UNITS, {"libvirtd.service": Unit(), "libvirtd.socket": Unit()}, OK, "not installed"),
    ("libvirt", LIBVIRT_UNITS, {"libvirtd.service": Unit("masked", "inactive", "masked")}, WARN, "masked"),
    ("libvirt", LIBVIRT_UNITS, {"libvirtd.service": Unit("loaded", "inactive", "enabled")}, OK, "not running"),
    (
        "libvirt",
        LIBVIRT_UNITS,
        {**LIBVIRTD, "virtqemud.socket": Unit("loaded", "active", "enabled")},
        WARN,
        "libvirtd and virtqemud both run",
    ),
    ("libvirt", DOMAINS, with_domains(Domain("old", "1", True)), OK, "guests: old"),
    ("libvirt", DOMAINS, Unseen("it does not answer"), WARN, "cannot be asked: it does not answer"),
]


@pytest.mark.parametrize(("check", "fact", "value", "verdict", "words"), CASES)
def test_verdicts(check: str, fact: AnyFact[Any], value: Any, verdict: Verdict, words: str) -> None:
    found = checks(context(changed={fact: value}))[check]
    assert (found.verdict, words in found.reason) == (verdict, True), found
    if verdict is STOP:
        assert found.cure


def test_every_check_is_well_on_a_good_machine() -> None:
    found = checks(context())
    assert {check.verdict for check in found.values()} == {OK}
    assert HYPERVISOR_STEP.plan(context(), HYPERVISOR) == Nothing(f"{len(found)} checks, nothing stands in the way")


def test_every_question_has_a_stop_or_warning_among_the_cases_except_one() -> None:
    tried = {check for check, _, _, verdict, _ in CASES if verdict in (WARN, STOP)}
    assert {question.id for question in QUESTIONS} - tried == {"processors"}


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.id)
def test_one_failing_fact_hides_no_other_check(question: Question) -> None:
    for fact in question.facts:
        found = checks(context(changed={fact: Unseen("timeout")}))
        blind = {each.id for each in QUESTIONS if fact in each.facts}
        assert {check.id for check in found.values() if check.verdict is UNKNOWN} <= blind
        assert len(found) >= len(QUESTIONS) - 1


def test_everything_unknown_still_answers() -> None:
    found = checks(Context(cluster(), {}))
    assert {check.verdict for check in found.values()} == {UNKNOWN}
    with pytest.raises(FactUnknown):
        HYPERVISOR_STEP.plan(Context(cluster(), {}), HYPERVISOR)


def test_an_unknown_fact_that_is_not_needed_does_not_stop() -> None:
    plan = HYPERVISOR_STEP.plan(context(changed={FSYNC: Unseen("not measured yet")}), HYPERVISOR)
    assert isinstance(plan, Nothing)
    assert plan.why.endswith("nothing stands in the way, 1 not known")


def test_a_needed_fact_that_is_unknown_makes_the_plan_unknown() -> None:
    with pytest.raises(FactUnknown, match="timeout"):
        HYPERVISOR_STEP.plan(context(changed={LINKS: Unseen("timeout")}), HYPERVISOR)


def test_a_stop_waits_for_the_owner_and_names_how_to_accept_it() -> None:
    plan = HYPERVISOR_STEP.plan(context(changed={KVM: Kvm(False, False, "there is no /dev/kvm")}), HYPERVISOR)
    assert isinstance(plan, Blocked)
    assert (plan.by, [finding.id for finding in plan.findings]) == ("you", ["no-kvm"])
    assert "add no-kvm to hypervisor.accept" in plan.findings[0].cure


def test_a_contradiction_is_bad_input_and_comes_first() -> None:
    changed = {KVM: Kvm(False, False, "there is no /dev/kvm"), LINKS: Links((SPARE, WLAN))}
    plan = HYPERVISOR_STEP.plan(context(changed=changed), HYPERVISOR)
    assert isinstance(plan, Refused)
    assert [finding.id for finding in plan.findings] == ["nic", "no-kvm"]
    assert "enp5s0" in plan.findings[0].cure
    assert "wlp3s0" not in plan.findings[0].cure


ACCEPTABLE: list[tuple[str, str, AnyFact[Any], Any]] = [
    ("no-kvm", "kvm", KVM, Kvm(False, False, "there is no /dev/kvm")),
    ("slow-fsync", "fsync", FSYNC, Fsync(IMAGES, 90, 3.0, 31.2)),
    ("no-console", "console", CONSOLE, Console((), False, ("owner",))),
]


@pytest.mark.parametrize(("accept", "check", "fact", "value"), ACCEPTABLE)
def test_what_is_accepted_stops_no_more(accept: str, check: str, fact: AnyFact[Any], value: Any) -> None:
    assert checks(context(changed={fact: value}))[check].accept == accept
    ctx = context(cluster(accept=(accept,)), {fact: value})
    found = checks(ctx)[check]
    assert (found.verdict, found.accept) == (WARN, "")
    assert found.reason.endswith("(accepted in cluster.yaml)")
    assert isinstance(HYPERVISOR_STEP.plan(ctx, HYPERVISOR), Nothing)


def test_only_what_was_accepted_is_let_pass() -> None:
    ctx = context(cluster(accept=("slow-fsync",)), {KVM: Kvm(False, False, "there is no /dev/kvm")})
    assert isinstance(HYPERVISOR_STEP.plan(ctx, HYPERVISOR), Blocked)


def test_a_wizard_on_the_machine_itself() -> None:
    local = {SSH_PATH: SshPath("::1", "::1", 22, "lo")}
    found = checks(context(changed=local))
    assert "console" not in found
    assert found["local-confirm"].verdict is WARN
    assert checks(context(cluster(accept=("local-confirm",)), local))["local-confirm"].verdict is OK
    bridged = {**local, LINKS: links(nic(addresses=(), master="br0"))}
    assert checks(context(changed=bridged))["local-confirm"].verdict is OK


def test_without_a_bridge_nothing_is_asked_about_its_card() -> None:
    alone = Cluster.model_validate({"name": "home", "hypervisor": {"ssh": "home"}})
    found = checks(context(alone))
    assert not {"nic", "nic-in-use", "nic-owner", "console"} & set(found)
    assert isinstance(HYPERVISOR_STEP.plan(context(alone), HYPERVISOR), Nothing)


def test_a_bridge_that_another_program_made_is_left_to_it() -> None:
    changed = {OWNERS: Owners(network_manager={"enp4s0": "connected"}), LINKS: links(nic(master="br0"))}
    assert checks(context(changed=changed))["nic-owner"].verdict is OK


@pytest.mark.parametrize(
    ("guests", "memory", "running", "verdict"),
    [
        (2, Memory(32 * GIB, 30 * GIB), (), OK),
        (3, Memory(32 * GIB, 25 * GIB), (), WARN),
        (3, Memory(32 * GIB, 25 * GIB), ("aki0",), OK),
        (4, Memory(32 * GIB, 30 * GIB), (), STOP),
    ],
)
def test_memory_for_the_guests(guests: int, memory: Memory, running: tuple[str, ...], verdict: Verdict) -> None:
    domains = with_domains(*(Domain(name, name, True) for name in running))
    found = checks(context(cluster(guests=guests), {MEMORY: memory, DOMAINS: domains}))
    assert found["memory"].verdict is verdict


def test_guests_wider_than_the_machine_and_disks_larger_than_the_room() -> None:
    small = {
        PROCESSOR: Processor(2, "Intel", "vmx", ""),
        VOLUMES: volumes(_var_lib_libvirt_images=volume(available=50 * GIB)),
    }
    found = checks(context(cluster(guests=2), small))
    assert (found["processors"].verdict, found["room"].verdict) == (WARN, WARN)
    assert "may grow to 80.0 GiB" in found["room"].reason


def test_the_step_looks_at_every_fact_once() -> None:
    facts = HYPERVISOR_STEP.facts(cluster(), HYPERVISOR)[HYPERVISOR]
    assert len(facts) == len(set(facts)) == len(GOOD)
    assert FSYNC in facts
    assert FSYNC.costly
