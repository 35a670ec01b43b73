"""Kubernetes's own packages on a node: which of kubelet, kubeadm and kubectl are installed, and which are held."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from wizard.model import Fact, FactError, Output

PACKAGES = ("kubelet", "kubeadm", "kubectl")
TOOLS = ("ca-certificates", "curl", "gpg")
"""By which the repository's key is fetched; and curl asks the API before a join, openssl, which ca-certificates needs,
whose CA it has."""
KEYRING = "/etc/apt/keyrings/homek8s-kubernetes.gpg"
SOURCES = "/etc/apt/sources.list.d"
LIST = f"{SOURCES}/homek8s-kubernetes.list"


@dataclass(frozen=True)
class KubePackages:
    """`versions` as the programs themselves say, "1.36.4"; one that is not there is missing."""

    versions: Mapping[str, str] = field(default_factory=dict)
    packaged: tuple[str, ...] = ()
    """Those that dpkg has installed."""
    held: tuple[str, ...] = ()
    tools: tuple[str, ...] = TOOLS
    """Those of TOOLS that are installed."""
    service: bool = False
    """There is a kubelet.service."""
    enabled: bool = False
    """It starts with the machine."""
    apt: bool = True
    interrupted: bool = False
    """An installation was cut off half-way."""
    sources: tuple[tuple[str, str], ...] = ()
    """Files in which apt is told of repositories, each with an address in it that ends in a slash."""

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(name for name in PACKAGES if name not in self.versions)


def minor(version: str) -> tuple[int, int]:
    """ "v1.36.4" → (1, 36). Raises ValueError."""
    found = re.match(r"v?(\d+)\.(\d+)", version)
    if not found:
        raise ValueError(f"no version: {version!r}")
    return int(found[1]), int(found[2])


def _packages(output: Output) -> KubePackages:
    rows = [line.split("\t") for line in output.text.splitlines()]
    if ["end"] not in rows:
        raise FactError(output.complaint or "nothing was said")
    all_of = {word: tuple(row[1] for row in rows if row[0] == word and len(row) > 1) for word in ("dpkg", "held")}
    words = {row[0] for row in rows if len(row) == 1}
    return KubePackages(
        versions={row[1]: row[2].removeprefix("v") for row in rows if row[0] == "program" and row[2:] and row[2]},
        packaged=tuple(name for name in all_of["dpkg"] if name in PACKAGES),
        held=all_of["held"],
        tools=tuple(name for name in all_of["dpkg"] if name in TOOLS),
        service="service" in words,
        enabled="enabled" in words,
        apt="apt" in words,
        interrupted="interrupted" in words,
        sources=tuple((row[1], f"{row[2].rstrip('/')}/") for row in rows if row[0] == "source"),
    )


KUBE_PACKAGES = Fact(
    "kube-packages",
    rf"""first() {{ grep -o 'v1\.[0-9][0-9]*\.[0-9][0-9]*' | head -n 1; }}
printf 'program\tkubelet\t%s\n' "$(kubelet --version 2>/dev/null | first)"
printf 'program\tkubeadm\t%s\n' "$(kubeadm version -o short 2>/dev/null | first)"
printf 'program\tkubectl\t%s\n' "$(kubectl version --client 2>/dev/null | first)"
if command -v apt-get >/dev/null; then
  echo apt
  dpkg-query -W -f='dpkg\t${{Package}}\t${{db:Status-Status}}\n' {" ".join((*PACKAGES, *TOOLS))} 2>/dev/null |
    sed -n 's/\tinstalled$//p'
  apt-mark showhold 2>/dev/null | sed 's/^/held\t/'
  grep -sE '^[^#]*https?://' {SOURCES}/*.list {SOURCES}/*.sources /dev/null |
    sed -nE 's#^([^:]*):.*[[:space:]](https?://[^[:space:]]*).*#source\t\1\t\2#p'
  [ -n "$(ls /var/lib/dpkg/updates 2>/dev/null)$(dpkg --audit)" ] && echo interrupted
fi
[ "$(systemctl show -p LoadState --value kubelet.service)" = loaded ] && echo service
systemctl is-enabled kubelet.service >/dev/null 2>&1 && echo enabled
echo end""",
    _packages,
    limit=30,
)
