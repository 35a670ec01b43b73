"""Is a host the machine on which the wizard itself runs?"""

from __future__ import annotations

import ipaddress


def is_here(address: str) -> bool:
    """By the address that it was reached at. Over loopback, a connection proves nothing and a restart ends us."""
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback
