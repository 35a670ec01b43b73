"""guests.address: one writer of one address, adopted or refused where somebody else writes; guarded, and taken back."""

from __future__ import annotations

import shutil
import subprocess
from ipaddress import IPv4Interface, ip_interface
from pathlib import Path
from typing import Any

import pytest
import yaml

from wizard.actions import OnUndo, Run, TakeBack, WriteFile
from wizard.cluster import Cluster
from wizard.facts.guests import ADDRESSES, GuestAddresses
from wizard.facts.libvirt import DOMAINS, NETWORKS, Domain, Domains, Network, Networks
from wizard.facts.netplan import Netplan, NetplanFile
from wizard.facts.network import LINKS, ROUTES, Address, Link, Links, Route
from wizard.facts.network_writers import NETWORK_WRITERS, NetworkWriters
from wizard.model import (
    HYPERVISOR,
    Blocked,
    Context,
    Do,
    FactUnknown,
    Known,
    Nothing,
    Plan,
    Refused,
    Risk,
    Seen,
    Unseen,
)
from wizard.script import compile_part
from wizard.stages.guests_address import STEP
from wizard.stages.guests_address_writer import IN_NETPLAN, IN_NETWORKD, OWN, netplan_yaml, networkd_file

MAC = "52:54:00:f0:65:79"
WANTED = "192.168.190.100/24"
INSTALLER = NetplanFile(
    "/etc/netplan/00-installer-config.yaml",
    "network:\n  ethernets:\n    enp1s0:\n      addresses: [192.168.182.130/24]\n  version: 2\n",
)
CLUSTER = Cluster.model_validate(
    {
        "name": "home",
        "hypervisor": {"ssh": "owner@192.168.182.100"},
        "isolated": {"name": "kube-isolated", "cidr": "192.168.190.0/24"},
        "guests": [
            {"name": "aki0", "role": "worker", "ssh": "owner@192.168.182.130", "isolated_address": "192.168.190.100"},
            {"name": "aki1", "role": "worker", "ssh": "owner@192.168.182.131", "isolated_address": "192.168.190.101"},
        ],
    }
)


def link(*addresses: str, name: str = "enp7s0", mac: str = MAC, up: bool = False) -> Link:
    found = tuple(Address(ip_interface(each)) for each in addresses)
    return Link(name, mac, hardware=True, up=up, permanent_mac=mac, addresses=found)


LAN = link("192.168.182.130/24", name="enp1s0", mac="52:54:00:a8:85:5f", up=True)


def domain(network: str = "kube-isolated", active: bool = True) -> Domain:
    xml = f"<domain><devices><interface type='network'><mac address='{MAC}'/><source network='{network}'/></interface>"
    xml += "</devices></domain>"
    return Domain("aki0", "u", active, True, xml, xml if active else "")


def context(nic: Link | None = None, netplan: tuple[NetplanFile, ...] = (INSTALLER,), **changed: Any) -> Context:
    network = Network("kube-isolated", "u", True, True, "<network><bridge name='kube-isolated'/></network>")
    writers = NetworkWriters(networkd=True, netplan=Netplan(True, netplan))
    seen: dict[tuple[str, Any], Seen] = {
        (HYPERVISOR, DOMAINS): Known(changed.get("domains", Domains((domain(),)))),
        (HYPERVISOR, NETWORKS): Known(Networks((network,))),
        (HYPERVISOR, ADDRESSES): Known(changed.get("agents", GuestAddresses())),
        ("aki0", LINKS): Known(Links((LAN, nic or link()))),
        ("aki1", LINKS): changed.get("other", Unseen("aki1: no route to host", unreachable=True)),
        ("aki0", ROUTES): Known((Route("default", "192.168.182.1", "enp1s0"), *changed.get("routes", ()))),
        ("aki0", NETWORK_WRITERS): Known(changed.get("writers", writers)),
        ("aki0", OWN): Known({IN_NETPLAN: None, IN_NETWORKD: None} | changed.get("own", {})),
    }
    return Context(CLUSTER, {(host, fact.id): value for (host, fact), value in seen.items()})


def plan(*args: Any, **changed: Any) -> Plan:
    return STEP.plan(context(*args, **changed), "aki0")


def do(*args: Any, **changed: Any) -> Do:
    found = plan(*args, **changed)
    assert isinstance(found, Do), found
    return found


def commands(found: Do) -> list[str]:
    return [action.summary for action in found.parts[0].actions if isinstance(action, Run)]


def findings(found: Plan) -> list[str]:
    assert isinstance(found, Refused), found
    assert all(each.cure for each in found.findings)
    return [each.message for each in found.findings]


def file(name: str, text: str) -> NetplanFile:
    return NetplanFile(f"/etc/netplan/{name}", text)


# ---------------------------------------------------------------- written


def test_a_file_of_our_own_under_the_guard() -> None:
    found = do()
    [part] = found.parts
    assert (part.on, part.risk) == ("aki0", Risk.MAY_CUT_SSH)
    assert part.guard is not None
    assert [probe.title for probe in part.guard.probes] == [
        "enp1s0 still has 192.168.182.130",
        "the default route leads to 192.168.182.1",
    ]
    [written] = [action for action in part.actions if isinstance(action, WriteFile)]
    assert (written.path, written.mode, written.was) == (IN_NETPLAN, 0o600, None)
    assert yaml.safe_load(written.content) == {
        "network": {
            "version": 2,
            "ethernets": {
                "00-kubeiso": {
                    "match": {"macaddress": MAC},
                    "addresses": [WANTED],
                    "link-local": [],
                    "optional": True,
                }
            },
        }
    }
    assert commands(found) == ["netplan generate", "networkctl reload", "networkctl reconfigure enp7s0"]
    back = [action.then.summary for action in part.actions if isinstance(action, OnUndo)]
    assert back == [
        "ip link set dev enp7s0 down",
        "ip addr del 192.168.190.100/24 dev enp7s0",
        "networkctl reload",
        "netplan generate",
    ]


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_the_script_is_good_shell(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(compile_part(STEP.id, "aki0", do().parts[0]))
    done = subprocess.run(["shellcheck", "-s", "sh", str(script)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_network_manager_behind_netplan_is_told_by_netplan() -> None:
    writers = NetworkWriters(network_manager=True, netplan=Netplan(True, (INSTALLER,)))
    assert commands(do(writers=writers)) == ["netplan generate", "netplan apply"]


def test_networkd_without_netplan() -> None:
    found = do(writers=NetworkWriters(networkd=True, netplan=Netplan(True)))
    [written] = [action for action in found.parts[0].actions if isinstance(action, WriteFile)]
    assert (written.path, written.mode) == (IN_NETWORKD, 0o644)
    assert f"PermanentMACAddress={MAC}\n" in written.content
    assert f"LinkLocalAddressing=no\nAddress={WANTED}\n" in written.content
    assert commands(found) == ["networkctl reload", "networkctl reconfigure enp7s0"]
    made = Link("enp7s0", MAC, kind="veth", permanent_mac=MAC)
    assert f"[Match]\nMACAddress={MAC}\n" in networkd_file(made, ip_interface(WANTED)), "only hardware has its own"


def test_done_when_it_is_there_now_and_written_down() -> None:
    wanted = ip_interface(WANTED)
    nic = link(WANTED)
    assert plan(nic, own={IN_NETPLAN: netplan_yaml(nic, wanted)}) == Nothing(
        f"aki0 has {WANTED} on enp7s0, by netplan, from {IN_NETPLAN}"
    )
    networkd = NetworkWriters(networkd=True, taken={"enp7s0": IN_NETWORKD})
    assert isinstance(plan(nic, writers=networkd, own={IN_NETWORKD: networkd_file(nic, wanted)}), Nothing)
    by_hand = do(nic)
    assert by_hand.why == f"{WANTED} is on enp7s0 only until the next boot"
    assert not [
        action for action in by_hand.parts[0].actions if isinstance(action, OnUndo) and "addr" in action.summary
    ]


# ---------------------------------------------------------------- other writers


def test_another_file_with_exactly_this_address_is_adopted() -> None:
    other = file(
        "60-mine.yaml",
        f'network: {{ethernets: {{iso: {{match: {{macaddress: "{MAC.upper()}"}}, addresses: ["{WANTED}"]}}}}}}',
    )
    found = plan(link(WANTED), (INSTALLER, other))
    assert found == Nothing(f"aki0 has {WANTED} on enp7s0, by netplan, from {other.path}, which stays as it is")
    told = do(link(), (INSTALLER, other))
    assert not [action for action in told.parts[0].actions if isinstance(action, WriteFile)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ethernets: {enp7s0: {dhcp4: true}}", "DHCP"),
        (f"ethernets: {{enp7s0: {{addresses: [{WANTED}], dhcp4: true}}}}", WANTED),
        ("ethernets: {enp7s0: {addresses: [10.0.0.5/8]}}", "10.0.0.5/8"),
        (
            "ethernets: {iso: {match: {macaddress: '52:54:00:F0:65:79'}, addresses: [10.0.0.5/8: {lifetime: 0}]}}",
            "10.0.0.5/8",
        ),
        ("bridges: {br0: {interfaces: [enp7s0]}}", "no address"),
        ("ethernets: {0-any: {match: {name: 'en*'}, dhcp4: true}}", "DHCP"),
    ],
)
def test_another_file_that_speaks_of_the_nic_is_refused(text: str, says: str) -> None:
    other = file("50-cloud-init.yaml", f"network: {{{text}}}")
    [message] = findings(plan(link(), (INSTALLER, other)))
    assert message.startswith(f"{other.path} sets enp7s0 ({MAC}) up already")
    assert message.endswith(f"gives it {says}")


@pytest.mark.parametrize(
    "text",
    [
        "ethernets: {all-en: {match: {name: 'en*'}, dhcp4: true}}",
        "ethernets: {enp1s0: {dhcp4: true}}",
        "ethernets: {x: {match: {macaddress: '52:54:00:00:00:01'}}}",
        "bridges: {br0: {interfaces: [enp1s0]}}",
        "version: 2",
    ],
)
def test_files_that_do_not_count_for_the_nic(text: str) -> None:
    """A general one, such as Debian's images have, comes after ours."""
    do(link(), (INSTALLER, file("90-default.yaml", f"network: {{{text}}}")))


def test_a_file_that_cannot_be_read() -> None:
    [message] = findings(plan(link(), (file("99-broken.yaml", "network: [\n"),)))
    assert "/etc/netplan/99-broken.yaml is not as netplan has it" in message


def test_networkd_files_of_others() -> None:
    def found(took: str, *addresses: str) -> Plan:
        return plan(link(*addresses), writers=NetworkWriters(networkd=True, taken={"enp7s0": took}))

    assert isinstance(found("/etc/systemd/network/80-all.network"), Do)
    assert isinstance(found("/etc/systemd/network/01-iso.network", WANTED), Nothing)
    assert "comes before any file of ours" in findings(found("/etc/systemd/network/01-all.network"))[0]


@pytest.mark.parametrize(
    ("writers", "cure"),
    [
        (NetworkWriters(network_manager=True), "nmcli con add"),
        (NetworkWriters(ifupdown=("enp1s0",)), "/etc/network/interfaces.d/isolated"),
        (NetworkWriters(), "also after a restart"),
    ],
)
def test_other_managers_are_left_to_the_owner(writers: NetworkWriters, cure: str) -> None:
    found = plan(writers=writers)
    assert isinstance(found, Blocked)
    assert found.by == "you"
    assert cure in found.findings[0].cure
    if writers != NetworkWriters():
        assert isinstance(plan(link(WANTED), writers=writers), Nothing)


# ---------------------------------------------------------------- not yet, not known, taken


def test_it_waits_for_its_nic() -> None:
    assert plan(domains=Domains((domain(network="default"),))) == Blocked(
        "guests.attach", "aki0 has no NIC on kube-isolated yet"
    )
    assert plan(domains=Domains((domain(active=False),))) == Blocked("guests.reach", "aki0 is shut off")
    found = plan(link(mac="52:54:00:00:00:09"))
    assert found == Blocked("guests.attach", f"aki0 runs without seeing its NIC {MAC}")


def test_a_guest_that_does_not_answer_is_unknown() -> None:
    ctx = context()
    silent = Context(ctx.cluster, {**ctx.seen, ("aki0", LINKS.id): Unseen("aki0: no route to host", unreachable=True)})
    with pytest.raises(FactUnknown):
        STEP.plan(silent, "aki0")


def test_an_address_that_somebody_has() -> None:
    other = Known(Links((link(WANTED, name="enp8s0", mac="52:54:00:00:00:01"),)))
    assert findings(plan(other=other)) == ["the guest aki1 has 192.168.190.100 already"]
    agents = GuestAddresses(agent={"web": ((MAC, IPv4Interface(WANTED).ip),)})
    assert findings(plan(agents=agents)) == ["the guest web has 192.168.190.100 already"]
    on_lan = Links((link(WANTED, name="enp1s0", mac="52:54:00:a8:85:5f"), link()))
    ctx = context()
    both = Context(ctx.cluster, {**ctx.seen, ("aki0", LINKS.id): Known(on_lan)})
    assert "which is not its NIC on the isolated network" in findings(STEP.plan(both, "aki0"))[0]


@pytest.mark.parametrize(
    ("to", "before", "after"),
    [
        ("192.168.190.0/24", True, True),
        ("192.168.190.7", True, True),
        ("192.168.0.0/16", True, False),
        ("192.168.182.0/24", False, False),
        ("0.0.0.0/1", False, False),
    ],
)
def test_a_range_that_another_device_leads_into(to: str, before: bool, after: bool) -> None:
    """Before and after the NIC has its address: then a wider route is left alone, for the NIC's own wins over it."""
    routes = (Route(to, "", "enp8s0"), Route("192.168.190.0/24", "", "enp7s0"))
    found = plan(routes=routes)
    assert isinstance(found, Refused) is before
    if isinstance(found, Refused):
        [finding] = found.findings
        assert (finding.id, finding.where) == ("range-taken", "aki0")
        assert f"aki0 has a route to {to} on enp8s0, which overlaps 192.168.190.0/24" in finding.message
        assert "`isolated.cidr`" in finding.cure
    assert isinstance(plan(link(WANTED), routes=routes), Refused) is after


# ---------------------------------------------------------------- undo, the runbook


def test_undo_is_guarded() -> None:
    assert STEP.undo is not None
    inverses = (TakeBack("netplan generate"),)
    found = STEP.undo(context(link(WANTED)), "aki0", inverses)
    assert isinstance(found, Do)
    [part] = found.parts
    assert (part.on, part.risk, part.actions) == ("aki0", Risk.MAY_CUT_SSH, inverses)
    assert part.guard is not None
    assert len(part.guard.probes) == 2


def test_an_unconnected_runbook_shows_it() -> None:
    found = STEP.plan(Context(CLUSTER, STEP.fresh(CLUSTER)), "aki0")
    assert isinstance(found, Do), found
