"""What a node's root tree is made of: a Debian server as its cloud image leaves it, without anything of Kubernetes."""

from __future__ import annotations

from dataclasses import dataclass

from wizard.rehearsal.network import USER
from wizard.rehearsal.recipe import ARCHIVE, LOCAL_ARCHIVE, MASKED_UNITS, digest_of, mmdebstrap

PACKAGES = (
    *("systemd", "systemd-sysv", "libpam-systemd", "dbus", "openssh-server", "sudo"),
    *("iproute2", "iputils-ping", "netbase", "procps", "kmod"),
    *("ca-certificates", "curl", "gnupg", "python3-minimal"),
)

# At hand for apt, as they are in Debian's archive; what comes from Kubernetes's own repository does not lie here.
AT_HAND = ("containerd", "conntrack", "ebtables", "ethtool", "iptables", "socat", "ufw")

FINISH = f"""\
export DEBIAN_FRONTEND=noninteractive
useradd --create-home --shell /bin/bash --groups adm,sudo {USER}
systemctl enable systemd-networkd.service systemd-networkd-wait-online.service
systemctl mask {" ".join(MASKED_UNITS)}
systemctl disable ssh.socket 2>/dev/null || true
systemctl enable ssh.service
rm -f /etc/ssh/ssh_host_*
mkdir -p {ARCHIVE}
apt-get -qq -y install --no-install-recommends --download-only -o Dir::Cache::archives={ARCHIVE} {" ".join(AT_HAND)}
rm -rf {ARCHIVE}/lock {ARCHIVE}/partial
"""


@dataclass(frozen=True)
class NodeRecipe:
    """A Debian suite as a machine that can become a node."""

    suite: str = "bookworm"

    @property
    def title(self) -> str:
        return f"a Debian {self.suite} server that can become a node"

    @property
    def name(self) -> str:
        return f"{self.suite}-node-{digest_of(self.command('TREE'))}"

    def command(self, directory: str) -> list[str]:
        """The mmdebstrap command that makes the tree in `directory`, from Debian's own archive."""
        return mmdebstrap(self.suite, PACKAGES, FINISH + LOCAL_ARCHIVE, directory)
