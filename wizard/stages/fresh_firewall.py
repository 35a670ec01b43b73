"""What a freshly installed host would say to the stage `firewall`, and how its owner looks for themselves."""

from __future__ import annotations

from typing import Any

from wizard.cluster import Cluster
from wizard.facts.access import SSHD, Sshd
from wizard.facts.bridged import BRIDGED, KEYS, Bridged
from wizard.facts.nat import NAT_LIVE
from wizard.facts.nat_files import NAT_FILES, NatFiles
from wizard.facts.network import LINKS, SSH_PATH, Links
from wizard.facts.sockets import SOCKETS
from wizard.facts.ufw import UFW, Ufw
from wizard.facts.units import FIREWALL_UNITS, Unit
from wizard.facts.wireguard import WIREGUARD, Wireguard
from wizard.model import AnyFact
from wizard.stages.firewall_bridged import MODULES, OWN_FILES, SYSCTL, UDEV
from wizard.stages.fresh import Values, on_hypervisor


def bridged(cluster: Cluster) -> Values:
    """Perhaps something has loaded br_netfilter, which begins with 1."""
    nothing = dict.fromkeys((SYSCTL, UDEV, MODULES))
    return on_hypervisor({BRIDGED: Bridged(dict.fromkeys(KEYS, 1)), OWN_FILES: nothing, FIREWALL_UNITS: {}})


def ufw(cluster: Cluster) -> Values:
    """Installed, off, and without a rule; sshd listens where it usually does."""
    facts: dict[AnyFact[Any], object] = {
        UFW: Ufw(installed=True),
        SSH_PATH: None,
        SSHD: Sshd((22,), (), 10, False),
        SOCKETS: (),
        FIREWALL_UNITS: {"ufw.service": Unit("loaded", "active", "enabled")},
        LINKS: Links(()),
        WIREGUARD: Wireguard(),
    }
    return on_hypervisor(facts)


def nat(cluster: Cluster) -> Values:
    """No rule that translates addresses, and no WireGuard."""
    return on_hypervisor({LINKS: Links(()), NAT_LIVE: (), NAT_FILES: NatFiles(), WIREGUARD: Wireguard()})


def look_at_bridged(cluster: Cluster, target: str) -> tuple[str, ...]:
    return ("sysctl -a --pattern bridge-nf-call", "cat /etc/sysctl.d/zz-homek8s.conf") if cluster.firewall else ()


def look_at_ufw(cluster: Cluster, target: str) -> tuple[str, ...]:
    asked = cluster.firewall is not None and cluster.firewall.ufw is not None
    return ("ufw status verbose", "ufw show added", "ss -tulnp") if asked else ()


def look_at_nat(cluster: Cluster, target: str) -> tuple[str, ...]:
    return ("iptables -t nat -S POSTROUTING", "nft list ruleset") if cluster.firewall else ()
