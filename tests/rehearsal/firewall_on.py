"""The article's host, as far as its firewall goes, and pictures of what filters and rewrites packets there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.rehearsal import wireguard
from tests.rehearsal.wizard_on import WizardOn
from wizard.rehearsal import Rehearsal, midway_host

SECTION = """\
firewall:
  filter_bridged: false
  nat: restrict-source
  ufw:
    ssh_from: 192.168.182.0/24
    allow: [ALLOW]
    routes: [ROUTES]
"""
NFS = "{from: 192.168.182.0/24, port: 2049, proto: tcp, comment: NFS}"
BEFORE_RULES = "*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -o br0 -j MASQUERADE\nCOMMIT\n"
"""What people are told to put first in ufw's before.rules; `ufw reload` adds it once more."""
SAVED = """\
*nat
:POSTROUTING ACCEPT [0:0]
-A POSTROUTING -o br0 -j MASQUERADE
-A POSTROUTING ! -o wg0 -j MASQUERADE
COMMIT
"""
NFTABLES = """\
#!/usr/sbin/nft -f
table ip own
delete table ip own
table ip own {
\tchain post {
\t\ttype nat hook postrouting priority srcnat; policy accept;
\t\toifname "br0" counter masquerade
\t\toifname\t!=\t"wg0" masquerade
\t}
}
"""
SECOND = """\
PostUp\t=\tiptables -t nat -A POSTROUTING ! -o %i -j MASQUERADE
PostDown\t=\tiptables -t nat -D POSTROUTING ! -o %i -j MASQUERADE
"""
FILES = {"iptables-legacy": {"/etc/iptables/rules.v4": SAVED}, "nft": {"/etc/nftables.conf": NFTABLES}}
LOAD = {
    "iptables-nft": "systemctl restart wg-quick@wg0",
    "iptables-legacy": "iptables-legacy-restore </etc/iptables/rules.v4",
    "nft": "nft -f /etc/nftables.conf",
}
"""How the files of each family become rules: once more, and they are what they were."""


def articles_host(machine: Rehearsal, *, masquerading: bool = True) -> None:
    """br0 on the second card, bridged packets filtered, and wg0 that masquerades what leaves by br0."""
    machine.inside(midway_host.bridge())
    if masquerading:
        wireguard.bring_up(machine)
        machine.inside("until iptables -t nat -S POSTROUTING | grep -q MASQUERADE; do sleep 0.1; done")


def bad_rules(machine: Rehearsal, family: str) -> None:
    """The same fault in every family, in its own file: one rule names the bridge, another spares only the tunnel.

    Of the article's host, which has the first, wg0.conf stays, or its address alone: whose packets the rules are for.
    """
    if family == "iptables-nft":
        machine.inside(f"cat >>/etc/wireguard/wg0.conf <<'END'\n{SECOND}END")
    else:
        machine.inside("systemctl disable -q --now wg-quick@wg0; sed -i '/^Post/d' /etc/wireguard/wg0.conf")
        for path, text in FILES[family].items():
            machine.inside(f"mkdir -p {path.rpartition('/')[0]}; cat >{path} <<'END'\n{text}END")
    machine.inside(LOAD[family])


def before_rules(machine: Rehearsal) -> None:
    """ufw's own file masquerades as well, once ufw is on."""
    file = "/etc/ufw/before.rules"
    machine.inside(f"(cat; cat {file}) >/root/rules <<'END'\n{BEFORE_RULES}END\ncat /root/rules >{file}")


def nftables_of_libvirt(machine: Rehearsal) -> None:
    """libvirt keeps its rules in a table of its own, where they cannot overrule those of ufw (DOMAIN S10).

    It also wants a tc action for the checksums of DHCP, which the kernel here may lack, and which has no part in this.
    """
    machine.inside(
        'printf \'#!/bin/sh\ncase "$*" in *" csum "*) exit 0 ;; esac\nexec /usr/sbin/tc "$@"\n\' >/usr/local/sbin/tc\n'
        "chmod 755 /usr/local/sbin/tc; echo 'firewall_backend = \"nftables\"' >/etc/libvirt/network.conf\n"
        "systemctl restart libvirtd"
    )


class FirewallOn(WizardOn):
    """The wizard with a section `firewall`."""

    def __init__(self, machine: Rehearsal, directory: Path) -> None:
        super().__init__(machine, directory)
        self.allow(NFS)

    def allow(self, *rules: str, routes: Sequence[str] = ()) -> None:
        """What ufw lets in and through besides SSH and the bridges."""
        text = re.sub(r"^firewall:\n(  .*\n)*", "", self.cluster_file.read_text(), flags=re.MULTILINE)
        section = SECTION.replace("ALLOW", ", ".join(rules)).replace("ROUTES", ", ".join(routes))
        self.cluster_file.write_text(text + section)


def picture(machine: Rehearsal) -> dict[str, Any]:
    """Files, live rules of all families without counters, and sysctls; empty chains and tables do not count."""
    legacy = "".join(
        f"if grep -qs . /proc/net/{v}_tables_names; then {v}tables-legacy-save; fi; " for v in ("ip", "ip6")
    )
    sysctls = machine.inside("sysctl -a --pattern 'bridge-nf-call|ip_forward$|accept_redirects|log_martians|icmp_ig'")
    files = machine.inside("find /etc -type f ! -path '/etc/libvirt/*' | sort | xargs -d '\\n' sha256sum")
    saved = machine.inside(f"iptables-nft-save; ip6tables-nft-save; {legacy}")
    rules = [line for line in saved.splitlines() if line.startswith("-A") or re.match(r":\w+ DROP", line)]
    native = machine.inside("nft -s list ruleset").splitlines()
    # Asking iptables-legacy for a table makes it (DOMAIN S11).
    tables = machine.inside("cat /proc/net/ip_tables_names /proc/net/ip6_tables_names").split()
    return {
        "files": files.splitlines(),
        "sysctls": sorted(sysctls.splitlines()),
        "rules": rules,
        "legacy": tables,
        "nft": [line for line in native if "masquerade" in line or "policy drop" in line],
        "ufw": machine.inside("ufw status | head -n 1; ufw show added"),
    }


def values(machine: Rehearsal) -> str:
    """The three keys, as they are now."""
    return "".join(machine.inside("cat /proc/sys/net/bridge/bridge-nf-call-*").split())


def reaches(machine: Rehearsal, port: int, address: str = "192.168.182.100") -> bool:
    """From the LAN, over TCP."""
    probe = f"timeout 2 bash -c '</dev/tcp/{address}/{port}'"
    return machine.run_on_lan(["sh", "-c", probe], capture_output=True).returncode == 0


def listen(machine: Rehearsal, *ports: int) -> None:
    for port in ports:
        machine.inside(f"systemd-run -q --collect --unit=listen-{port} nc -lk {port}")
