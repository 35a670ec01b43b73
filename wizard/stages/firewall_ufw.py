"""`firewall.ufw`: what may reach the host itself, and between which interfaces it forwards (DOMAIN S10).

SSH is let in before ufw is switched on, and all of it happens under the guard. What ufw writes into its files, and
what it leaves behind when it is switched off, is noted by the words of templates/host/ufw.sh.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any

from wizard.actions import Action, Install, Run
from wizard.cluster import Cluster
from wizard.cluster.sections import Ufw
from wizard.facts.access import SSHD
from wizard.facts.network import LINKS, SSH_PATH, SshPath
from wizard.facts.sockets import SOCKETS
from wizard.facts.ufw import UFW
from wizard.facts.ufw import Ufw as Seen
from wizard.facts.units import FIREWALL_UNITS, Unit
from wizard.facts.wireguard import WIREGUARD
from wizard.model import HYPERVISOR, AnyFact, Context, Do, Finding, Guard, Nothing, Part, Plan, Probe, Refused, Risk
from wizard.stages.firewall_ufw_notes import notes
from wizard.stages.firewall_ufw_rules import Wanted, out_of_reach, reaches, rule_actions, wanted_rules

LIMIT = 120
WHERE = "firewall.ufw"


def plan(ctx: Context, target: str) -> Plan:
    """ufw is on with our rules, or off; now, and after a boot."""
    section = ctx.cluster.firewall.ufw if ctx.cluster.firewall else None
    if section is None:
        return Nothing("cluster.yaml leaves ufw alone")
    if not section.enabled:
        return _off(ctx)
    seen = ctx.see(UFW)
    wanted = wanted_rules(ctx.cluster, section, ssh_ports(ctx), seen.ipv6)
    if findings := (*_other_firewall(ctx), *_locked_out(ctx, section), *_turned_away(seen, wanted)):
        return Refused(findings)
    changes = tuple(_changes(ctx, seen, wanted))
    if not changes:
        return Nothing(f"ufw is on, SSH is open to {section.ssh_from}, and its other rules are as listed")
    install = Part(HYPERVISOR, "install ufw", (Install(("ufw",), refresh=True),), limit=600)
    parts = (*(() if seen.installed else (install,)), _guarded(ctx, "ufw's rules", changes))
    return Do(_why(seen), parts, notes(ctx, section, seen, wanted))


def _why(seen: Seen) -> str:
    if not seen.installed:
        return "ufw is not installed"
    if not seen.enabled:
        return "ufw is off"
    return "its rules are not as listed" if seen.live else "ufw is switched on, and its rules are not in the kernel"


def _off(ctx: Context) -> Plan:
    seen = ctx.see(UFW)
    if not seen.enabled:
        return Nothing("ufw is off" if seen.installed else "ufw is not installed")
    actions = _with_way_back(Run(("ufw", "--force", "disable")))
    return Do("ufw is on", (_guarded(ctx, "ufw is switched off", actions),), ("The host then filters nothing by ufw.",))


# ---------------------------------------------------------------- what is done

_BEFORE = Run(("ufw_before",), words="note how ufw is, for the way back")
_AFTER = Run(("ufw_after",), words="note what ufw has written")


def _changes(ctx: Context, seen: Seen, wanted: tuple[Wanted, ...]) -> Iterator[Action]:
    rules = tuple(rule_actions(seen, wanted))
    unit = ctx.see(FIREWALL_UNITS).get("ufw.service", Unit())
    at_boot = (
        ()
        if unit.is_enabled or not unit.exists
        else (Run(("systemctl", "enable", "-q", "ufw.service"), undo=_not_at_boot()),)
    )
    if rules or at_boot or not (seen.enabled and seen.live):
        on = () if seen.enabled and seen.live else (Run(("ufw", "--force", "enable")),)
        yield from _with_way_back(*rules, *at_boot, *on)


def _with_way_back(*actions: Action) -> tuple[Action, ...]:
    return (_BEFORE, *actions, _AFTER)


def _not_at_boot() -> Run:
    return Run(("systemctl", "disable", "-q", "ufw.service"))


def _guarded(ctx: Context, title: str, actions: tuple[Action, ...]) -> Part:
    return Part(HYPERVISOR, title, actions, risk=Risk.MAY_CUT_SSH, guard=_guard(ctx), limit=LIMIT)


def _guard(ctx: Context) -> Guard:
    """A new connection to where SSH answers now; established ones would live on behind any rule (DOMAIN 2.3)."""
    path, bridge = ctx.see(SSH_PATH), ctx.cluster.bridge
    servers = bridge.nameservers if bridge else ()
    probes = (
        Probe(
            f"the name server {server} answers on port 53",
            ("sh", "-c", f"timeout 3 bash -c '</dev/tcp/{server}/53'"),
        )
        for server in servers
    )
    return Guard((path.address,) if path else (), tuple(probes))


def ssh_ports(ctx: Context) -> tuple[int, ...]:
    """Where sshd listens by its settings and in fact, and where our own connection came in."""
    path = ctx.see(SSH_PATH)
    listening = (
        each.port for each in ctx.see(SOCKETS) if each.program == "sshd" and each.proto == "tcp" and not each.local
    )
    return tuple(sorted({*ctx.see(SSHD).ports, *listening, *((path.port,) if path else ())}))


# ---------------------------------------------------------------- what stands in the way


def _other_firewall(ctx: Context) -> Iterator[Finding]:
    units = ctx.see(FIREWALL_UNITS)
    if units.get("firewalld.service", Unit()).is_active:
        why = "firewalld runs, and two firewalls with rules of their own undo each other's work"
        yield Finding("firewalld", why, "leave `ufw` out of cluster.yaml, or stop and disable firewalld", WHERE)
    if units.get("ufw.service", Unit()).load == "masked":
        yield Finding("masked", "ufw.service is masked", "systemctl unmask ufw.service", WHERE)


def _locked_out(ctx: Context, section: Ufw) -> Iterator[Finding]:
    """The rule that cluster.yaml asks for must let in whoever asks."""
    path = ctx.see(SSH_PATH)
    if path is None or path.local:
        return
    if not reaches(path.client, section):
        why = f"you come from {path.client}, and SSH would be open to {section.ssh_from} only: you would be locked out"
        yield Finding("locked-out", why, _cure(path, section), f"{WHERE}.ssh_from")
    if ip_address(path.client).version == 6 and not ctx.see(UFW).ipv6:
        why = f"you come from {path.client}, and ufw is set up to refuse all IPv6 (IPV6=no in /etc/default/ufw)"
        yield Finding("no-ipv6", why, "set IPV6=yes there, or connect over IPv4", WHERE)


def _turned_away(seen: Seen, wanted: tuple[Wanted, ...]) -> Iterator[Finding]:
    for rule in dict.fromkeys(rule.port for rule in out_of_reach(seen, wanted)):
        why = f"a rule of ufw that is not ours turns port {rule} away before the one that lets SSH in"
        yield Finding("turned-away", why, "look at `ufw status numbered`, and take one of the two out", WHERE)


def _cure(path: SshPath, section: Ufw) -> str:
    return f"set `ssh_from` to a network with {path.client} in it, or to `any`, or connect from {section.ssh_from}"


def facts(cluster: Cluster, target: str) -> Mapping[str, tuple[AnyFact[Any], ...]]:
    asked = cluster.firewall is not None and cluster.firewall.ufw is not None
    return {HYPERVISOR: (UFW, SSH_PATH, SSHD, SOCKETS, FIREWALL_UNITS, LINKS, WIREGUARD) if asked else ()}
