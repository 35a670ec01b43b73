"""The workshop: a throwaway Debian with a Go compiler, in which all that Kubernetes nodes need is made from source."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wizard.rehearsal import tree
from wizard.rehearsal.commands import followed
from wizard.rehearsal.once import Say
from wizard.rehearsal.recipe import digest_of, mmdebstrap

# The first lines compile and pack; the last are what images and packages are made from.
PACKAGES = (
    *("golang-go", "golang-github-modern-go-reflect2-dev", "gcc", "libc6-dev"),
    *("dpkg-dev", "apt-utils", "gpg", "gpg-agent"),
    *("ca-certificates", "libc-bin"),
    *(
        "etcd-server",
        "etcd-client",
        "containernetworking-plugins",
        "iptables",
        "conntrack",
        "dnsmasq-base",
        "bird2",
        "busybox-static",
    ),
)

SOURCE = "/srv/source"

FETCH = f"""\
echo 'deb-src http://deb.debian.org/debian bookworm main' > /etc/apt/sources.list.d/source.list
apt-get -qq update
mkdir {SOURCE}
cd {SOURCE}
apt-get -qq source --download-only kubernetes
"""

# A tree is shared and stays as it is: what is done here lies over it, and only what was put beside it remains.
INSIDE = """\
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
mount -t proc proc "$2/root/proc"
over=$2 script=$3
shift 3
while [ $# -gt 0 ]; do
  mkdir -p "$over/root$1"
  mount --bind "$2" "$over/root$1"
  shift 2
done
exec env --ignore-environment PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
  chroot "$over/root" sh -euc "$script"
"""

# With us dies the first process of a namespace of processes, and so all of them.
TIED_TO_US = (
    *("setpriv", "--pdeathsig", "KILL", "--"),
    *("unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child", "--"),
    *("nice", "-n", "15", "sh", "-euc", INSIDE, "sh"),
)


@dataclass(frozen=True)
class Workshop:
    """The tree with the tools, and Debian's source of Kubernetes in it."""

    @property
    def title(self) -> str:
        return "the workshop for Kubernetes (Go compiler, sources)"

    @property
    def name(self) -> str:
        return f"bookworm-workshop-{digest_of(self.command('TREE'))}"

    def command(self, directory: str) -> list[str]:
        """The mmdebstrap command that makes the tree in `directory`, from Debian's own archive."""
        return mmdebstrap("bookworm", PACKAGES, FETCH, directory)


WORKSHOP = Workshop()


def work(
    script: str, beside: Mapping[str, Path], scratch: Path, lock: int, say: Say, tools: tree.Recipe = WORKSHOP
) -> None:
    """Run a sh script as root in the workshop, with directories of ours `beside` its own (path inside: ours).

    With other `tools` it runs over their tree instead. `scratch` holds what the script leaves elsewhere, and is removed
    at the end. Lines beginning with "I: " are shown.
    Raise RehearsalError with the script's last lines when it fails.
    """
    built = tree.ensure(tools, say)
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        for name in ("upper", "work", "root"):
            (scratch / name).mkdir(parents=True)
        mounts = [word for inside, ours in beside.items() for word in (inside, str(ours))]
        followed([*TIED_TO_US, str(built), str(scratch), script, *mounts], "workshop", lock, say)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
