"""What a node calls itself and the others: its name, /etc/hosts, who rewrites that, and what a name leads to."""

from __future__ import annotations

from dataclasses import dataclass

from wizard.facts.system import pairs
from wizard.model import Fact, FactError, Output

HOSTS = "/etc/hosts"


@dataclass(frozen=True)
class NodeNames:
    hostname: str
    lasting: str
    """By /etc/hostname, for the next boot; empty where there is none."""
    rewritten: bool = False
    """cloud-init writes /etc/hosts anew at each boot (its `manage_etc_hosts: true`; Debian's cloud images have it)."""


def _names(output: Output) -> NodeNames:
    found = pairs(output)
    if not found.get("now"):
        raise FactError(output.complaint or "the machine has no name")
    return NodeNames(found["now"], found["lasting"], found["rewritten"] == "yes")


NODE_NAMES = Fact(
    "node-names",
    r"""echo now=$(cat /proc/sys/kernel/hostname)
echo lasting=$(grep -v '^[[:space:]]*#' /etc/hostname 2>/dev/null | head -n 1)
said=$(cat /etc/cloud/cloud.cfg /etc/cloud/cloud.cfg.d/*.cfg 2>/dev/null |
  sed -n 's/^manage_etc_hosts:[[:space:]]*//p' | tail -n 1)
case $said in [Tt]rue*|template*) echo rewritten=yes;; *) echo rewritten=no;; esac""",
    _names,
)
"""The last of cloud-init's files that says something counts, as cloud-init merges them in their order."""


def leads_to(name: str) -> Fact[tuple[str, ...]]:
    """The addresses that a name leads to on a node, by its /etc/hosts and its name servers; none: nobody knows it."""

    def addresses(output: Output) -> tuple[str, ...]:
        if output.rc not in (0, 2):
            raise FactError(output.complaint or f"getent ended with status {output.rc}")
        return tuple(dict.fromkeys(line.split()[0] for line in output.text.splitlines() if line.strip()))

    return Fact(f"leads-to:{name}", f"timeout 10 getent ahosts {name} || [ $? = 124 ] || exit 2", addresses)
