"""What of all that was done comes back by itself after a restart, told from the files and commands of the scripts."""

from __future__ import annotations

import re
from collections.abc import Iterable

from wizard.runbook.reading import Body, Command, File

LASTING = (
    (r"^/etc/systemd/network/", "systemd-networkd reads its files in `/etc/systemd/network` at every start."),
    (r"^/etc/netplan/", "netplan turns its files in `/etc/netplan` into the network's settings at every start."),
    (r"^/etc/sysctl\.d/", "The kernel settings in `/etc/sysctl.d` are set by systemd-sysctl."),
    (r"^/etc/modules-load\.d/", "The kernel modules named in `/etc/modules-load.d` are loaded."),
    (r"^/etc/systemd/system/", "systemd reads our units and drop-ins in `/etc/systemd/system`."),
    (r"\bnet-autostart\b", "libvirt starts the networks that are marked with `virsh net-autostart`."),
    (
        r"\bvirsh\b.*\bautostart\b(?<!net-autostart)",
        "libvirt starts the guests that are marked with `virsh autostart`.",
    ),
    (r"\bufw\b.*\benable\b", "ufw starts with the machine, with all its rules."),
    (r"\bsystemctl enable\b", "The services that were switched on with `systemctl enable` start."),
)
"""(pattern over a written file's path or a command, what then comes back)."""


def comes_back(bodies: Iterable[Body]) -> tuple[str, ...]:
    said = [text for body in bodies for deed in body.main for text in _texts(deed)]
    return tuple(sentence for pattern, sentence in LASTING if any(re.search(pattern, each) for each in said))


def _texts(deed: object) -> tuple[str, ...]:
    match deed:
        case File(path=path):
            return (path,)
        case Command(line=line):
            return (line,)
        case _:
            return ()
