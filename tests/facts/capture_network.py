"""Captures what the network facts see on a real host in several states, as fixtures for the tests of parsers and steps.

python tests/facts/capture_network.py NAME SUITE: with a rehearsal of that name, which is reset and changed.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import libvirt

from wizard.facts.libvirt import DOMAINS, NETWORKS
from wizard.facts.network import LINKS, NAMESERVERS, ROUTES, SSH_PATH
from wizard.facts.network_owners import OWNERS
from wizard.facts.networkd import NETWORKD
from wizard.facts.networkd_files import NETWORK_FILES
from wizard.rehearsal import Rehearsal

FIXTURES = Path(__file__).parent / "fixtures" / "network"
FACTS = (LINKS, ROUTES, NAMESERVERS, SSH_PATH, OWNERS, NETWORKD, NETWORK_FILES)

DIRECTORY = "/etc/systemd/network"
ARTICLE = {
    "br0.netdev": "[NetDev]\nName=br0\nKind=bridge\n",
    "bind.network": "[Match]\nName=enp5s0\n[Network]\nBridge=br0\n",
    "br0.network": "[Match]\nName=br0\n[Link]\nRequiredForOnline=no\n[Network]\nLinkLocalAddressing=no\n",
}
"""The bridge as the article makes it, in the right directory (DOMAIN E1)."""
ADDRESS = "Address=192.168.182.100/24\nGateway=192.168.182.1\nDNS=192.168.182.1\n"
MOVED = ARTICLE | {
    "bind.network": "[Match]\nName=enp4s0\n[Network]\nBridge=br0\n",
    "br0.network": "[Match]\nName=br0\n[Network]\n" + ADDRESS,
    "10-lan.network": "",
}
LEASE = {"20-spare.network": "[Match]\nName=enp5s0\n[Network]\nDHCP=ipv4\n[DHCPv4]\nRouteMetric=2000\n"}

GUEST = """<domain type='qemu'><name>{name}</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type></os><devices>{nics}</devices></domain>"""
NETWORK = "<interface type='network'><mac address='{mac}'/><source network='{name}'/><model type='virtio'/></interface>"
MACVTAP = "<interface type='direct'><mac address='{mac}'/><source dev='{name}' mode='bridge'/></interface>"


def write(machine: Rehearsal, files: dict[str, str]) -> None:
    for name, content in files.items():
        machine.inside(f"cat >{DIRECTORY}/{name} <<'END'\n{content}END" if content else f"rm -f {DIRECTORY}/{name}")


def raw(machine: Rehearsal, command: str) -> bytes:
    """As the wizard asks: over SSH, as root by sudo."""
    status = machine.status()
    assert status is not None
    asked = machine.ssh("sudo -S -p '' env LC_ALL=C sh -s")
    password = status.password_file.read_text().strip()
    done = subprocess.run(asked, input=f"{password}\n{command}\n".encode(), capture_output=True, check=False)
    return done.stdout


def capture(machine: Rehearsal, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for fact in FACTS:
        (directory / f"{fact.id}.out").write_bytes(raw(machine, fact.command))
    connection = libvirt.open(f"qemu+unix:///system?socket={libvirt_socket(machine)}")
    seen = {fact.id: dataclasses.asdict(fact.read(connection))["all"] for fact in (NETWORKS, DOMAINS)}
    connection.close()
    (directory / "libvirt.json").write_text(json.dumps(seen, indent=1) + "\n")


def libvirt_socket(machine: Rehearsal) -> str:
    """The machine's libvirtd, seen from outside through the file system of its first process."""
    mine = machine.inside("readlink /proc/1/ns/mnt").strip()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str((process / "ns/mnt").readlink()) == mine and (process / "comm").read_text().strip() == "systemd":
                return f"{process}/root/run/libvirt/libvirt-sock"
        except OSError:
            continue
    raise SystemExit("the machine's first process was not found")


def define(machine: Rehearsal, name: str, nics: str, start: bool) -> None:
    xml = GUEST.format(name=name, nics=nics)
    machine.inside(f"cat >/root/{name}.xml <<'END'\n{xml}\nEND\nvirsh -q define /root/{name}.xml")
    if start:
        machine.inside(f"virsh -q start {name}")


def main(name: str, suite: str) -> None:
    machine = Rehearsal(name)
    states = FIXTURES / suite
    machine.reset()
    capture(machine, states / "fresh")
    write(machine, LEASE)
    machine.inside("networkctl reload; sleep 6")
    capture(machine, states / "lease")
    machine.inside(f"rm {DIRECTORY}/20-spare.network")
    write(machine, ARTICLE)
    machine.inside("networkctl reload; sleep 3")
    capture(machine, states / "article")
    network = "<network><name>vxlan10-bridge</name><forward mode='bridge'/><bridge name='br0'/></network>"
    for line in (
        f'echo "{network}" >/root/n.xml',
        "virsh -q net-define /root/n.xml",
        "virsh -q net-start vxlan10-bridge",
    ):
        machine.inside(line)
    isolated = "<network><name>kube-isolated</name><bridge name='kube-isolated' stp='on' delay='0'/></network>"
    machine.inside(f'echo "{isolated}" >/root/i.xml; virsh -q net-define /root/i.xml; virsh -q net-start kube-isolated')
    nics = [
        NETWORK.format(mac=f"52:54:00:a0:00:1{at}", name=net)
        for at, net in enumerate(("vxlan10-bridge", "kube-isolated"))
    ]
    define(machine, "aki0", "".join(nics), start=True)
    define(machine, "aki1", MACVTAP.format(mac="52:54:00:a0:00:31", name="enp4s0"), start=False)
    machine.inside("sleep 2")
    capture(machine, states / "guests")
    write(machine, MOVED)
    machine.reboot()
    machine.inside("sleep 3")
    capture(machine, states / "moved")


if __name__ == "__main__":
    main(*sys.argv[1:])
