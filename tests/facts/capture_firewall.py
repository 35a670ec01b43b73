"""Captures what the firewall's facts see on a real host in several states, as fixtures for parsers and steps.

python -m tests.facts.capture_firewall NAME SUITE: with a rehearsal of that name, which is reset and changed.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.facts.capture_network import raw
from wizard.facts.access import SSHD
from wizard.facts.bridged import BRIDGED
from wizard.facts.nat import NAT_LIVE
from wizard.facts.nat_files import NAT_FILES
from wizard.facts.network import LINKS, SSH_PATH
from wizard.facts.sockets import SOCKETS
from wizard.facts.ufw import UFW
from wizard.facts.units import FIREWALL_UNITS
from wizard.facts.wireguard import WIREGUARD
from wizard.rehearsal import Rehearsal
from wizard.stages.firewall_bridged import OWN_FILES

FIXTURES = Path(__file__).parent / "fixtures" / "firewall"
FACTS = (LINKS, SSH_PATH, SSHD, SOCKETS, BRIDGED, OWN_FILES, FIREWALL_UNITS, NAT_LIVE, NAT_FILES, WIREGUARD, UFW)

WG0 = """\
[Interface]
Address = 10.8.0.1/24
ListenPort = 51820
PrivateKey = CANARYcanaryCANARYcanaryCANARYcanaryCANARYs=
PostUp = iptables -A FORWARD -i %i -j ACCEPT; iptables -t nat -A POSTROUTING -o br0 -j MASQUERADE
PostDown = iptables -D FORWARD -i %i -j ACCEPT; iptables -t nat -D POSTROUTING -o br0 -j MASQUERADE

[Peer]
PublicKey = cSoyL/aSDXFPaMpPAjhUKCGxoqLzTAK/5TvQHKoE5VI=
AllowedIPs = 10.8.0.2/32
"""
NFTABLES = """\
#!/usr/sbin/nft -f
table inet own {
\tset lans { type ipv4_addr; flags interval; elements = { 10.0.0.0/8, 192.168.182.0/24 }; }
\tchain post {
\t\ttype nat hook postrouting priority srcnat; policy accept;
\t\toifname { "br0", "wg0" } counter masquerade
\t\tip saddr @lans oifname "br*" masquerade random comment "my thing"
\t\tip saddr 10.8.0.0/24 oifname "br0" masquerade
\t\toifname "ppp0" masquerade
\t}
}
"""
SYSCTL = """\
printf 'net.bridge.bridge-nf-call-iptables = 1\\nnet.ipv4.ip_forward = 1\\n' >/etc/sysctl.d/k8s.conf
echo 'net/bridge/bridge-nf-call-ip6tables=1' >>/etc/ufw/sysctl.conf
echo 'net.bridge.bridge-nf-call-iptables = 1' >>/etc/sysctl.conf
"""


UFW_RULES = (
    "allow 22/tcp",
    "allow from 192.168.182.0/24 to any port 2049 proto tcp comment 'homek8s: old'",
    "allow from fd00::/64 to any port 53 comment 'homek8s: ☃ x(y)'",
    "route allow in on br0 out on br0 comment 'homek8s: br0 to itself'",
    "route allow in on kube-isolated out on kube-isolated",
    "limit 2222/tcp",
    "allow log 6000:6007,8080/udp",
    "deny from 10.0.0.1 comment 'not homek8s: mine'",
    "allow OpenSSH",
    "reject out on enp5s0 to any port 25",
)


def write(machine: Rehearsal, path: str, content: str) -> None:
    machine.inside(f"mkdir -p {path.rpartition('/')[0]}; cat >{path} <<'END'\n{content}END")


def article(machine: Rehearsal) -> None:
    """The article's host: bridged packets filtered, and a WireGuard that masquerades what leaves on br0 (E8)."""
    machine.inside("ip link add br0 type bridge; ip link set br0 up type bridge nf_call_iptables 1")
    machine.inside(SYSCTL)
    write(machine, "/etc/wireguard/wg0.conf", WG0)
    machine.inside("chmod 600 /etc/wireguard/wg0.conf; wg-quick up wg0 2>&1")


def everywhere(machine: Rehearsal) -> None:
    """Such rules in every family, beside those of libvirt and docker, which are not meant (DOMAIN S11)."""
    write(machine, "/etc/nftables.conf", NFTABLES)
    machine.inside("nft -f /etc/nftables.conf")
    for line in (
        "-t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
        "-t nat -A POSTROUTING -m addrtype --src-type LOCAL -o docker_gwbridge -j MASQUERADE",
        "-t nat -N OWN",
        "-t nat -A POSTROUTING -m comment --comment 'x \"y\" -j z' -j OWN",
        "-t nat -A OWN -m mark --mark 0x40000/0xff0000 -j MASQUERADE",
        "-t nat -A OWN ! -o wg0 -j SNAT --to-source 192.168.182.100",
    ):
        machine.inside(f"iptables {line}")
    machine.inside("iptables-legacy -t nat -A POSTROUTING -o br+ -j MASQUERADE")
    rules = "*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -o br0 -j MASQUERADE\nCOMMIT\n"
    machine.inside(f"printf '%s' '{rules}' | cat - /etc/ufw/before.rules >/root/r; cat /root/r >/etc/ufw/before.rules")
    write(machine, "/etc/iptables/rules.v4", rules)
    write(machine, "/etc/systemd/network/90-wg1.network", "[Match]\nName=wg1\n[Network]\nIPMasquerade=ipv4\n")
    write(machine, "/usr/local/sbin/nat-up", "iptables -t nat -A POSTROUTING -j MASQUERADE\n")
    machine.inside("virsh -q net-start default 2>&1; true")


def ufw_on(machine: Rehearsal) -> None:
    """ufw is on with rules of ours and of others, and an NFS server listens."""
    for rule in UFW_RULES:
        machine.inside(f"ufw {rule}")
    machine.inside("ufw --force enable; sed -i s/FORWARD_POLICY=.*/FORWARD_POLICY=ACCEPT/ /etc/default/ufw")
    machine.inside(
        "nc -lk 2049 >/dev/null 2>&1 </dev/null & nc -lk -s 127.0.0.1 5432 >/dev/null 2>&1 </dev/null & true"
    )


def capture(machine: Rehearsal, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for fact in FACTS:
        (directory / f"{fact.id}.out").write_bytes(raw(machine, fact.command))


def main(name: str, suite: str) -> None:
    machine = Rehearsal(name)
    machine.reset()
    capture(machine, FIXTURES / suite / "fresh")
    article(machine)
    capture(machine, FIXTURES / suite / "article")
    everywhere(machine)
    capture(machine, FIXTURES / suite / "everywhere")
    machine.reset()
    ufw_on(machine)
    capture(machine, FIXTURES / suite / "ufw")


if __name__ == "__main__":
    main(*sys.argv[1:])
