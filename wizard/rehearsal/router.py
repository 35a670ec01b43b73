"""The router's IPv6 side: it answers that it offers nothing (RFC 4861, lifetime 0, no prefix).

Without an answer systemd-networkd calls a link configured only after 12 s, and `network-online.target` with it.
"""

from __future__ import annotations

import socket
import struct
import sys

SOLICITATION, ADVERTISEMENT = 133, 134
ICMP6_FILTER = 1  # linux/icmpv6.h
ALL_NODES, ALL_ROUTERS = "ff02::1", "ff02::2"
OFFERS_NOTHING = struct.pack("!BBHBBHII", ADVERTISEMENT, 0, 0, 64, 0, 0, 0, 0)


def main(interface: str) -> None:
    """Answer on this interface until killed."""
    index = socket.if_nametoindex(interface)
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as link:
        _only(link, SOLICITATION)
        group = socket.inet_pton(socket.AF_INET6, ALL_ROUTERS) + struct.pack("@I", index)
        link.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group)
        # Anything less would have come from beyond the LAN, and is ignored.
        link.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        while True:
            link.recv(1500)
            link.sendto(OFFERS_NOTHING, (ALL_NODES, 0, 0, index))


def _only(link: socket.socket, kind: int) -> None:
    """A filter has one bit for each type; those that are set are kept from us."""
    blocked = [0xFFFFFFFF] * 8
    blocked[kind // 32] &= ~(1 << kind % 32)
    link.setsockopt(socket.IPPROTO_ICMPV6, ICMP6_FILTER, struct.pack("@8I", *blocked))


if __name__ == "__main__":
    main(sys.argv[1])
