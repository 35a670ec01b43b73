"""`firewall.nat`: rules that give guests' packets the host's address are kept off them (DOMAIN S11, E8)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from wizard.actions import Action, Run
from wizard.cluster import Cluster
from wizard.facts.nat import FACTS, Rewriting, rewriting
from wizard.facts.nat_files import NAT_FILES
from wizard.facts.wireguard import WIREGUARD
from wizard.model import HYPERVISOR, AnyFact, Context, Do, Finding, Nothing, Part, Plan, Refused, Risk
from wizard.stages.firewall_nat_cure import Cure, cure_for
from wizard.stages.firewall_nat_files import file_actions
from wizard.stages.firewall_nat_live import live_actions


def plan(ctx: Context, target: str) -> Plan:
    """No rule rewrites what guests say to each other, neither now nor after the next boot or `wg-quick up`."""
    firewall = ctx.cluster.firewall
    if firewall is None:
        return Nothing("cluster.yaml leaves the host's NAT rules alone")
    if ctx.cluster.bridge is None and ctx.cluster.isolated is None:
        return Nothing("cluster.yaml names no bridge of guests")
    found = rewriting(ctx)
    if not found:
        return Nothing("no rule rewrites what guests say to each other")
    if firewall.nat == "report":
        return Nothing(f"left as they are, as `nat: report` says: {_listed(found)}")
    return _cure(ctx, found, firewall.nat)


def _cure(ctx: Context, found: tuple[Rewriting, ...], kind: str) -> Plan:
    answers = [(each, cure_for(ctx, each, kind)) for each in found]
    cures = tuple((each, answer) for each, answer in answers if isinstance(answer, Cure))
    in_files = file_actions(tuple(each for each in cures if each[0].file))
    findings = [answer for _, answer in answers if isinstance(answer, Finding)]
    findings += [each for each in in_files if isinstance(each, Finding)]
    if findings:
        return Refused(tuple(dict.fromkeys(findings)))
    live = tuple(live_actions(tuple(each for each in cures if each[0].file is None)))
    actions: tuple[Action, ...] = (*(each for each in in_files if not isinstance(each, Finding)), *live)
    forget = tuple(_forget(found)) if live else ()
    risk = Risk.BRIEF_INTERRUPTION if forget else Risk.NONE
    part = Part(HYPERVISOR, "NAT rules leave guests alone", (*actions, *forget), risk=risk, limit=60)
    return Do(
        f"these rewrite what guests say to each other: {_listed(found)}", (part,), tuple(_notes(ctx, found, kind))
    )


def _listed(found: tuple[Rewriting, ...]) -> str:
    return ", ".join(dict.fromkeys(map(str, found)))


def _forget(found: tuple[Rewriting, ...]) -> Iterator[Action]:
    """A connection keeps the address that it was given, for as long as the kernel remembers it."""
    networks = {flow.network for each in found if each.file is None for flow in each.flows if flow.network}
    for network in sorted(map(str, networks)):
        family = "ipv6" if ":" in network else "ipv4"
        forget = f"conntrack -f {family} -D --src-nat -s {network} -d {network}"
        yield Run(
            ("sh", "-c", f"! command -v conntrack >/dev/null || {forget} >/dev/null 2>&1 || true"),
            words=f"forget connections within {network} that are rewritten, where conntrack is installed",
        )


def _notes(ctx: Context, found: tuple[Rewriting, ...], kind: str) -> Iterator[str]:
    files = ctx.see(NAT_FILES)
    written = {frozenset(each.rule.conditions) for each in found if each.file}
    for each in found:
        if each.file is None and frozenset(each.rule.conditions) not in written:
            maybe = f" Perhaps from {', '.join(files.others)}." if files.others else ""
            yield f"Where {each} comes from was not found; it returns when that is run again.{maybe}"
    if kind == "exempt-bridged" and any(each.table.tool != "nft" for each in found):
        yield "The match physdev makes the kernel load br_netfilter; firewall.bridged says what is filtered then."
    if kind == "exempt-lan":
        yield "What guests say to machines outside these ranges is still rewritten where it passes such a rule."


def facts(cluster: Cluster, target: str) -> Mapping[str, tuple[AnyFact[Any], ...]]:
    asked = cluster.firewall is not None and (cluster.bridge is not None or cluster.isolated is not None)
    return {HYPERVISOR: (*FACTS, WIREGUARD) if asked else ()}
