"""wg0 as the article has it, on a hypervisor that has none yet."""

from __future__ import annotations

from wizard.rehearsal import Rehearsal, midway_host

RULE = "-A POSTROUTING -o br0 -j MASQUERADE"


def bring_up(machine: Rehearsal) -> None:
    """wg0 at every boot, masquerading all that leaves by br0, whether that exists or not."""
    machine.inside(midway_host.wireguard())


def rule_is_live(machine: Rehearsal) -> bool:
    """Whether the kernel has the rule now."""
    return RULE in machine.inside("iptables -t nat -S POSTROUTING").splitlines()


def remove_rule(machine: Rehearsal) -> None:
    """By hand, and for now: wg0.conf brings it back at the next boot."""
    machine.inside(f"iptables -t nat {RULE.replace('-A', '-D', 1)}")
