"""Debian packages: what is installed, what could be, and whether the package system is in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from wizard.model import Fact, FactError, Output

HYPERVISOR_PACKAGES: Mapping[str, str] = {
    "libvirt-daemon-system": "libvirt, which starts and stops the guests and their networks",
    "libvirt-clients": "virsh, by which libvirt is told what to do",
    "virtinst": "virt-install, which makes guests",
    "qemu-system-x86": "QEMU, in which the guests run",
    "qemu-utils": "qemu-img, which makes their disks",
    "ovmf": "the firmware (UEFI) that starts them",
    "dnsmasq-base": "addresses and names in libvirt's own networks",
    "iptables": "by which libvirt keeps its networks apart",
    "conntrack": "to make connections follow a changed NAT rule at once",
    "iputils-arping": "to ask on the LAN whether an address is taken",
}
"""What a hypervisor needs, each with what for, under the names of Debian 12 and 13 and Ubuntu 22.04 and later.

Not here: genisoimage (virtinst brings xorriso), netcat (libvirt brings virt-ssh-helper), fio (see `facts.storage`).
"""

PROGRAMS = ("virsh", "virt-install", "qemu-system-x86_64", "qemu-img", "dnsmasq", "iptables", "conntrack", "arping")
"""What those packages bring, for machines that are no Debian or Ubuntu."""


@dataclass(frozen=True)
class Packages:
    """The packages of `HYPERVISOR_PACKAGES`: `status` by dpkg-query(1), "" for one that dpkg does not know."""

    status: Mapping[str, str] = field(default_factory=dict)
    candidate: Mapping[str, str] = field(default_factory=dict)
    """The version that apt would install; a package without one is not in apt's lists."""
    lists_age: int | None = None
    """Seconds since apt last looked for news; None: never."""
    interrupted: bool = False
    """An installation was cut off half-way; dpkg refuses work until it is finished (`dpkg --configure -a`)."""
    broken: str = ""
    """What `apt-get check` complains about, empty when it does not."""
    programs: tuple[str, ...] = ()
    """Those of `PROGRAMS` that are there."""
    debian: bool = True
    """Are dpkg and apt there at all?"""

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(name for name in HYPERVISOR_PACKAGES if self.status.get(name) != "installed")


def _packages(output: Output) -> Packages:
    rows = [line.split("\t") for line in output.text.splitlines()]
    if ["end"] not in rows:
        raise FactError(output.complaint or "dpkg and apt did not answer")
    found: dict[str, list[list[str]]] = {}
    for key, *values in rows:
        found.setdefault(key, []).append(values)
    return Packages(
        status={row[0]: row[1] for row in found.get("status", [])},
        candidate={name: version for name, version in found.get("candidate", []) if version != "(none)"},
        lists_age=next((int(age) for [age] in found.get("age", []) if age), None),
        interrupted="interrupted" in found,
        broken=" ".join(line for [line] in found.get("broken", [])),
        programs=tuple(name for [name] in found.get("program", [])),
        debian="foreign" not in found,
    )


_NAMES = " ".join(HYPERVISOR_PACKAGES)

PACKAGES = Fact(
    "packages",
    f"""export LC_ALL=C
for p in {" ".join(PROGRAMS)}; do command -v $p >/dev/null && printf 'program\\t%s\\n' $p; done
if command -v dpkg-query >/dev/null && command -v apt-get >/dev/null; then
  dpkg-query -W -f='status\\t${{Package}}\\t${{db:Status-Status}}\\n' {_NAMES} 2>/dev/null
  apt-cache policy {_NAMES} |
    awk '/^[^ ]/ {{ p = $1; sub(":", "", p) }} /^  Candidate:/ {{ print "candidate\\t" p "\\t" $2 }}'
  updated=$(stat -c %Z /var/lib/apt/lists/partial /var/lib/apt/lists/*Packages* 2>/dev/null | sort -n | tail -n 1)
  ls /var/lib/apt/lists | grep -q Packages && printf 'age\\t%s\\n' $(($(date +%s) - updated))
  [ -n "$(ls /var/lib/dpkg/updates 2>/dev/null)$(dpkg --audit)" ] && echo interrupted
  apt-get -qq -o Debug::NoLocking=true check 2>&1 >/dev/null |
    sed 's/^[EW]: //; /^[[:space:]]*$/d' | tr '\\t' ' ' | sed 's/^/broken\\t/'
else
  echo foreign
fi
echo end""",
    _packages,
    limit=30,
)
