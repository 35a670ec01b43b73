"""The article half done by hand: a bridge on the second NIC, guests on it, WireGuard masquerading what leaves it."""

from __future__ import annotations

from collections.abc import Sequence

from wizard.rehearsal import network
from wizard.rehearsal.guests import Guest

IMAGES = "/var/lib/libvirt/images"
MEMORY_MIB = 512
BRIDGED = "network=vxlan10-bridge,model=virtio"
MACVTAP = f"type=direct,source={network.MAIN_NIC},source.mode=bridge,model=virtio"

BRIDGE_NETDEV = """\
[NetDev]
Name=br0
Kind=bridge
"""

# The metric keeps the main NIC the way to the LAN, whichever of the two comes up first.
BRIDGE_NETWORK = f"""\
[Match]
Name=br0

[Address]
Address={network.LAN}.101/{network.PREFIX}
RouteMetric=1024
"""

BIND_NETWORK = f"""\
[Match]
Name={network.SPARE_NIC}

[Network]
Bridge=br0
"""

SYSCTL = """\
net.ipv4.ip_forward = 1
net.bridge.bridge-nf-call-arptables = 1
net.bridge.bridge-nf-call-ip6tables = 1
net.bridge.bridge-nf-call-iptables = 1
"""

LIBVIRT_NETWORK = """\
<network>
  <name>vxlan10-bridge</name>
  <forward mode='bridge'/>
  <bridge name='br0'/>
</network>
"""

WIREGUARD = """\
[Interface]
PrivateKey = KEY
Address = 10.8.0.1/24
ListenPort = 51820
PostUp = iptables -t nat -A POSTROUTING -o br0 -j MASQUERADE
PostDown = iptables -t nat -D POSTROUTING -o br0 -j MASQUERADE
"""

# The kernel may lack WireGuard, and has br_netfilter built in where no module can be found.
USERSPACE = "[Service]\nEnvironment=WG_QUICK_USERSPACE_IMPLEMENTATION=wireguard-go\n"
NO_MODULES = "[Service]\nSuccessExitStatus=1\n"

FILES = {
    "/etc/systemd/network/25-bridge.netdev": BRIDGE_NETDEV,
    "/etc/systemd/network/30-bridge.network": BRIDGE_NETWORK,
    "/etc/systemd/network/bind.network": BIND_NETWORK,
    "/etc/sysctl.d/99-sysctl.conf": SYSCTL,
    "/etc/modules-load.d/bridge.conf": "br_netfilter\n",
    "/etc/systemd/system/systemd-modules-load.service.d/rehearsal.conf": NO_MODULES,
}

HOST = """\
sed -i 's/^DEFAULT_FORWARD_POLICY=.*/DEFAULT_FORWARD_POLICY="ACCEPT"/' /etc/default/ufw
systemctl daemon-reload
networkctl reload
/lib/systemd/systemd-networkd-wait-online --interface=br0:routable --timeout=30
sysctl --quiet --load=/etc/sysctl.d/99-sysctl.conf
"""

UP = """\
systemctl daemon-reload
systemctl enable --quiet --now wg-quick@wg0.service
"""

NETWORK = f"""\
cat > /root/define.xml <<'END'
{LIBVIRT_NETWORK}END
virsh --quiet net-define /root/define.xml
virsh --quiet net-autostart vxlan10-bridge
virsh --quiet net-start vxlan10-bridge
"""

DOMAIN = """\
qemu-img create -q -f qcow2 -F qcow2 -b {images}/{guest.name}-installed.qcow2 {images}/{guest.name}.qcow2
virt-install --quiet --name {guest.name} --memory {memory} --vcpus 1 --machine q35 --osinfo debian11 --import \
  --boot firmware=efi,firmware.feature0.name=secure-boot,firmware.feature0.enabled=no \
  --disk {images}/{guest.name}.qcow2,bus=virtio --network {nic} \
  --channel unix,target.type=virtio,target.name=org.qemu.guest_agent.0 \
  --graphics none --console pty,target.type=serial --noautoconsole {how}
"""


def bridge() -> str:
    """The bridge beside the main NIC, the kernel's settings, ufw's policy (ufw itself stays off)."""
    return "set -e\n" + "".join(_written(path, text) for path, text in FILES.items()) + HOST


def wireguard() -> str:
    """wg0 with a key of its own, at every boot; it masquerades all that leaves by br0: the article's fault."""
    service = _written("/etc/systemd/system/wg-quick@wg0.service.d/userspace.conf", USERSPACE)
    write = f"install -d -m 700 /etc/wireguard\numask 077\n{_written('/etc/wireguard/wg0.conf', WIREGUARD)}"
    key = 'sed -i "s|KEY|$(wg genkey)|" /etc/wireguard/wg0.conf\n'
    return f"set -e\n{service}({write}{key})\n{UP}"


def domains(guests: Sequence[Guest]) -> str:
    """The network, and the domains over disks that are there; all but the last run, which macvtap keeps apart."""
    *running, apart = guests
    started = "".join(_domain(guest, BRIDGED, "") for guest in running)
    defined = _domain(apart, MACVTAP, "--print-xml > /root/apart.xml\nvirsh --quiet define /root/apart.xml")
    return f"set -e\n{NETWORK}{started}{defined}virsh --quiet autostart {running[0].name}\n"


def recipe(guests: Sequence[Guest]) -> str:
    """All of it, to tell one recipe from another."""
    return bridge() + wireguard() + domains(guests)


def _written(path: str, text: str) -> str:
    return f"mkdir -p {path.rpartition('/')[0]}\ncat > {path} <<'END'\n{text}END\n"


def _domain(guest: Guest, nic: str, how: str) -> str:
    return DOMAIN.format(guest=guest, nic=nic, how=how, images=IMAGES, memory=MEMORY_MIB)
