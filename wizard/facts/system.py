"""What machine this is: who we are on it, its release, init, processor, memory, clock and name."""

from __future__ import annotations

import re
from dataclasses import dataclass

from wizard.model import Fact, FactError, Output

KIB = 1024


def pairs(output: Output) -> dict[str, str]:
    """Lines of `key=value`, quotes around a value removed; the last one of a key counts."""
    found = (line.partition("=") for line in output.text.splitlines() if "=" in line)
    return {key.strip(): value.strip().strip("\"'") for key, _, value in found}


@dataclass(frozen=True)
class Release:
    """os-release(5) and `uname`: `id` "debian", `version` "12" (empty for a rolling one), `name` for people."""

    id: str
    version: str
    name: str
    kernel: str
    arch: str
    """As `uname -m` names it: x86_64, aarch64."""


def _release(output: Output) -> Release:
    found = pairs(output)
    return Release(
        id=found.get("ID", "linux"),
        version=found.get("VERSION_ID", ""),
        name=found.get("PRETTY_NAME") or found.get("ID", "an unnamed Linux"),
        kernel=found["HK_KERNEL"],
        arch=found["HK_ARCH"],
    )


RELEASE = Fact(
    "release",
    "cat /etc/os-release 2>/dev/null; echo; echo HK_KERNEL=$(uname -r); echo HK_ARCH=$(uname -m)",
    _release,
)


@dataclass(frozen=True)
class Init:
    """`uid` 0 is root; `name` is process 1 ("systemd"); `version` of systemd, None without it."""

    uid: int
    name: str
    version: int | None
    state: str = ""
    """What `systemctl is-system-running` says: running, degraded, starting, …"""


def _init(output: Output) -> Init:
    found = pairs(output)
    version = re.match(r"systemd (\d+)", found["systemd"])
    return Init(int(found["uid"]), found["init"], int(version[1]) if version else None, found["state"])


INIT = Fact(
    "init",
    "echo uid=$(id -u); echo init=$(cat /proc/1/comm); echo systemd=$(systemctl --version 2>/dev/null | head -n 1); "
    "echo state=$(systemctl is-system-running 2>/dev/null)",
    _init,
)


@dataclass(frozen=True)
class Processor:
    """`extension` is vmx (Intel), svm (AMD), or empty; `inside` what this machine itself runs in, empty for none."""

    count: int
    model: str
    extension: str
    inside: str
    """As systemd-detect-virt(1) names it: kvm, vmware, lxc, …"""


def _processor(output: Output) -> Processor:
    found = pairs(output)
    inside = found["inside"]
    return Processor(int(found["count"]), found["model"], found["extension"], "" if inside == "none" else inside)


PROCESSOR = Fact(
    "processor",
    "echo count=$(grep -c '^processor' /proc/cpuinfo); "
    "echo model=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1); "
    "echo extension=$(grep -m 1 '^flags' /proc/cpuinfo | grep -owE 'vmx|svm' | head -n 1); "
    "echo inside=$(systemd-detect-virt 2>/dev/null)",
    _processor,
)


@dataclass(frozen=True)
class Memory:
    """Bytes: all of it, what programs can still get (`MemAvailable`, proc(5)), and what huge pages keep."""

    total: int
    available: int
    huge: int = 0


def _memory(output: Output) -> Memory:
    rows = dict(re.findall(r"^(\w+): +(\d+)", output.text, re.MULTILINE))
    huge = int(rows.get("HugePages_Total", 0)) * int(rows.get("Hugepagesize", 0)) * KIB
    return Memory(int(rows["MemTotal"]) * KIB, int(rows["MemAvailable"]) * KIB, huge)


MEMORY = Fact("memory", "cat /proc/meminfo", _memory)


@dataclass(frozen=True)
class Clock:
    """`synchronised`: the kernel says so (timedatectl(1)); None where nothing can tell. `year` as the host has it."""

    synchronised: bool | None
    year: int


def _clock(output: Output) -> Clock:
    found = pairs(output)
    return Clock({"yes": True, "no": False}.get(found.get("NTPSynchronized", "")), int(found["year"]))


CLOCK = Fact("clock", "timedatectl show -p NTPSynchronized 2>/dev/null; echo year=$(date -u +%Y)", _clock)


@dataclass(frozen=True)
class Hostname:
    """The machine's name, its addresses in /etc/hosts, and whom nsswitch.conf(5) asks for names, in order."""

    name: str
    addresses: tuple[str, ...]
    sources: tuple[str, ...]


def _hostname(output: Output) -> Hostname:
    found = pairs(output)
    if not found["name"]:
        raise FactError("the machine has no name")
    return Hostname(found["name"], tuple(found["addresses"].split()), tuple(found["sources"].split()))


HOSTNAME = Fact(
    "hostname",
    "n=$(cat /proc/sys/kernel/hostname); echo name=$n; "
    "echo addresses=$(getent -s files hosts \"$n\" | cut -d' ' -f1); "
    "echo sources=$(sed -n 's/^hosts:\\([^#]*\\).*/\\1/p' /etc/nsswitch.conf)",
    _hostname,
)
