"""The midway guests' disks: installed by hand, long ago, so nothing of cloud-init is left at work in them."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

from wizard.rehearsal import disk, network
from wizard.rehearsal.commands import run
from wizard.rehearsal.guests import Guest

ROOT_MIB = 3072
HOST_KEY_TYPES = ("ed25519", "ecdsa")

# As the article has it: by interface name, in the file that Ubuntu's installer writes.
NETPLAN = """\
network:
  ethernets:
    enp1s0:
      addresses:
      - {guest.address}/{prefix}
      nameservers:
        addresses:
        - 1.1.1.1
        - 1.0.0.1
        search: []
      routes:
      - to: default
        via: {router}
  version: 2
"""

INSTALL = """\
useradd --create-home --shell /bin/bash --groups adm,sudo {user}
install -d -m 700 -o {user} -g {user} /home/{user}/.ssh
printf '%s\\n' {key} > /home/{user}/.ssh/authorized_keys
chown {user}: /home/{user}/.ssh/authorized_keys
chmod 600 /home/{user}/.ssh/authorized_keys
echo '{user} ALL=(ALL) NOPASSWD:ALL' > /etc/sudoers.d/{user}
chmod 440 /etc/sudoers.d/{user}
echo {guest.name} > /etc/hostname
printf '127.0.0.1 localhost\\n127.0.1.1 {guest.name}\\n::1 localhost ip6-localhost ip6-loopback\\n' > /etc/hosts
systemd-id128 new > /etc/machine-id
for kind in {kinds}; do ssh-keygen -q -t "$kind" -N '' -C root@{guest.name} -f "/etc/ssh/ssh_host_${{kind}}_key"; done
touch /etc/cloud/cloud-init.disabled
umask 077
printf %s {netplan} > /etc/netplan/00-installer-config.yaml
"""


def script(guest: Guest, key: str) -> str:
    """What an installation leaves behind, as a sh script for the guest's own root tree."""
    netplan = NETPLAN.format(guest=guest, prefix=network.PREFIX, router=network.ROUTER)
    return INSTALL.format(
        guest=guest,
        user=network.USER,
        key=shlex.quote(key.strip()),
        kinds=" ".join(HOST_KEY_TYPES),
        netplan=shlex.quote(netplan),
    )


def install(tree: Path, guest: Guest, key: str, work: Path, image: Path) -> str:
    """Write the guest's disk, from a root tree, for the owner of a public key; gives its lines for known_hosts."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    root = work / "root"
    run(["cp", "--archive", str(tree), str(root)])
    run(["chroot", str(root), "sh", "-euc", script(guest, key)])
    known = [(root / f"etc/ssh/ssh_host_{kind}_key.pub").read_text().split()[:2] for kind in HOST_KEY_TYPES]
    disk.pack(root, work, image, ROOT_MIB)
    shutil.rmtree(work)
    return "".join(f"{guest.address},{guest.name} {kind} {word}\n" for kind, word in known)
