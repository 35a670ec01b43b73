"""The ways into a machine: at its own screen and keyboard, and over SSH."""

from __future__ import annotations

from dataclasses import dataclass

from wizard.facts.system import pairs
from wizard.model import Fact, FactError, Output


@dataclass(frozen=True)
class Console:
    """What speaks for a way in without the network. Whether somebody is near it, no machine can tell."""

    screens: tuple[str, ...]
    """Connectors with a monitor on them: card0-HDMI-A-1."""
    management: bool
    """A management controller (IPMI), as servers have one."""
    passwords: tuple[str, ...]
    """Accounts that can log in with a password, which a console asks for; root first."""


def _console(output: Output) -> Console:
    found = pairs(output)
    names = found["passwords"].split()
    return Console(
        screens=tuple(found["screens"].split()),
        management=found["management"] == "yes",
        passwords=tuple(sorted(names, key=lambda name: name != "root")),
    )


CONSOLE = Fact(
    "console",
    "echo screens=$(grep -lx connected /sys/class/drm/card*-*/status 2>/dev/null | cut -d/ -f5); "
    "echo management=$([ -e /dev/ipmi0 ] && echo yes); "
    "echo passwords=$(passwd -S -a 2>/dev/null | awk '$2 == \"P\" { print $1 }')",
    _console,
)


@dataclass(frozen=True)
class Sshd:
    """The settings of sshd that matter here (sshd_config(5)); `addresses` empty: it listens on all of them."""

    ports: tuple[int, ...]
    addresses: tuple[str, ...]
    max_sessions: int
    use_dns: bool


def _sshd(output: Output) -> Sshd:
    rows = [line.split(" ", 1) for line in output.text.splitlines() if " " in line]
    one = dict(reversed(rows))
    if "maxsessions" not in one:
        raise FactError(output.complaint or "`sshd -T` said nothing")
    listening = [value.rpartition(":")[0].strip("[]") for key, value in rows if key == "listenaddress"]
    return Sshd(
        ports=tuple(int(value) for key, value in rows if key == "port"),
        addresses=tuple(address for address in listening if address not in ("0.0.0.0", "::")),
        max_sessions=int(one["maxsessions"]),
        use_dns=one.get("usedns") == "yes",
    )


SSHD = Fact("sshd", "$(command -v sshd || echo /usr/sbin/sshd) -T", _sshd)
