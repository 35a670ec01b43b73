"""The article's host, as far as its firewall goes, and pictures of what filters and rewrites packets there."""

from __future__ import annotations

import re
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
    allow:
      - {from: 192.168.182.0/24, port: 2049, proto: tcp, comment: NFS}
"""
RULES = {
    "iptables-nft": "iptables-nft -t nat -A POSTROUTING -o br0 -j MASQUERADE",
    "iptables-legacy": "iptables-legacy -t nat -A POSTROUTING -o br0 -j MASQUERADE",
    "nft": "nft add table ip own; nft 'add chain ip own post { type nat hook postrouting priority srcnat; }'; "
    "nft add rule ip own post oifname br0 counter masquerade",
}
"""The same fault in every family."""


def articles_host(machine: Rehearsal, *, masquerading: bool = True) -> None:
    """br0 on the second card, bridged packets filtered, and wg0 that masquerades what leaves by br0."""
    machine.inside(midway_host.bridge())
    if masquerading:
        wireguard.bring_up(machine)
        machine.inside("until iptables -t nat -S POSTROUTING | grep -q MASQUERADE; do sleep 0.1; done")


def bad_rule(machine: Rehearsal, family: str) -> None:
    machine.inside(RULES[family])


class FirewallOn(WizardOn):
    """The wizard with a section `firewall`."""

    def __init__(self, machine: Rehearsal, directory: Path, section: str = SECTION) -> None:
        super().__init__(machine, directory)
        text = re.sub(r"^firewall:\n(  .*\n)*", "", self.cluster_file.read_text(), flags=re.MULTILINE)
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
    return {
        "files": files.splitlines(),
        "sysctls": sorted(sysctls.splitlines()),
        "rules": rules,
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
