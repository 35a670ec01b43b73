"""What real hosts said, understood: links, routes, our own path, networkd's files and its word, other managers."""

from __future__ import annotations

import base64
import subprocess
from ipaddress import ip_interface
from pathlib import Path

import pytest

from tests.network_captured import SUITES, seen
from wizard.facts.network import LINKS, ROUTES, SSH_PATH, Link, Links, SshPath, parse_nameservers, parse_ssh_path
from wizard.facts.network_owners import Owner, parse_owners
from wizard.facts.networkd import NETWORKD, Networkd, parse_networkd
from wizard.facts.networkd_files import (
    DIRECTORIES,
    NETWORK_FILES,
    Config,
    NetworkFile,
    NetworkFiles,
    applies,
    parse_files,
    settings,
)
from wizard.model import FactError, Output

BOTH = pytest.mark.parametrize("suite", SUITES)


def out(text: str, rc: int = 0) -> Output:
    return Output(rc, text.encode())


# ---------------------------------------------------------------- links


@BOTH
def test_a_fresh_host_has_two_cards_of_which_one_has_an_address(suite: str) -> None:
    links: Links = seen(suite, "fresh")[LINKS.id]
    main, spare = links.nics
    assert (main.name, spare.name) == ("enp4s0", "enp5s0")
    assert [str(each.interface) for each in main.addresses] == ["192.168.182.100/24"]
    assert main.up
    assert main.carrier is True
    assert spare.addresses == ()
    assert (spare.up, spare.carrier) == (False, None)


@BOTH
def test_a_bridge_its_port_and_a_guests_tap(suite: str) -> None:
    links: Links = seen(suite, "guests")[LINKS.id]
    bridge = links.get("br0")
    assert bridge is not None
    assert bridge.kind == "bridge"
    assert not bridge.nic
    ports = {link.name: link for link in links.ports("br0")}
    assert ports["enp5s0"].nic
    assert ports["enp5s0"].port_state == "forwarding"
    assert [link.kind for name, link in ports.items() if name != "enp5s0"] == ["tun"]


@BOTH
def test_a_lease_is_told_from_a_fixed_address(suite: str) -> None:
    links: Links = seen(suite, "lease")[LINKS.id]
    assert {link.name: [each.dynamic for each in link.addresses] for link in links.nics} == {
        "enp4s0": [False],
        "enp5s0": [True],
    }


def test_links_that_are_no_cards() -> None:
    mac = "02:00:00:00:00:01"
    for kind in ("bridge", "bond", "vlan", "tun", "macvtap", "wireguard"):
        assert not Link("x0", mac, kind=kind).nic
    assert not Link("veth12ab", mac, kind="veth").nic
    assert Link("eno1", mac, hardware=True).nic


def test_ip_that_does_not_answer_is_no_host_without_links() -> None:
    with pytest.raises(FactError):
        LINKS.parse(out(""))


def test_a_card_in_words() -> None:
    card = Link("eno1", "02:00:00:00:00:01", carrier=True, speed=1000)
    assert card.describe == "1 Gbit/s, cable in"
    assert Link("eno1", "", carrier=None, up=False).describe == "down"
    assert Link("eno1", "", carrier=False, master="br1").describe == "no carrier, port of br1"


# ---------------------------------------------------------------- routes, name servers, our path


@BOTH
def test_the_default_route(suite: str) -> None:
    found = [route for route in seen(suite, "moved")[ROUTES.id] if route.to == "default"]
    assert [(route.gateway, route.device) for route in found] == [("192.168.182.1", "br0")]


@BOTH
@pytest.mark.parametrize(("state", "device"), [("fresh", "enp4s0"), ("moved", "br0")])
def test_our_own_connection_is_found_below_sudo(suite: str, state: str, device: str) -> None:
    path = seen(suite, state)[SSH_PATH.id]
    assert path == SshPath("192.168.182.10", "192.168.182.100", 22, device)
    assert not path.local


def test_paths_over_other_ways() -> None:
    assert parse_ssh_path(out("\n")) is None
    here = parse_ssh_path(out("::1 40000 ::1 22\n"))
    assert here is not None
    assert here.local
    mapped = parse_ssh_path(out("::ffff:10.0.0.9 40000 ::ffff:10.0.0.1 2222\n"))
    assert mapped == SshPath("10.0.0.9", "10.0.0.1", 2222)


def test_the_stub_resolver_is_no_name_server() -> None:
    text = "# x\nnameserver 127.0.0.53\nnameserver 1.1.1.1\nsearch home\nnameserver fe80::1%eth0\nnameserver 1.1.1.1\n"
    assert parse_nameservers(out(text)) == ("1.1.1.1", "fe80::1%eth0")


# ---------------------------------------------------------------- networkd


@BOTH
def test_networkd_says_what_it_took_for_each_link(suite: str) -> None:
    networkd: Networkd = seen(suite, "article")[NETWORKD.id]
    assert networkd.active
    assert networkd.unit == "enabled"
    assert networkd.file("enp4s0") == "/etc/systemd/network/10-lan.network"
    assert networkd.file("enp5s0") == "/etc/systemd/network/bind.network"
    assert networkd.links["lo"].setup == "unmanaged"


@BOTH
def test_the_identity_of_a_lease(suite: str) -> None:
    networkd: Networkd = seen(suite, "lease")[NETWORKD.id]
    assert list(networkd.iaids) == ["enp5s0"]
    assert 0 < networkd.iaids["enp5s0"] < 1 << 32


def test_networkd_that_does_not_run_or_does_not_answer() -> None:
    assert parse_networkd(out("disabled\n")) == Networkd(active=False, unit="disabled")
    assert parse_networkd(out("")) == Networkd(active=False, unit="")
    with pytest.raises(FactError):
        parse_networkd(out("enabled\nactive, and no answer\n"))


def test_any_byte_may_be_in_a_file() -> None:
    content = b"[Match]\nName=a\tb\n\xff\n\0"
    words = [base64.b64encode(each).decode() for each in (b"/etc/systemd/network/a b.network", content)]
    [file] = parse_files(out(f"{words[0]}\t\t{words[1]}\n")).files
    assert file.path == "/etc/systemd/network/a b.network"
    assert file.content.encode("utf-8", "surrogateescape") == content


KEYS = b"""\
[NetDev]
Name=wg0
# PrivateKey=CANARY
[WireGuard]
PrivateKey = CANARY+/=
PrivateKeyFile=/etc/wg.key
privatekey=CANARY\xff CANARY
ListenPort=51820
[WireGuardPeer]
  PresharedKey= \\
# between
  CANARY \\
  CANARY
PublicKey=public
PresharedKey\\
=CANARY
AllowedIPs=10.0.0.0/8 \\
  10.1.0.0/16
[MACsecTransmitAssociation]
KeyId=01
Key=CANARY
"""


def looked(directory: Path) -> NetworkFiles:
    """What the command finds with its directories below this one."""
    command = NETWORK_FILES.command
    for place in DIRECTORIES:
        command = command.replace(f" {place}", f" {directory}{place}", 1)
    done = subprocess.run(["sh", "-c", command], capture_output=True, env={"PATH": "/usr/bin:/bin"}, check=True)
    assert done.stderr == b""
    return parse_files(Output(0, done.stdout))


@pytest.mark.parametrize("name", ["9.netdev", "9.network", "9.netdev.d/a.conf", "9.network.d/a.conf"])
def test_no_key_leaves_the_host(tmp_path: Path, name: str) -> None:
    file = tmp_path / "etc/systemd/network" / name
    file.parent.mkdir(parents=True)
    file.write_bytes(KEYS)
    [found] = looked(tmp_path).files
    assert "CANARY" not in found.content
    assert "public" in found.content
    config = Config(found, settings(found.content))
    assert config.value("NetDev", "Name") == "wg0"
    assert config.value("WireGuard", "PrivateKey") == "(key)"
    assert config.value("WireGuard", "PrivateKeyFile") == "/etc/wg.key"
    assert config.value("WireGuard", "ListenPort") == "51820"
    assert config.values("WireGuardPeer", "PresharedKey") == ("(key)", "(key)")
    assert config.words("WireGuardPeer", "AllowedIPs") == ("10.0.0.0/8", "10.1.0.0/16")
    assert config.value("MACsecTransmitAssociation", "KeyId") == "01"
    file.write_bytes(b"[WireGuard]\nPrivateKey=CANARY \\")
    assert "CANARY" not in looked(tmp_path).files[0].content


@pytest.mark.parametrize("content", [b"", b"[Match]\nName=a \\\n b", b"\xff=\0\n\n", b"# Key\n[Tunnel]\r\n"])
def test_a_file_without_keys_comes_byte_by_byte(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "run/systemd/network").mkdir(parents=True)
    (tmp_path / "run/systemd/network/a b.network").write_bytes(content)
    [found] = looked(tmp_path).files
    assert found.content.encode("utf-8", "surrogateescape") == content


def test_settings_with_comments_and_continued_lines() -> None:
    text = "# c\n[Match]\nName = a* \\\n; between\n  b*\n\n[Network]\nDNS=1.1.1.1\nDNS=9.9.9.9\n"
    config = Config(NetworkFile("/etc/systemd/network/x.network", text), settings(text))
    assert config.words("Match", "Name") == ("a*", "b*")
    assert config.values("Network", "DNS") == ("1.1.1.1", "9.9.9.9")


def test_an_empty_value_forgets_those_before() -> None:
    text = "[Network]\nDNS=1.1.1.1\nDNS=\nDNS=9.9.9.9\n"
    assert Config(NetworkFile("x", text), settings(text)).values("Network", "DNS") == ("9.9.9.9",)


def etc(name: str, content: str, directory: str = "/etc/systemd/network") -> NetworkFile:
    return NetworkFile(f"{directory}/{name}", content)


NIC = Link("enp4s0", "02:00:00:00:00:04", permanent_mac="02:00:00:00:00:04", hardware=True)


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        ("Name=enp4s0", True),
        ("Name=en* eth*", True),
        ("Name=!enp4s0", False),
        ("Name=!wl*", True),
        ("Name=enp5s0", False),
        ("MACAddress=02-00-00-00-00-04", True),
        ("PermanentMACAddress=0200.0000.0004", True),
        ("MACAddress=02:00:00:00:00:05", False),
        ("Type=ether", True),
        ("Kind=veth", False),
        ("Name=enp4s0\nType=wlan", False),
        ("Driver=e1000e", None),
        ("Name=enp5s0\nDriver=e1000e", False),
        ("", False),
    ],
)
def test_which_links_a_file_is_for(match: str, fits: bool | None) -> None:
    text = f"[Match]\n{match}\n[Network]\nDHCP=yes\n"
    assert applies(Config(etc("x.network", text), settings(text)), NIC) is fits


def test_the_first_file_by_name_wins_wherever_it_lies() -> None:
    late = etc("50-b.network", "[Match]\nName=enp4s0\n")
    early = etc("10-a.network", "[Match]\nName=en*\n", "/run/systemd/network")
    assert [config.file for config in NetworkFiles((late, early)).matching(NIC)] == [early, late]


def test_of_one_name_the_file_in_etc_counts_and_an_empty_one_masks() -> None:
    packaged = etc("10-a.network", "[Match]\nName=en*\n", "/usr/lib/systemd/network")
    own = etc("10-a.network", "[Match]\nName=eth0\n")
    assert NetworkFiles((own, packaged)).matching(NIC) == ()
    assert NetworkFiles((etc("10-a.network", ""), packaged)).matching(NIC) == ()
    assert len(NetworkFiles((packaged,)).matching(NIC)) == 1


def test_networkds_own_word_decides_where_a_file_asks_for_the_unknown() -> None:
    file = etc("10-a.network", "[Match]\nDriver=e1000e\n")
    assert NetworkFiles((file,)).matching(NIC, told=file.path)
    assert not NetworkFiles((file,)).matching(NIC, told="/etc/systemd/network/20-b.network")


def test_drop_ins_are_read_after_their_file() -> None:
    file = etc("10-a.network", "[Match]\nName=enp4s0\n[Network]\nDHCP=yes\n")
    drop_in = etc("10-a.network.d/z.conf", "[Network]\nDHCP=no\n")
    [config] = NetworkFiles((file, drop_in)).matching(NIC)
    assert config.value("Network", "DHCP") == "no"


@BOTH
def test_what_debian_brings_is_for_other_links(suite: str) -> None:
    captured: NetworkFiles = seen(suite, "fresh")[NETWORK_FILES.id]
    assert [config.file.name for config in captured.matching(seen(suite, "fresh")[LINKS.id].get("enp5s0"))] == []


# ---------------------------------------------------------------- other managers


@BOTH
def test_nobody_else_manages_a_server_with_networkd(suite: str) -> None:
    assert seen(suite, "fresh")["network-owners"].of("enp4s0") is None


def test_who_manages_a_link() -> None:
    owners = parse_owners(
        out(
            "nm\tenp5s0:connected\nnm\tenp6s0:unmanaged\nnm\tbr0:connected (externally)\nnm\tenp7s0:unavailable\n"
            "ifupdown\tlo\nifupdown\teth*\ndaemon\twicked.service\n"
        )
    )
    assert owners.of("enp5s0") == Owner("NetworkManager", "`nmcli dev` shows it as connected")
    assert owners.of("enp7s0") == Owner("NetworkManager", "`nmcli dev` shows it as unavailable")
    assert owners.of("eth1") == Owner("ifupdown", "it is named in /etc/network/interfaces")
    assert owners.of("enp6s0") == owners.of("br0") == Owner("wicked", "its service is running")


def test_netplan_counts_for_every_link() -> None:
    owner = parse_owners(out("netplan\t/etc/netplan/50-cloud-init.yaml\n")).of("anything")
    assert owner == Owner("netplan", "/etc/netplan/50-cloud-init.yaml is there")


def test_addresses_are_found_again() -> None:
    links: Links = seen("bookworm", "fresh")[LINKS.id]
    found = links.with_address("192.168.182.100")
    assert found is not None
    assert found.name == "enp4s0"
    assert found.addresses[0].interface == ip_interface("192.168.182.100/24")
