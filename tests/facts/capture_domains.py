"""Captures domains as a real libvirt writes them, as fixtures for the tests of steps that change definitions.

python tests/facts/capture_domains.py NAME SUITE: with a rehearsal of that name, which is reset and changed.
"""

from __future__ import annotations

import sys
from pathlib import Path

from wizard.rehearsal import Rehearsal

FIXTURES = Path(__file__).parent / "fixtures" / "domains"
DOMAIN = """<domain type='qemu'><name>aki0</name><uuid>{uuid}</uuid><memory unit='MiB'>64</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='{machine}'>hvm</type></os><features>{features}</features><devices>{nics}
<graphics type='vnc' port='-1' passwd='geheim'/></devices></domain>"""
UUID = "00000000-0000-4000-8000-0000000000a0"
NIC = "<interface type='{}'><mac address='52:54:00:a0:00:10'/><source {}/><model type='virtio'/></interface>"
BRIDGED = NIC.format("bridge", "bridge='br0'")
MACVTAP = NIC.format("direct", "dev='enp5s0' mode='bridge'")
NETWORK = "<network><name>{0}</name>{1}<bridge name='{2}'/></network>"
ATTACH = "virsh -q attach-interface aki0 network kube-isolated --model virtio --mac 52:54:00:a0:00:20"


class Capturing:
    def __init__(self, name: str, suite: str) -> None:
        self.machine, self.directory = Rehearsal(name), FIXTURES / suite
        self.directory.mkdir(parents=True, exist_ok=True)
        self.machine.reset()

    def define(self, nics: str, machine: str = "q35", features: str = "<acpi/>") -> None:
        xml = DOMAIN.format(uuid=UUID, machine=machine, features=features, nics=nics)
        self.machine.inside("virsh -q destroy aki0 2>/dev/null; virsh -q undefine aki0 2>/dev/null; true")
        self.machine.inside(f"cat >/root/aki0.xml <<'END'\n{xml}\nEND\nvirsh -q define /root/aki0.xml")

    def keep(self, name: str, options: str = "--inactive") -> None:
        (self.directory / f"{name}.xml").write_text(self.machine.inside(f"virsh dumpxml {options} aki0"))

    def network(self, name: str, bridge: str, forward: str = "") -> None:
        xml = NETWORK.format(name, forward, bridge)
        self.machine.inside(f'echo "{xml}" >/root/n.xml; virsh -q net-define /root/n.xml; virsh -q net-start {name}')


def main(name: str, suite: str) -> None:
    on = Capturing(name, suite)
    on.machine.inside("ip link add br0 type bridge; ip link set br0 up")
    on.network("vxlan10-bridge", "br0", "<forward mode='bridge'/>")
    on.network("kube-isolated", "kube-isolated")
    on.define(MACVTAP)
    on.keep("macvtap")
    on.define(BRIDGED)
    on.keep("bridged")
    on.machine.inside("virsh -q start aki0")
    on.keep("bridged.live", "")
    on.machine.inside(f"{ATTACH} --config")
    on.keep("attached")
    on.machine.inside(f"{ATTACH} --live")
    on.keep("attached.live", "")
    on.machine.inside("virsh -q define /root/aki0.xml; virsh -q destroy aki0; virsh -q start aki0")
    on.machine.inside("for i in 1 2 3; do virsh -q attach-interface aki0 bridge br0 --model virtio --live; done; true")
    on.keep("full.live", "")
    for kind, features in (("i440fx", "<acpi/>"), ("i440fx-no-acpi", "")):
        on.define(BRIDGED, "pc", features)
        on.machine.inside("virsh -q start aki0")
        on.keep(f"{kind}.live", "")


if __name__ == "__main__":
    main(*sys.argv[1:])
