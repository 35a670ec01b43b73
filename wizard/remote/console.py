"""A machine's SSH host keys as its console shows them: cloud-init prints them at the first boot.

So a guest that we made is known before the first login, through the hypervisor, which is known already (DESIGN, command
line). Source: cloud-init, module "SSH host keys to console": lines `TYPE BASE64 COMMENT` between two marks.
"""

from __future__ import annotations

import re

from wizard.remote.known_hosts import PublicKey

BEGIN, END = "-----BEGIN SSH HOST KEY KEYS-----", "-----END SSH HOST KEY KEYS-----"
PREFERRED = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")


def host_key(text: str) -> PublicKey | None:
    """The key of the last complete block in `text`, of the type preferred; None without one.

    The kernel may write into the block and before its lines, as all share the console.
    """
    block = text.rpartition(END)[0].rpartition(BEGIN)
    found = {}
    for line in block[2].splitlines() if block[1] else ():
        if match := re.search(r"((?:ssh|ecdsa)-[a-z0-9-]+) (AAAA[A-Za-z0-9+/=]+)", line):
            try:
                key = PublicKey.from_text(match[0])
            except ValueError:
                continue
            found[key.kind] = key
    return next((found[kind] for kind in PREFERRED if kind in found), None)
