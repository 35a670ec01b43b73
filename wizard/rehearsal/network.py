"""The addresses and names of the LAN that every rehearsal plays on."""

from __future__ import annotations

BRIDGE = "lan0"
LAN = "192.168.182"
PREFIX = 24
ROUTER = "192.168.182.1"
ROUTER_MAC = "52:54:00:b6:00:01"
ROUTER_LINK_LOCAL = "fe80::1"
LAPTOP = "192.168.182.10"
HYPERVISOR = "192.168.182.100"
DHCP_RANGE = ("192.168.182.50", "192.168.182.99")

HOSTNAME = "hypervisor"
DOMAIN = "home.arpa"
USER = "owner"

MAIN_NIC = "enp4s0"
SPARE_NIC = "enp5s0"
NICS = (MAIN_NIC, SPARE_NIC)

NODE_NIC = "enp1s0"
ISOLATED_NIC = "enp2s0"
ISOLATED = "192.168.190"
ISOLATED_BRIDGE = "kube-isolated"
"""The bridge on the hypervisor that the second NICs of nodes are plugged into as soon as it is there."""

FILES_PORT = 8080


def lan_end(host: str, nic: str) -> str:
    """The name, on the LAN's side, of the cable plugged into a NIC of a machine."""
    return f"{'hyp' if host == HOSTNAME else host}-{nic}"


def isolated_cable(node: str) -> str:
    """The name of a cable from a node to the hypervisor: of the NIC there, and of the coupling between its ends."""
    return f"iso-{node}"
