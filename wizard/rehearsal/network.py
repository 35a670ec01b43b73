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


def lan_end(nic: str) -> str:
    """The name, on the LAN's side, of the cable plugged into a NIC of the hypervisor."""
    return f"hyp-{nic}"
