"""bridge.port: from what real hosts said and what is wanted, to the plan."""

from __future__ import annotations

import shutil
import subprocess
from ipaddress import ip_interface
from typing import Any

import pytest

from tests.network_captured import STATIC, SUITES, cluster, context, files, links, seen
from wizard.actions import RemoveFile, WriteFile
from wizard.facts.libvirt import DOMAINS, NETWORKS, Network, Networks
from wizard.facts.network import Address, Link, Route, SshPath
from wizard.facts.network_owners import Owners
from wizard.facts.networkd import Networkd
from wizard.facts.networkd_files import NetworkFile, NetworkFiles
from wizard.model import HYPERVISOR, Blocked, Context, Do, FactUnknown, Nothing, Plan, Refused, Risk, Unseen
from wizard.script import compile_part
from wizard.stages.bridge import PORT
from wizard.stages.bridge_notes import mentions

BOTH = pytest.mark.parametrize("suite", SUITES)
ETC = "/etc/systemd/network"
NETDEV, PORT_FILE, BRIDGE_FILE = (
    f"{ETC}/05-homek8s-{name}" for name in ("br0.netdev", "br0-port.network", "br0.network")
)
MAIN: dict[str, Any] = {"port": "enp4s0", **STATIC}
SPARE: dict[str, Any] = {"port": "enp5s0"}


def plan(bridge: dict[str, Any] | None, suite: str = "bookworm", state: str = "fresh", **changed: Any) -> Plan:
    return PORT.plan(context(cluster(bridge), suite, state, **changed), HYPERVISOR)


def do(*args: Any, **changed: Any) -> Do:
    """The plan, which must be something to do; its script is one that sh understands."""
    found = plan(*args, **changed)
    assert isinstance(found, Do), found
    script = compile_part(PORT.id, HYPERVISOR, found.parts[0])
    subprocess.run(["sh", "-n"], input=script, text=True, check=True)
    return found


def written(found: Do) -> dict[str, str]:
    return {action.path: action.content for action in found.parts[0].actions if isinstance(action, WriteFile)}


def moved_aside(found: Do) -> list[str]:
    return [action.path for action in found.parts[0].actions if isinstance(action, RemoveFile)]


def summaries(found: Do) -> list[str]:
    return [action.summary for action in found.parts[0].actions]


def findings(found: Plan) -> list[str]:
    assert isinstance(found, Refused), found
    return [finding.id for finding in found.findings]


# ---------------------------------------------------------------- what it makes


@BOTH
def test_the_card_that_carries_ssh_becomes_the_port_under_the_guard(suite: str) -> None:
    found = do(MAIN, suite)
    [part] = found.parts
    assert part.risk is Risk.MAY_CUT_SSH
    assert part.guard is not None
    assert part.guard.reach == ("192.168.182.100",)
    assert [probe.title for probe in part.guard.probes] == [
        "the gateway 192.168.182.1 answers",
        "there is a default route",
        "the name server 192.168.182.1 answers on port 53",
    ]
    assert list(written(found)) == [NETDEV, PORT_FILE, BRIDGE_FILE]
    assert "MACAddress" not in written(found)[NETDEV]
    assert "STP=no" in written(found)[NETDEV]
    assert "Bridge=br0" in written(found)[PORT_FILE]
    for line in ("Address=192.168.182.100/24", "Gateway=192.168.182.1", "DNS=192.168.182.1", "IPv6AcceptRA=yes"):
        assert line in written(found)[BRIDGE_FILE].splitlines()
    assert found.notes == ()


@BOTH
def test_an_idle_card_becomes_the_port_of_a_bridge_without_address(suite: str) -> None:
    found = do(SPARE, suite)
    [part] = found.parts
    assert (part.risk, part.guard) == (Risk.NONE, None)
    assert "LinkLocalAddressing=no" in written(found)[BRIDGE_FILE]
    assert "RequiredForOnline=no" in written(found)[BRIDGE_FILE]
    assert "Address" not in written(found)[BRIDGE_FILE].replace("LinkLocalAddressing", "")


def test_keeping_the_mac_writes_it_down() -> None:
    mac = seen("bookworm", "fresh")["links"].get("enp4s0").mac
    assert f"MACAddress={mac}\n" in written(do({**MAIN, "keep_mac": True}))[NETDEV]


@BOTH
def test_a_lease_stays_with_mac_and_identity(suite: str) -> None:
    found = do({"port": "enp5s0", "dhcp": True, "keep_mac": True}, suite, "lease")
    iaid = seen(suite, "lease")["networkd"].iaids["enp5s0"]
    assert f"[DHCPv4]\nIAID={iaid}\n" in written(found)[BRIDGE_FILE]
    assert "DHCP=ipv4" in written(found)[BRIDGE_FILE]
    assert not any("another address" in note for note in found.notes)
    assert found.risk is Risk.BRIEF_INTERRUPTION


@BOTH
def test_a_lease_that_will_change_is_said(suite: str) -> None:
    note, subnet = do({"port": "enp5s0", "dhcp": True}, suite, "lease").notes
    assert subnet.startswith("enp4s0 has 192.168.182.100/24, in the same subnet as br0")
    assert note.startswith("The router will probably give the host another address than 192.168.182.")
    assert "`keep_mac: true` keeps it" in note


def test_a_lease_by_mac_is_kept_by_mac() -> None:
    text = "[Match]\nName=enp5s0\n[Network]\nDHCP=ipv4\n[DHCPv4]\nClientIdentifier=mac\n"
    changed = {
        "networkd_files": files("bookworm", "lease", {"20-spare.network": text}),
        "networkd": Networkd(True, "enabled"),
    }
    found = do({"port": "enp5s0", "dhcp": True, "keep_mac": True}, "bookworm", "lease", **changed)
    assert "[DHCPv4]\nClientIdentifier=mac\n" in written(found)[BRIDGE_FILE]


# ---------------------------------------------------------------- what is there already


@BOTH
def test_the_articles_bridge_is_adopted_with_its_files(suite: str) -> None:
    found = plan(SPARE, suite, "article")
    assert isinstance(found, Nothing)
    assert found.why == (
        "br0 has port enp5s0 and no address, by systemd-networkd, from /etc/systemd/network/br0.netdev, "
        "/etc/systemd/network/bind.network, /etc/systemd/network/br0.network, which stay as they are"
    )


@BOTH
def test_a_moved_bridge_of_the_owners_own_is_adopted(suite: str) -> None:
    assert isinstance(plan(MAIN, suite, "moved"), Nothing)


def test_no_bridge_wanted() -> None:
    assert plan(None) == Nothing("cluster.yaml asks for no bridge")


def test_a_bridge_by_netplan_is_recognised_and_left() -> None:
    found = plan(MAIN, "bookworm", "moved", network_owners=Owners(netplan=("/etc/netplan/1.yaml",)))
    assert found == Nothing("br0 has port enp4s0 and 192.168.182.100/24, by netplan")


@BOTH
def test_what_would_not_last_over_a_boot_is_not_done(suite: str) -> None:
    changed = files(suite, "moved", {"br0.netdev": None})
    found = do(MAIN, suite, "moved", networkd_files=changed)
    assert found.why == "no file creates br0 at boot"
    mac = seen(suite, "moved")["links"].get("br0").mac
    assert list(written(found)) == [NETDEV]
    assert f"MACAddress={mac}\n" in written(found)[NETDEV]


# ---------------------------------------------------------------- the move (DOMAIN S9)


@BOTH
def test_the_bridge_moves_to_the_other_card(suite: str) -> None:
    found = do(MAIN, suite, "guests")
    assert found.risk is Risk.MAY_CUT_SSH
    assert list(written(found)) == [f"{ETC}/05-homek8s-0-enp5s0-released.network", PORT_FILE, BRIDGE_FILE]
    released = written(found)[f"{ETC}/05-homek8s-0-enp5s0-released.network"]
    assert "ActivationPolicy=down" in released
    assert moved_aside(found) == []
    live = [line for line in summaries(found) if not line.startswith("on the way back")]
    assert live == [
        f"write {ETC}/05-homek8s-0-enp5s0-released.network",
        "networkctl reload",
        "ip link set dev enp5s0 down",
        "ip link set dev enp5s0 nomaster",
        "wait until enp5s0 is out of br0 (at most 5 s)",
        f"write {PORT_FILE}",
        f"write {BRIDGE_FILE}",
        "networkctl reload",
        "restart systemd-networkd unless br0 forwards through enp4s0 and has its address",
        "wait until br0 forwards through enp4s0 and has its address (at most 15 s)",
        "tell the LAN where 192.168.182.100 is now",
    ]
    assert "aki0 will be on the LAN behind enp4s0, no longer behind enp5s0." in found.notes
    assert "aki1 can no longer start with a macvtap on enp4s0; `nic: bridge` moves it." in found.notes


@BOTH
def test_the_way_back_is_noted_before_anything_happens(suite: str) -> None:
    lines = summaries(do(MAIN, suite, "guests"))
    first = next(at for at, line in enumerate(lines) if not line.startswith("on the way back"))
    back = [line.removeprefix("on the way back: ") for line in lines[:first]]
    assert back[-2:] == ["systemctl restart systemd-networkd.service", "networkctl reload"]
    assert "tell the LAN where 192.168.182.100 is now" in back[0]


def test_our_own_files_are_rewritten_not_moved_aside() -> None:
    ours = applied(do(SPARE))
    found = do(MAIN, "bookworm", "article", networkd_files=NetworkFiles(ours))
    assert moved_aside(found) == []
    assert PORT_FILE in written(found)


def test_back_to_a_released_card_its_file_goes() -> None:
    ours = (*applied(do(MAIN)), NetworkFile(f"{ETC}/05-homek8s-0-enp5s0-released.network", "[Match]\nName=enp5s0\n"))
    found = do(SPARE, networkd_files=NetworkFiles(ours))
    assert moved_aside(found) == [f"{ETC}/05-homek8s-0-enp5s0-released.network"]


def test_a_card_put_in_by_hand_comes_back_by_hand() -> None:
    changed = files("bookworm", "article", {"bind.network": None})
    script = compile_part(PORT.id, HYPERVISOR, do(MAIN, "bookworm", "article", networkd_files=changed).parts[0])
    assert "on_undo 'ip link set dev enp5s0 master br0'" in script
    script = compile_part(PORT.id, HYPERVISOR, do(MAIN, "bookworm", "article").parts[0])
    assert "enp5s0 master br0" not in script


def applied(found: Do) -> tuple[NetworkFile, ...]:
    return tuple(NetworkFile(path, content) for path, content in written(found).items())


def test_a_mac_that_exists_is_kept() -> None:
    found = do({**MAIN, "keep_mac": True}, "bookworm", "guests")
    bridge = seen("bookworm", "guests")["links"].get("br0")
    assert any(note.startswith(f"br0 keeps its MAC {bridge.mac}") for note in found.notes)
    assert NETDEV not in written(found)


# ---------------------------------------------------------------- drift


def test_a_port_taken_out_by_hand_goes_back() -> None:
    found = do(
        SPARE, "bookworm", "article", links=links("bookworm", "article", enp5s0={"master": "", "port_state": ""})
    )
    assert found.why == "enp5s0 is not a port of br0"
    assert written(found) == {}
    assert "networkctl reload" in summaries(found)


def test_an_address_on_the_port_itself() -> None:
    address = (Address(ip_interface("192.168.182.50/24")),)
    found = do(SPARE, "bookworm", "article", links=links("bookworm", "article", enp5s0={"addresses": address}))
    assert found.why == "enp5s0 has 192.168.182.50/24 itself"


def test_a_second_card_in_the_bridge_is_a_loop() -> None:
    third = Link("enp6s0", "02:00:00:00:00:06", master="br0", port_state="forwarding", carrier=True)
    found = do(SPARE, "bookworm", "article", links=links("bookworm", "article", third))
    assert found.why == "enp6s0 is a port of br0 too"
    assert f"{ETC}/05-homek8s-0-enp6s0-released.network" in written(found)


def test_guests_taps_are_nobodys_business() -> None:
    assert isinstance(plan(SPARE, "bookworm", "guests"), Nothing)


# ---------------------------------------------------------------- foreign files


def test_a_file_that_would_win_is_moved_aside_and_one_that_loses_stays() -> None:
    early = "[Match]\nName=enp4*\n[Network]\nDHCP=yes\n"
    found = do(MAIN, networkd_files=files("bookworm", "fresh", {"00-all.network": early}))
    assert moved_aside(found) == [f"{ETC}/00-all.network"]


def test_a_packaged_file_that_would_win_is_hidden() -> None:
    early = "[Match]\nName=enp4*\n[Network]\nDHCP=yes\n"
    changed = files("bookworm", "fresh", {"/usr/lib/systemd/network/00-all.network": early})
    found = do(MAIN, networkd_files=changed)
    assert moved_aside(found) == []
    assert written(found)[f"{ETC}/00-all.network"].startswith("# Empty on purpose")


def test_a_file_that_hides_another_of_its_name_is_emptied_not_moved() -> None:
    early = "[Match]\nName=enp4*\n[Network]\nDHCP=yes\n"
    names: dict[str, str | None] = {"00-all.network": early, "/usr/lib/systemd/network/00-all.network": early}
    found = do(MAIN, networkd_files=files("bookworm", "fresh", names))
    assert moved_aside(found) == []
    assert f"{ETC}/00-all.network" in written(found)


def test_a_symbolic_link_that_would_win_is_left_to_its_owner() -> None:
    there = files("bookworm", "fresh", {}).files
    early = NetworkFile(f"{ETC}/00-all.network", "[Match]\nName=enp4*\n", symlink=True)
    assert findings(plan(MAIN, networkd_files=NetworkFiles((early, *there)))) == ["symlink"]


# ---------------------------------------------------------------- refused


def test_no_such_card_names_those_there_are() -> None:
    found = plan({**MAIN, "port": "enp9s0"})
    assert findings(found) == ["no-such-nic"]
    assert isinstance(found, Refused)
    assert "enp4s0 (10 Gbit/s, cable in, 192.168.182.100/24); enp5s0 (down)" in found.findings[0].cure


@pytest.mark.parametrize(
    ("link", "finding"),
    [
        ({"wireless": True}, "wireless"),
        ({"master": "br7"}, "taken"),
        ({"kind": "bridge"}, "not-a-nic"),
    ],
)
def test_a_card_that_is_not_fit(link: dict[str, Any], finding: str) -> None:
    assert findings(plan(SPARE, links=links("bookworm", "fresh", enp5s0=link))) == [finding]


@pytest.mark.parametrize("kind", ["vlan", "macvlan", "macvtap"])
def test_a_card_with_something_on_top(kind: str) -> None:
    on_top = Link("top0", "02:00:00:00:00:09", kind=kind, parent="enp4s0")
    found = plan(
        MAIN, links=links("bookworm", "guests", on_top), libvirt_domains=seen("bookworm", "guests")[DOMAINS.id]
    )
    assert findings(found) == ["stacked"]
    assert isinstance(found, Refused)
    assert ("aki1" in found.findings[0].cure) == (kind == "macvtap")


@pytest.mark.parametrize(
    ("owners", "program"),
    [
        (Owners(network_manager={"enp4s0": "connected"}), "NetworkManager"),
        (Owners(ifupdown=("enp4s0",)), "ifupdown"),
        (Owners(netplan=("/etc/netplan/50-cloud-init.yaml",)), "netplan"),
        (Owners(daemons=("dhcpcd",)), "dhcpcd"),
    ],
)
def test_a_card_that_others_manage(owners: Owners, program: str) -> None:
    found = plan(MAIN, network_owners=owners)
    assert set(findings(found)) == {"managed"}
    assert f"{program} manages enp4s0" in found.why


def test_a_bridge_without_address_would_lock_everybody_out() -> None:
    assert findings(plan({"port": "enp4s0"})) == ["ssh-without-address"]


def test_the_bridges_name_is_taken() -> None:
    other = Link("br0", "02:00:00:00:00:08", kind="dummy")
    assert findings(plan(MAIN, links=links("bookworm", "fresh", other))) == ["name-taken"]
    libvirts = Networks((Network("lan", "u", True, True, "<network><name>lan</name><bridge name='br0'/></network>"),))
    assert findings(plan(MAIN, libvirt_networks=libvirts)) == ["name-taken"]
    file = files("bookworm", "fresh", {"x.netdev": "[NetDev]\nName=br0\nKind=dummy\n"})
    assert findings(plan(MAIN, networkd_files=file)) == ["name-taken"]


def test_no_cable() -> None:
    found = plan(SPARE, links=links("bookworm", "fresh", enp5s0={"up": True, "carrier": False}))
    assert isinstance(found, Blocked)
    assert found.by == "you"
    assert found.findings[0].cure == "plug enp5s0's cable in, then try again"


def test_networkd_is_switched_on_where_nobody_manages_the_card() -> None:
    off = Networkd(active=False, unit="disabled")
    bare = files("bookworm", "fresh", {"10-lan.network": None})
    found = do(SPARE, networkd=off, networkd_files=bare)
    assert "systemctl enable --now systemd-networkd.service" in summaries(found)
    assert "networkctl reload" not in summaries(found)
    assert findings(plan(SPARE, networkd=off)) == ["dormant-file"]
    assert findings(plan(SPARE, networkd=Networkd(False, "masked"), networkd_files=bare)) == ["no-networkd"]


@pytest.mark.parametrize("fact", ["links", "networkd", "networkd-files", "network-owners", "ssh-path", "routes"])
def test_what_is_not_known_is_never_taken_for_todo(fact: str) -> None:
    known = context(cluster(MAIN), "bookworm", "fresh")
    ctx = Context(known.cluster, {**known.seen, (HYPERVISOR, fact): Unseen("timeout")})
    with pytest.raises(FactUnknown):
        PORT.plan(ctx, HYPERVISOR)


def test_a_bridge_can_be_planned_without_libvirts_word() -> None:
    known = context(cluster(SPARE), "bookworm", "article")
    unseen = {(HYPERVISOR, fact.id): Unseen("timeout") for fact in (NETWORKS, DOMAINS)}
    assert isinstance(PORT.plan(Context(known.cluster, {**known.seen, **unseen}), HYPERVISOR), Nothing)


# ---------------------------------------------------------------- what carries SSH


@pytest.mark.parametrize(
    ("path", "wanted", "guarded"),
    [
        (SshPath("192.168.182.10", "192.168.182.100", 22, "enp4s0"), SPARE, False),
        (None, SPARE, False),
        (None, MAIN, True),
        (SshPath("127.0.0.1", "127.0.0.1", 22, "lo"), MAIN, True),
        (SshPath("10.8.0.2", "10.8.0.1", 22, "wg0"), MAIN, True),
        (SshPath("192.168.182.10", "192.168.182.100", 22, "enp5s0"), SPARE, True),
    ],
)
def test_the_guard_watches_what_our_connection_runs_over(
    path: SshPath | None, wanted: dict[str, Any], guarded: bool
) -> None:
    tunnel = Link("wg0", "", kind="wireguard", ethernet=False, addresses=(Address(ip_interface("10.8.0.1/24")),))
    found = do(wanted, ssh_path=path, links=links("bookworm", "fresh", tunnel))
    assert (found.parts[0].guard is not None) is guarded
    assert (found.risk is Risk.MAY_CUT_SSH) is guarded


# ---------------------------------------------------------------- notes


def test_ssh_moves_to_another_address() -> None:
    found = do({**MAIN, "addresses": ["192.168.182.101/24"]})
    assert found.parts[0].guard is not None
    assert found.parts[0].guard.reach == ("192.168.182.101", "192.168.182.100")
    assert found.notes[0].startswith("From then on SSH answers at 192.168.182.101, no longer at 192.168.182.100")


def test_two_interfaces_in_one_subnet() -> None:
    found = do({"port": "enp5s0", "addresses": ["192.168.182.101/24"]})
    assert any("enp4s0 has 192.168.182.100/24, in the same subnet as br0" in note for note in found.notes)


def test_a_second_default_route() -> None:
    found = do({"port": "enp5s0", "addresses": ["10.0.0.2/24"], "gateway": "10.0.0.1"})
    assert found.notes == ("There is a default route by 192.168.182.1 on enp4s0 as well; one of the two should go.",)


def test_rules_that_name_the_card() -> None:
    ctx = context(cluster(MAIN), "bookworm", "fresh", **{mentions("enp4s0").id: ("/etc/wireguard/wg0.conf",)})
    found = PORT.plan(ctx, HYPERVISOR)
    assert isinstance(found, Do)
    assert any("Rules in /etc/wireguard/wg0.conf name enp4s0" in note for note in found.notes)


def test_ipv6_is_static_too() -> None:
    addresses = ["192.168.182.100/24", "fd00:1::100/64"]
    found = do({**MAIN, "addresses": addresses})
    assert "Address=fd00:1::100/64" in written(found)[BRIDGE_FILE]


def test_another_bridges_default_route_is_not_ours() -> None:
    routes = (Route("default", "192.168.182.1", "enp4s0"), Route("192.168.182.0/24", "", "br0"))
    found = do(MAIN, "bookworm", "moved", routes=routes)
    assert found.why == "the default route is not by 192.168.182.1 on br0"


# ---------------------------------------------------------------- what the form offers


@BOTH
def test_suggestions_come_from_the_host(suite: str) -> None:
    offered = PORT.defaults(context(cluster(None), suite, "fresh"))
    ports = [(each.value, each.label) for each in offered["bridge.port"]]
    assert ports == [("enp5s0", "down"), ("enp4s0", "10 Gbit/s, cable in, 192.168.182.100/24, carries SSH")]
    assert offered["bridge.addresses"][0].value == ("192.168.182.100/24",)
    assert offered["bridge.gateway"][0].value == "192.168.182.1"
    assert offered["bridge.nameservers"][0].value == ("192.168.182.1",)
    assert offered["bridge.dhcp"][0].value is False


def test_a_bridge_that_is_there_is_offered_first() -> None:
    offered = PORT.defaults(context(cluster(None), "bookworm", "guests"))
    assert offered["bridge.name"][0].label == "is there already, with port enp5s0"
    assert offered["bridge.port"][0].value == "enp5s0"
    assert offered["bridge.network"][0].value == "vxlan10-bridge"


def test_nothing_seen_nothing_offered_but_the_usual_name() -> None:
    assert list(PORT.defaults(Context(cluster(None), {}))) == ["bridge.name"]


# ---------------------------------------------------------------- scripts


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="needs shellcheck")
@BOTH
@pytest.mark.parametrize(
    ("wanted", "state"),
    [
        (MAIN, "fresh"),
        (SPARE, "fresh"),
        (MAIN, "guests"),
        ({"port": "enp5s0", "dhcp": True, "keep_mac": True}, "lease"),
    ],
)
def test_scripts_pass_shellcheck(suite: str, wanted: dict[str, Any], state: str) -> None:
    script = compile_part(PORT.id, HYPERVISOR, do(wanted, suite, state).parts[0])
    done = subprocess.run(
        ["shellcheck", "-s", "sh", "-S", "warning", "-"], input=script, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout
