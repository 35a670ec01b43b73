"""What a new guest is told at its first boot: cloud-init's NoCloud seed (DOMAIN S3). No secrets are in it.

The NIC on the isolated network is left out: `guests.address` is the only writer of its address (DOMAIN S12), and a
second definition of the same NIC would stand in its way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

LAN = "00-lan"
"""netplan's files for networkd are named so, and the first that fits a link counts: Debian's images have `all-en`."""
NETWORK_OFF = "/etc/cloud/cloud.cfg.d/99-homek8s-net.cfg"
"""Keeps cloud-init from writing network files again after the first boot (cloud-init, "Network configuration")."""

AGENT = (
    "command -v qemu-ga >/dev/null || timeout 300 sh -c '"
    "if command -v apt-get >/dev/null; then apt-get -q -o Acquire::Retries=0 -o Acquire::http::Timeout=10 update && "
    "DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends qemu-guest-agent; "
    "else dnf -q -y install qemu-guest-agent; fi' || echo no guest agent could be installed, which is not needed"
)
"""Not in `packages:`, where a guest without a way to the Internet would make cloud-init fail."""
START_AGENT = "systemctl start qemu-guest-agent || true"
SWAP = r"swapoff -a; sed -i '/^[^#].*\sswap\s/s/^/#/' /etc/fstab"


@dataclass(frozen=True)
class Seed:
    """What is told: who may log in with which keys, and the one NIC that is set up, by its MAC."""

    name: str
    instance: str
    user: str
    keys: tuple[str, ...]
    mac: str
    address: str
    gateway: str = ""
    nameservers: tuple[str, ...] = ()

    @property
    def user_data(self) -> str:
        """cloud-config; the SSH host keys go to the console by default, where we read them."""
        root = self.user == "root"
        account: dict[str, Any] = {"name": self.user, "lock_passwd": True, "ssh_authorized_keys": list(self.keys)}
        if not root:
            account |= {"shell": "/bin/bash", "sudo": "ALL=(ALL) NOPASSWD:ALL"}
        said: dict[str, Any] = {
            "hostname": self.name,
            "manage_etc_hosts": "localhost",
            "disable_root": not root,
            "ssh_pwauth": False,
            "users": [account],
            "package_update": False,
            "package_upgrade": False,
            "write_files": [{"path": NETWORK_OFF, "content": "network: {config: disabled}\n"}],
            "runcmd": [SWAP, AGENT, START_AGENT],
        }
        return "#cloud-config\n" + _yaml(said)

    @property
    def meta_data(self) -> str:
        return _yaml({"instance-id": self.instance, "local-hostname": self.name})

    @property
    def network_config(self) -> str:
        """Version 2. The default route as a prefix: older versions of cloud-init do not know the word `default`."""
        nic: dict[str, Any] = {"match": {"macaddress": self.mac}, "addresses": [self.address]}
        if self.gateway:
            nic["routes"] = [{"to": "::/0" if ":" in self.gateway else "0.0.0.0/0", "via": self.gateway}]
        if self.nameservers:
            nic["nameservers"] = {"addresses": list(self.nameservers)}
        return _yaml({"version": 2, "ethernets": {LAN: nic}})

    @property
    def files(self) -> Mapping[str, str]:
        """By the names that NoCloud looks for."""
        return {"user-data": self.user_data, "meta-data": self.meta_data, "network-config": self.network_config}


def _yaml(value: object) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=1000)
