"""Good files load; every mistake in a bad one is told at once, with its line, its key and the cure."""

# ruff: noqa: E501 - a row of a table is one line

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from wizard.cluster.file import load
from wizard.errors import InputError, InputFinding

EXAMPLES = sorted(Path(__file__, "../../../examples").resolve().glob("*.yaml"))

BASE = """\
name: aki
hypervisor:
  ssh: owner@192.168.182.100
"""
BRIDGE = """\
bridge:
  port: enp4s0
  addresses: [192.168.182.100/24]
"""
NO_ADDRESS = "bridge: {port: enp4s0}\n"
ISOLATED = "isolated: {cidr: 192.168.190.0/24}\n"
GUEST = """\
guests:
  - name: aki0
    role: control-plane
    ssh: owner@192.168.182.130
"""
CREATE = """\
    create:
      address: 192.168.182.130/24
      image: /images/noble.img
"""
WORKER = """\
  - name: aki1
    role: worker
    ssh: owner@192.168.182.131
"""
PLANE = WORKER.replace("worker", "control-plane")


def findings(tmp_path: Path, text: str | bytes) -> tuple[InputFinding, ...]:
    path = tmp_path / "cluster.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    try:
        load(path)
    except InputError as error:
        return error.findings
    return ()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_load(path: Path) -> None:
    assert load(path).cluster.name in ("aki", "home")


GOOD = {
    "the least": BASE,
    "localhost": "name: a\nhypervisor: {ssh: localhost}\n",
    "an alias of ssh_config": "name: a\nhypervisor: {ssh: Home_Server}\n",
    "ssh with port": "name: a\nhypervisor: {ssh: 'ssh://owner@[fd00::1]:2222'}\n",
    "IPv6 host with zone": "name: a\nhypervisor: {ssh: 'owner@fe80::1%eth0'}\n",
    "IPv6 host": "name: a\nhypervisor: {ssh: 'owner@fd00::1'}\n",
    "only isolated": BASE + ISOLATED,
    "bridge without address": BASE + NO_ADDRESS,
    "fixed address": BASE + BRIDGE + "  gateway: 192.168.182.1\n",
    "IPv6 beside": BASE + BRIDGE.replace("[", "['fd00::2/64', ") + "  gateway: fe80::1\n  nameservers: ['fd00::1']\n",
    "DHCP": BASE + "bridge: {port: eno1, dhcp: true, keep_mac: true, nameservers: [1.1.1.1]}\n",
    "address without gateway": BASE + BRIDGE,
    "JSON": '{"name": "a", "hypervisor": {"ssh": "h"}, "bridge": {"port": "e0", "dhcp": true}}',
    "empty sections that have defaults": BASE + "firewall: {}\nkubernetes: {}\nguests: []\n",
    "guest": BASE + BRIDGE + ISOLATED + GUEST + "    isolated_address: 192.168.190.100\n    nic: bridge\n",
    "guest with a dotted name, not a node": BASE + GUEST.replace("aki0", "ubuntu22.04"),
    "created guest": BASE + BRIDGE + "kubernetes: {}\n" + GUEST + CREATE,
    "image by URL": BASE
    + BRIDGE
    + GUEST
    + CREATE.replace("/images", "https://a.org/x")
    + f"      sha256: {'0a' * 32}\n",
    "small guest, accepted": "name: a\nhypervisor: {ssh: h, accept: [small-guest]}\n"
    + BRIDGE
    + GUEST
    + CREATE
    + "      memory: 512MiB\n      vcpus: 1\n      disk: 4GiB\n",
    "virtual address": BASE + BRIDGE + "kubernetes: {endpoint: 192.168.182.140}\n" + GUEST,
    "the only control plane's address": BASE + "kubernetes: {endpoint: 192.168.182.130}\n" + GUEST + WORKER,
    "several control planes": BASE + "kubernetes: {endpoint: 192.168.182.140}\n" + GUEST + PLANE,
    "BOM and CRLF": "\ufeff" + BASE.replace("\n", "\r\n"),
    "Japanese note": BASE + "firewall: {ufw: {allow: [{from: any, port: 2049, comment: 共有 NFS}]}}\n",
    "LAN that libvirt or docker would use": BASE.replace("182", "122") + BRIDGE.replace("182", "122"),
    "date-like name": BASE.replace("aki", "2024-01-01"),
}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD.keys())
def test_good(tmp_path: Path, text: str) -> None:
    assert findings(tmp_path, text) == ()


ONE = [
    # keys
    (BASE + "bridge:\n  port: a\n  addresess: []\n", 6, "bridge.addresess", "unknown key `addresess`. Did you mean `addresses`?"),
    (BASE + "color: red\n", 4, "color", "unknown key `color`. Known: name, hypervisor"),
    (BASE + "gateway: 10.0.0.1\n", 4, "gateway", "belongs at `bridge.gateway`"),
    ("name: a\n", 1, "hypervisor", "is missing. Add `hypervisor:` with `ssh: owner@192.168.182.100`"),
    ("name: a\nhypervisor: {}\n", 2, "hypervisor.ssh", "is missing. Add `ssh: owner@"),
    (BASE + "bridge:\n  name: br0\n", 4, "bridge.port", "is missing. Add `port: enp4s0`"),
    (BASE + "bridge:\n", 4, "bridge", "has no value"),
    (BASE + "bridge:\n  port: ~\n", 5, "bridge.port", "has no value"),
    (BASE + "bridge: br0\n", 4, "bridge", "keys are expected below it, not `br0`. Write them indented, such as `port: enp4s0`"),
    (BASE + "guests: {name: a}\n", 4, "guests", "a list is expected, not keys"),
    (BASE + BRIDGE + "  nameservers: 1.1.1.1\n", 7, "bridge.nameservers", "a list is expected, not `1.1.1.1`"),
    # YAML's surprises
    (BASE + "kubernetes:\n  version: 1.30\n", 5, "kubernetes.version", '`1.30` is a number in YAML, not text. Write it in quotes: "1.30"'),
    ("name: 1e3\nhypervisor: {ssh: h}\n", 1, "name", '`1e3` is a number'),
    ("name: 017\nhypervisor: {ssh: h}\n", 1, "name", "`017` is a number"),
    ("name: true\nhypervisor: {ssh: h}\n", 1, "name", "`true` means true or false"),
    (BASE + "bridge: {port: a, dhcp: no}\n", 4, "bridge.dhcp", "`no` is text in YAML 1.2, not true or false. Write `false`"),
    (BASE + "bridge: {port: a, dhcp: on}\n", 4, "bridge.dhcp", "Write `true` without quotes"),
    (BASE + "bridge: {port: a, dhcp: 'true'}\n", 4, "bridge.dhcp", "`true` in quotes is text"),
    (BASE + "bridge: {port: a, dhcp: 1}\n", 4, "bridge.dhcp", "true or false is expected, not `1`"),
    (BASE + "firewall: {ufw: {allow: [{from: any, port: 1e3}]}}\n", 4, "firewall.ufw.allow[0].port", "Write 1000"),
    (BASE + "firewall: {ufw: {allow: [{from: any, port: 0x50}]}}\n", 4, "firewall.ufw.allow[0].port", "Write 80"),
    (BASE + "firewall: {ufw: {allow: [{from: any, port: 0017}]}}\n", 4, "firewall.ufw.allow[0].port", "misleads. Write 17"),
    (BASE + "firewall: {ufw: {allow: [{from: any, port: '53'}]}}\n", 4, "firewall.ufw.allow[0].port", "`53` in quotes is text"),
    (BASE + "firewall: {ufw: {allow: [{from: any, port: 1:30}]}}\n", 4, "firewall.ufw.allow[0].port", "whole number is expected"),
    (BASE + "firewall: {ufw: {allow: [{from: any, port: 70000}]}}\n", 4, "firewall.ufw.allow[0].port", "at most 65535"),
    (BASE + "firewall: {ufw: {allow: [{from: any, proto: sctp}]}}\n", 4, "firewall.ufw.allow[0].proto", "Use one of: tcp, udp, any"),
    ("name: a\nhypervisor: {ssh: h, accept: [nokvm]}\n", 2, "hypervisor.accept[0]", "Did you mean `no-kvm`?"),
    # names
    (BASE.replace("aki", "Aki"), 1, "name", "capital letters. Write aki"),
    (BASE.replace("aki", "a_i"), 1, "name", "`a_i` cannot be used"),
    (BASE.replace("aki", "a" * 64), 1, "name", "64 characters long; 63 is the most"),
    (BASE + "bridge: {port: enp4s0, name: sixteencharacter}\n", 4, "bridge.name", "16 characters long; 15"),
    (BASE + "bridge: {port: enp4s0, name: virbr7}\n", 4, "bridge.name", "begins with `virbr`"),
    (BASE + "bridge: {port: lo}\n", 4, "bridge.port", "no name for an interface"),
    (BASE + "bridge: {port: a/b}\n", 4, "bridge.port", "contains `/`"),
    (BASE + "bridge: {port: enp4s0, network: a b}\n", 4, "bridge.network", "contains a space"),
    (BASE + "isolated: {name: docker0, cidr: 10.0.0.0/24}\n", 4, "isolated.name", "begins with `docker`"),
    (BASE + GUEST.replace("aki0", "hypervisor"), 5, "guests[0].name", "already means another machine"),
    (BASE + "kubernetes: {}\n" + GUEST.replace("aki0", "aki.0"), 6, "guests[0].name", "cannot be a node's name"),
    # SSH
    (BASE.replace("owner@", "-l owner "), 3, "hypervisor.ssh", "space"),
    ("name: a\nhypervisor: {ssh: -oProxyCommand=x}\n", 2, "hypervisor.ssh", "begins with `-`"),
    ("name: a\nhypervisor: {ssh: 'owner@h:22'}\n", 2, "hypervisor.ssh", "Write ssh://owner@h:22"),
    ("name: a\nhypervisor: {ssh: 'ssh://owner@h:70000'}\n", 2, "hypervisor.ssh", "70000 is no port"),
    # addresses
    (BASE + BRIDGE.replace("/24", ""), 6, "bridge.addresses[0]", "no prefix length. Write 192.168.182.100/24"),
    (BASE + BRIDGE.replace("/24", "/33"), 6, "bridge.addresses[0]", "impossible prefix length"),
    (BASE + BRIDGE.replace("/24", "/31"), 6, "bridge.addresses[0]", "Use a prefix from /8 to /30"),
    (BASE + BRIDGE.replace("/24", "/7"), 6, "bridge.addresses[0]", "Use a prefix from /8 to /30"),
    (BASE + BRIDGE.replace("/24", "/255.255.255.0"), 6, "bridge.addresses[0]", "no IP address with prefix length"),
    (BASE + BRIDGE.replace(".100/", ".0/"), 6, "bridge.addresses[0]", "network address of 192.168.182.0/24"),
    (BASE + BRIDGE.replace(".100/", ".255/"), 6, "bridge.addresses[0]", "broadcast address"),
    (BASE + BRIDGE.replace(".100/", ".0100/"), 6, "bridge.addresses[0]", "leading zero"),
    (BASE + BRIDGE.replace("192.168.182.100", "127.0.0.1"), 6, "bridge.addresses[0]", "a loopback address"),
    (BASE + BRIDGE.replace("192.168.182.100", "169.254.1.1"), 6, "bridge.addresses[0]", "link-local"),
    (BASE + BRIDGE.replace("192.168.182.100", "224.0.0.5"), 6, "bridge.addresses[0]", "multicast"),
    (BASE + BRIDGE.replace("192.168.182.100", "0.1.2.3"), 6, "bridge.addresses[0]", "reserved"),
    (BASE + BRIDGE.replace("192.168.182.100/24", "fe80::1/64"), 6, "bridge.addresses[0]", "link-local"),
    (BASE + BRIDGE.replace("192.168.182.100/24", "fd00::1/128"), 6, "bridge.addresses[0]", "Use a prefix from /16 to /127"),
    (BASE + BRIDGE.replace("192.168.182.100/24", "'::ffff:10.0.0.1/96'"), 6, "bridge.addresses[0]", "IPv6 clothes"),
    (BASE + BRIDGE.replace("]", ", 192.168.182.100/24]"), 6, "bridge.addresses[1]", "already used (`bridge.addresses[0]`)"),
    (BASE + BRIDGE + "  gateway: 192.168.183.1\n", 7, "bridge.gateway", "outside 192.168.182.0/24"),
    (BASE + BRIDGE + "  gateway: 192.168.182.100\n", 7, "bridge.gateway", "also the address of the hypervisor"),
    (BASE + BRIDGE + "  gateway: 192.168.182.255\n", 7, "bridge.gateway", "no machine's address"),
    (BASE + BRIDGE + "  gateway: fe80::1\n", 7, "bridge.gateway", "outside 192.168.182.0/24"),
    (BASE + BRIDGE + "  gateway: router\n", 7, "bridge.gateway", "no IP address. Write it like 192.168.182.1"),
    (BASE + BRIDGE + "  nameservers: [dns.example]\n", 7, "bridge.nameservers[0]", "no IP address"),
    (BASE + BRIDGE + "  dhcp: true\n", 7, "bridge.dhcp", "both DHCP and fixed addresses"),
    (BASE + "bridge: {port: a, gateway: 10.0.0.1}\n", 4, "bridge.gateway", "no address on the bridge"),
    (BASE + "bridge: {port: a, dhcp: true, gateway: 10.0.0.1}\n", 4, "bridge.gateway", "comes with DHCP"),
    (BASE + "bridge: {port: a, nameservers: [1.1.1.1]}\n", 4, "bridge.nameservers", "cannot ask name servers"),
    # names that must differ
    (BASE + "bridge: {port: br0, name: br0}\n", 4, "bridge.name", "`br0` is also `bridge.port`"),
    (BASE + NO_ADDRESS + "isolated: {name: br0, cidr: 10.9.0.0/24}\n", 5, "isolated.name", "`br0` is also `bridge.name`"),
    (BASE + "bridge: {port: e0, network: kube}\nisolated: {name: kube, cidr: 10.9.0.0/24}\n", 4, "bridge.network", "two networks named `kube`"),
    # ranges
    (BASE + "isolated: {cidr: 192.168.190.5/24}\n", 4, "isolated.cidr", "address inside a network. Write 192.168.190.0/24"),
    (BASE + "isolated: {cidr: 192.168.190.0}\n", 4, "isolated.cidr", "Write 192.168.190.0/24 if"),
    (BASE + "isolated: {cidr: 192.168.190.0/31}\n", 4, "isolated.cidr", "Use a prefix from /8 to /30"),
    (BASE + "isolated: {cidr: 8.8.8.0/24}\n", 4, "isolated.cidr", "belongs to others on the internet"),
    (BASE + "isolated: {cidr: 'fd00::/64'}\n", 4, "isolated.cidr", "no IPv4 network"),
    (BASE + "isolated: {cidr: 192.168.122.0/25}\n", 4, "isolated.cidr", "of libvirt's default network"),
    (BASE + "kubernetes: {pod_cidr: 172.16.0.0/12}\n", 4, "kubernetes.pod_cidr", "of docker's default bridge"),
    (BASE + BRIDGE + "isolated: {cidr: 192.168.176.0/20}\n", 7, "isolated.cidr", "overlaps the LAN 192.168.182.0/24"),
    (BASE + "isolated: {cidr: 10.244.0.0/24}\nkubernetes: {}\n", 5, "kubernetes.pod_cidr", "overlaps 10.244.0.0/24 of the isolated network"),
    (BASE + "kubernetes: {service_cidr: 10.244.0.0/16}\n", 4, "kubernetes.service_cidr", "overlaps 10.244.0.0/16 of the pods"),
    (BASE + "kubernetes: {pod_cidr: 10.0.0.0/25}\n", 4, "kubernetes.pod_cidr", "each node takes a /24"),
    (BASE + "kubernetes: {service_cidr: 10.0.0.0/8}\n", 4, "kubernetes.service_cidr", "Use a prefix from /12 to /24"),
    (BASE + "kubernetes: {pod_cidr: 10.0.0.0/24}\n" + GUEST + WORKER, 4, "kubernetes.pod_cidr", "too small for 2 nodes"),
    (BASE + "isolated: {cidr: 192.168.182.0/24}\n", 4, "isolated.cidr", "contains 192.168.182.100 (`hypervisor.ssh`)"),
    # Kubernetes
    (BASE + "kubernetes: {version: v1.36.4}\n", 4, "kubernetes.version", 'Write "1.36.4"'),
    (BASE + "kubernetes: {version: '1.19'}\n", 4, "kubernetes.version", "older than 1.20"),
    (BASE + "kubernetes: {version: latest}\n", 4, "kubernetes.version", "no version"),
    (BASE + "kubernetes: {cni: flannel}\n", 4, "kubernetes.cni", "calico, cilium, none"),
    (BASE + "kubernetes: {cni: {manifesto: a}}\n", 4, "kubernetes.cni", "calico, cilium, none"),
    (BASE + "kubernetes: {cni: {manifest: ../a.yaml}}\n", 4, "kubernetes.cni", "climbs out"),
    (BASE + "kubernetes: {cni_version: latest}\n", 4, "kubernetes.cni_version", "an exact version"),
    (BASE + "kubernetes: {images: 'https://mirror.home'}\n", 4, "kubernetes.images", "Write mirror.home"),
    (BASE + "kubernetes: {packages: {key: a}}\n", 4, "kubernetes.packages.repository", "is missing"),
    (BASE + "kubernetes: {}\n" + GUEST + PLANE, 10, "guests[1].role", "several control planes need an address"),
    (BASE + "kubernetes: {endpoint: 'k8s:6443'}\n", 4, "kubernetes.endpoint", "names a port"),
    (BASE + "kubernetes: {endpoint: 192.168.182.100}\n", 4, "kubernetes.endpoint", "belongs to another machine"),
    (BASE + "kubernetes: {endpoint: 192.168.182.131}\n" + GUEST + WORKER, 4, "kubernetes.endpoint", "belongs to another machine"),
    (BASE + "kubernetes: {endpoint: 192.168.182.130}\n" + GUEST + PLANE, 4, "kubernetes.endpoint", "is one control plane's own"),
    (BASE + "kubernetes: {endpoint: 192.168.182.131}\n" + GUEST + PLANE, 4, "kubernetes.endpoint", "lost with it (`guests[1].ssh`)"),
    (BASE + "kubernetes: {}\n" + GUEST.replace("control-plane", "worker"), 5, "guests", "no guest is a control plane"),
    # guests
    (BASE + GUEST + WORKER.replace("aki1", "AKI0"), 8, "guests[1].name", "already used (`guests[0].name`)"),
    (BASE + GUEST + WORKER.replace(".131", ".130"), 10, "guests[1].ssh", "also the address of guests[0]"),
    (BASE + GUEST.replace("owner@192.168.182.130", "vm") + WORKER.replace("owner@192.168.182.131", "vm"), 10, "guests[1].ssh", "already used (`guests[0].ssh`)"),
    (BASE + GUEST + WORKER.replace("owner@192.168.182.131", "me@192.168.182.130"), 10, "guests[1].ssh", "also the address of guests[0]"),
    (BASE + GUEST.replace(".130", ".100").replace("owner", "me"), 7, "guests[0].ssh", "also the address of the hypervisor"),
    (BASE + GUEST + "    isolated_address: 10.9.9.9\n", 8, "guests[0].isolated_address", "there is no isolated network"),
    (BASE + ISOLATED + GUEST + "    isolated_address: 10.9.9.9\n", 9, "guests[0].isolated_address", "Use one from 192.168.190.1 to 192.168.190.254"),
    (BASE + ISOLATED + GUEST + "    isolated_address: 192.168.190.0\n", 9, "guests[0].isolated_address", "no address for a machine"),
    (BASE + ISOLATED + GUEST + "    isolated_address: 192.168.190.5\n" + WORKER + "    isolated_address: 192.168.190.5\n", 13, "guests[1].isolated_address", "already used"),
    (BASE + GUEST + "    nic: bridge\n", 8, "guests[0].nic", "there is no bridge"),
    (BASE + GUEST + CREATE, 8, "guests[0].create", "no bridge to connect it to"),
    (BASE + BRIDGE + GUEST + CREATE.replace(".130", ".139"), 10, "guests[0].ssh", "created with 192.168.182.139"),
    (BASE + BRIDGE + GUEST + CREATE + "      memory: 8GB\n", 14, "guests[0].create.memory", "Write 8GiB"),
    (BASE + BRIDGE + GUEST + CREATE + "      memory: 8192\n", 14, "guests[0].create.memory", "Write 8192MiB"),
    (BASE + BRIDGE + GUEST + CREATE + "      memory: 1GiB\n", 14, "guests[0].create.memory", "needs 2GiB of memory"),
    (BASE + BRIDGE + GUEST + CREATE + "      disk: 10GiB\n", 14, "guests[0].create.disk", "needs a disk of 20GiB"),
    (BASE + BRIDGE + GUEST + CREATE + "      disk: 999TiB\n", 14, "guests[0].create.disk", "out of range"),
    (BASE + BRIDGE + GUEST + CREATE + "      vcpus: 1\n", 14, "guests[0].create.vcpus", "needs 2 CPUs"),
    (BASE + BRIDGE + GUEST + CREATE + "      vcpus: 0\n", 14, "guests[0].create.vcpus", "at least 1"),
    (BASE + BRIDGE + GUEST + CREATE + "      mac: 00:11:22:33:44:55\n", 14, "guests[0].create.mac", "Begin with 52:54:00"),
    (BASE + BRIDGE + GUEST + CREATE + "      mac: 52:54:00:a0:00\n", 14, "guests[0].create.mac", "six pairs"),
    (BASE + BRIDGE + GUEST + CREATE + "      isolated_mac: 52:54:00:a0:00:01\n", 14, "guests[0].create.isolated_mac", "no address on the isolated"),
    (BASE + BRIDGE + GUEST + CREATE + "      gateway: 10.0.0.1\n", 14, "guests[0].create.gateway", "outside 192.168.182.0/24"),
    (BASE + BRIDGE + GUEST + CREATE.replace("/images", "https://a.org"), 13, "guests[0].create.image", "needs its checksum"),
    (BASE + BRIDGE + GUEST + CREATE.replace("/images", "/images/../x"), 13, "guests[0].create.image", "climbs out"),
    (BASE + BRIDGE + GUEST + CREATE.replace("noble", "a,b"), 13, "guests[0].create.image", "contains `,`"),
    (BASE + BRIDGE + GUEST + CREATE + "      sha256: abc\n", 14, "guests[0].create.sha256", "64 digits"),
    # machines of their own
    (BASE + GUEST.replace("    ssh", "    physical: true #"), 7, "guests[0].physical", "nobody knows the address"),
    (BASE + BRIDGE + GUEST + "    physical: true\n" + CREATE, 12, "guests[0].create", "no libvirt guest"),
    (BASE + ISOLATED + GUEST + "    physical: true\n    isolated_address: 192.168.190.5\n", 10, "guests[0].isolated_address", "`isolated_mac` is missing"),
    (BASE + GUEST + "    isolated_mac: dc:a6:32:00:00:10\n", 8, "guests[0].isolated_mac", "libvirt's to make"),
    (BASE + ISOLATED + GUEST + "    physical: true\n    isolated_address: 192.168.190.5\n    isolated_mac: 01:00:5e:00:00:10\n", 11, "guests[0].isolated_mac", "no card's MAC"),
    # firewall
    (BASE + "firewall: {nat: off}\n", 4, "firewall.nat", "Use one of: restrict-source"),
    (BASE + "firewall: {ufw: {ssh_from: 192.168.1.5/24}}\n", 4, "firewall.ufw.ssh_from", "Write 192.168.1.0/24"),
    (BASE + "firewall: {ufw: {routes: [{in: wg0}]}}\n", 4, "firewall.ufw.routes[0].out", "is missing. Add `out: br0`"),
    (BASE + "firewall: {ufw: {routes: [[wg0, br0]]}}\n", 4, "firewall.ufw.routes[0]", "keys are expected below it, not a list"),
    # text that is no cluster.yaml
    ("", 0, "", "the file is empty"),
    ("# only a comment\n", 0, "", "the file is empty"),
    ("- a\n", 1, "", "keys are expected, such as `name: aki`"),
    ("name\n", 1, "", "keys are expected"),
    (BASE + "name: other\n", 4, "name", "written twice, first on line 1"),
    (BASE + "---\nname: b\n", 4, "", "a second document"),
    ("name: &n aki\nhypervisor: {ssh: h}\n", 1, "name", "an anchor (`&n`)"),
    ("name: !!str aki\nhypervisor: {ssh: h}\n", 1, "name", "the tag `tag:yaml.org,2002:str`"),
    ("%YAML 1.1\n---\n" + BASE, 2, "", "another YAML than 1.2"),
    (BASE + "bridge:\n\tport: a\n", 5, "", "column 1: a tab"),
    (BASE + "bridge: [a\n", 4, "", "column 9: a `[` or `{` is not closed"),
    (BASE + "bridge: 'a\n", 4, "", "column 9: a quote is not closed"),
    (BASE + "bridge: a: b\n", 4, "", "column 10: a `:` stands"),
    (BASE + " bridge: a\n", 4, "", "indentation"),
    (BASE + "bridge: @x\n", 4, "", "Put the value in quotes"),
    (BASE + "x: \x00\n", 4, "", "NUL"),
    ("[" * 5000, 1, "", "nests deeper"),
    ("a:\n" + "".join(" " * n + "- a:\n" for n in range(1, 900, 2)), 7, "", "nests deeper"),
    (b"name: aki\nx: \xff\n", 2, "", "byte 0xff is not UTF-8 text"),
    (b"#" * (1024 * 1024 + 1), 0, "", "larger than 1 MiB"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "key", "words"), ONE, ids=range(len(ONE)))
def test_one_mistake_is_one_finding(tmp_path: Path, text: str | bytes, line: int, key: str, words: str) -> None:
    found = findings(tmp_path, text)
    assert [(each.line, each.key) for each in found] == [(line, key)], found
    assert words in f"{found[0].message}. {found[0].cure}"


def test_messages_are_sentences(tmp_path: Path) -> None:
    for text, *_ in ONE:
        for each in findings(tmp_path, text):
            assert not re.search(r"[.?!]$", each.message), each
            assert re.search(r"[.?]$", each.cure), each
            assert str(each).isprintable(), each


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """\
name: Aki
hypervisor:
  ssh: owner@h:22
bridge:
  port: enp4s0
  portt: enp4s0
  addresses: [192.168.182.0/24, 192.168.182.100/24]
  dhcp: true
  dhcp: false
kubernetes: {version: 1.36, service_cidr: 10.244.0.0/24}
isolated:
guests:
  - {name: a, role: worker, ssh: u@a, isolated_address: 10.9.9.9}
  - {name: a, ssh: u@b}
"""
    assert [(each.line, each.key) for each in findings(tmp_path, text)] == [
        (1, "name"),
        (3, "hypervisor.ssh"),
        (6, "bridge.portt"),
        (7, "bridge.addresses[0]"),
        (9, "bridge.dhcp"),
        (10, "kubernetes.version"),
        (10, "kubernetes.service_cidr"),
        (11, "isolated"),
        (14, "guests[1].role"),
        (14, "guests[1].name"),
    ]


def test_aliases_and_merge_keys_are_refused(tmp_path: Path) -> None:
    text = "name: aki\nhypervisor: &h\n  ssh: h\nbridge: *h\nisolated:\n  <<: *h\n"
    said = [(each.line, each.message) for each in findings(tmp_path, text)]
    assert (2, "an anchor (`&h`) stands here") in said
    assert (4, "an alias (`*`) stands here") in said
    assert (6, "a merge key (`<<`) stands here") in said


def test_many_aliases_cost_nothing(tmp_path: Path) -> None:
    bomb = "a: &a [x]\n" + "".join(
        f"{new}: &{new} [{', '.join(f'*{old}' for _ in range(9))}]\n"
        for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert len(findings(tmp_path, bomb)) < 200


@pytest.mark.parametrize("make", ["missing", "directory", "fifo", "unreadable", "nul"])
def test_what_is_no_readable_file(tmp_path: Path, make: str) -> None:
    path = tmp_path / ("a\0b" if make == "nul" else "cluster.yaml")
    if make == "directory":
        path.mkdir()
    elif make == "fifo":
        os.mkfifo(path)
    elif make == "unreadable":
        path.symlink_to(path)
    with pytest.raises(InputError) as caught:
        load(path)
    (found,) = caught.value.findings
    assert found.file == str(path)
    assert found.line == 0
    assert found.cure
    if make == "missing":
        assert "copy examples/aki.yaml" in found.cure
