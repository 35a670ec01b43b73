"""What a hypervisor's root tree is made of."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from wizard.facts.packages import HYPERVISOR_PACKAGES
from wizard.rehearsal.network import USER

SUITES = ("bookworm", "trixie")

# A plain Debian server as its installer leaves it, with ufw, WireGuard and BIRD at hand.
SERVER_PACKAGES = (
    "systemd",
    "systemd-sysv",
    "libpam-systemd",
    "dbus",
    "openssh-server",
    "sudo",
    "iproute2",
    "iputils-ping",
    "iptables",
    "nftables",
    "netbase",
    "ufw",
    "kmod",
    "procps",
    "python3",
    "wireguard-tools",
    "wireguard-go",
    "bird2",
)

# What a hypervisor works without, though many have it: installed on a full one, at hand for apt on a bare one.
USUAL_PACKAGES = ("curl", "fio", "genisoimage", "netcat-openbsd")

# They would only slow down a boot, or fail for lack of a console, a disk or the Internet.
MASKED_UNITS = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "console-getty.service",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty@tty1.service",
    "logrotate.timer",
    "man-db.timer",
    "systemd-pstore.service",
)

ARCHIVE = "/srv/packages"

# libvirtd in a container can neither confine nor account for its guests.
QEMU_CONF = """\
user = "root"
group = "root"
security_driver = "none"
namespaces = [ ]
cgroup_controllers = [ ]
"""


def libvirt_guests(timeout: int) -> str:
    """/etc/default/libvirt-guests: guests are asked to shut down, and killed after so many seconds."""
    return f"""\
ON_BOOT=ignore
ON_SHUTDOWN=shutdown
PARALLEL_SHUTDOWN=8
SHUTDOWN_TIMEOUT={timeout}
"""


# Disk-less guests never react to a shutdown request: a reboot must not wait the default five minutes for them.
LIBVIRT_GUESTS = libvirt_guests(10)

# Without it both stop at once, and now and then virsh waits for a libvirtd that waits for nobody: 90 s per reboot.
GUESTS_STOP_FIRST = """\
[Unit]
After=libvirtd.service
"""

FINISH = f"""\
export DEBIAN_FRONTEND=noninteractive
useradd --create-home --shell /bin/bash --groups adm,sudo {USER}
systemctl enable systemd-networkd.service systemd-networkd-wait-online.service
systemctl mask {" ".join(MASKED_UNITS)}
systemctl disable bird.service ssh.socket 2>/dev/null || true
systemctl enable ssh.service
rm -f /etc/ssh/ssh_host_*
mkdir -p /etc/libvirt {ARCHIVE}
cat > /etc/libvirt/qemu.conf <<'END'
{QEMU_CONF}END
cat > /etc/default/libvirt-guests <<'END'
{LIBVIRT_GUESTS}END
mkdir -p /etc/systemd/system/libvirt-guests.service.d
cat > /etc/systemd/system/libvirt-guests.service.d/order.conf <<'END'
{GUESTS_STOP_FIRST}END
echo force-confold > /etc/dpkg/dpkg.cfg.d/keep-configuration
"""

DOWNLOAD = f"""\
apt-get -qq -y install --no-install-recommends --download-only \
  -o Dir::Cache::archives={ARCHIVE} {" ".join((*HYPERVISOR_PACKAGES, *USUAL_PACKAGES))}
rm -rf {ARCHIVE}/lock {ARCHIVE}/partial
"""

# apt finds its packages in a directory of the machine itself, so update and install work without the Internet.
LOCAL_ARCHIVE = f"""\
cd {ARCHIVE}
for deb in *.deb; do
  [ -e "$deb" ] || continue
  dpkg-deb --field "$deb"
  printf 'Filename: ./%s\\nSize: %s\\nSHA256: %s\\n\\n' \
    "$deb" "$(stat -c %s "$deb")" "$(sha256sum "$deb" | cut -d' ' -f1)"
done > Packages
rm -rf /etc/apt/sources.list.d/* /var/lib/apt/lists/*
echo 'deb [trusted=yes] file:{ARCHIVE} ./' > /etc/apt/sources.list
apt-get -qq clean
apt-get -qq update
touch /etc/.updated /var/.updated
"""


def digest_of(made_of: Iterable[str]) -> str:
    """In the name of what is cached: another as soon as anything that it is made of is another."""
    return hashlib.sha256("\0".join(made_of).encode()).hexdigest()[:12]


def mmdebstrap(
    suite: str, packages: Iterable[str], finish: str, directory: str, *, lists: bool = True, options: Iterable[str] = ()
) -> list[str]:
    """The mmdebstrap command that makes a root tree in `directory`, from Debian's own archive.

    `finish` is sh, run in the tree at the end; `lists` says whether apt's lists stay for that.
    """
    return [
        "mmdebstrap",
        "--mode=root",
        "--format=directory",
        "--variant=minbase",
        *(["--skip=cleanup/apt"] if lists else []),
        f"--include={','.join(packages)}",
        *options,
        f'--customize-hook=chroot "$1" sh -euc {shlex.quote(finish)}',
        suite,
        directory,
    ]


@dataclass(frozen=True)
class Recipe:
    """A Debian suite, and whether the machine is bare: without libvirt and QEMU, but able to install them."""

    suite: str
    bare: bool

    @property
    def flavour(self) -> str:
        return "bare" if self.bare else "full"

    @property
    def title(self) -> str:
        return f"a Debian {self.suite} hypervisor ({self.flavour})"

    @property
    def digest(self) -> str:
        """Changes with anything that changes the tree, except what Debian publishes."""
        return digest_of(self.command("TREE"))

    @property
    def name(self) -> str:
        return f"{self.suite}-{self.flavour}-{self.digest}"

    def command(self, directory: str) -> list[str]:
        """The mmdebstrap command that makes the tree in `directory`, from Debian's own archive."""
        packages = SERVER_PACKAGES if self.bare else (*SERVER_PACKAGES, *HYPERVISOR_PACKAGES, *USUAL_PACKAGES)
        finish = FINISH + (DOWNLOAD if self.bare else "") + LOCAL_ARCHIVE
        return mmdebstrap(self.suite, packages, finish, directory)
