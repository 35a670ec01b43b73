"""How a rule that rewrites guests' packets is kept off them: what is put before it, or what it is told besides.

Every cure is text in the words of the rule's own program, so it is the same for a live rule and for one in a file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wizard.facts.nat import Rewriting
from wizard.facts.nat_files import KEY, NAT_FILES, tables
from wizard.facts.nat_rules import Flow, Network
from wizard.facts.wireguard import WIREGUARD, Tunnel
from wizard.model import Context, Finding

WHERE = "firewall.nat"


@dataclass(frozen=True)
class Cure:
    """`prefix` is put in front of the rule; `before` are rules that go before it in its chain."""

    prefix: str = ""
    before: tuple[str, ...] = ()


def cure_for(ctx: Context, found: Rewriting, kind: str) -> Cure | Finding:
    """The cure that cluster.yaml asks for, or why this rule cannot have it."""
    if obstacle := _obstacle(ctx, found):
        return obstacle
    nft = found.table.tool == "nft"
    if kind == "exempt-bridged":
        return Cure(prefix="iif != 0 " if nft else "-m physdev ! --physdev-is-bridged ")
    if kind == "exempt-lan":
        return _exempt_lan(ctx, found, nft)
    if found.rule.sourced:
        why = f"{found} names a source already, and that source has guests in it"
        return Finding("sourced", why, "set `nat: exempt-bridged`, or narrow the rule down yourself", WHERE)
    networks = sources(ctx, found)
    if not networks:
        why = f"whose packets {found} is meant for cannot be told: no one WireGuard interface fits it"
        cure = "set `nat: exempt-bridged`, or give the rule a source (-s NETWORK) yourself"
        return Finding("no-source", why, cure, WHERE)
    return Cure(prefix=f"{_nft_source(networks)} " if nft else f"-s {','.join(map(str, networks))} ")


def _obstacle(ctx: Context, found: Rewriting) -> Finding | None:
    if found.file is not None and found.file.symlink:
        return Finding("symlink", f"{found.file.path} is a symbolic link", "change the rule there yourself", WHERE)
    if found.written is not None and KEY in found.written.line.text:
        why = f"{found.where} has a key in the same line, which is not read out"
        return Finding("key-in-line", why, "put the key in a line, or a file, of its own", WHERE)
    if found.table.name == "io.systemd.nat":
        files = ", ".join(ctx.see(NAT_FILES).masquerading) or "one of its files"
        why = f"systemd-networkd masquerades {', '.join(map(str, found.flows))}: IPMasquerade= in {files}"
        return Finding("networkd", why, "take IPMasquerade= out of that file, and run `networkctl reload`", WHERE)
    if found.table.name == "firewalld":
        why = f"firewalld masquerades {', '.join(map(str, found.flows))} in one of its zones"
        return Finding("firewalld", why, "firewall-cmd --permanent --zone=ZONE --remove-masquerade, then reload", WHERE)
    if found.file is None and (any(sign in found.rule.text for sign in "\n\t") or "xt match" in found.rule.text):
        return Finding("unreadable", f"{found} cannot be written as one command", "change it yourself", WHERE)
    return None


# ---------------------------------------------------------------- the LAN is let off


def _exempt_lan(ctx: Context, found: Rewriting, nft: bool) -> Cure | Finding:
    networks = ranges(found.flows)
    for flow in found.flows:
        if flow.network not in networks:
            why = f"which IPv{flow.version} range the guests have on {flow.bridge} is not known, and {found} hits it"
            is_lan = ctx.cluster.bridge is not None and flow.bridge == ctx.cluster.bridge.name
            give = f"give the bridge its IPv{flow.version} address in cluster.yaml, or " if is_lan else ""
            return Finding("no-range", why, f"{give}set `nat: exempt-bridged`", WHERE)
    return Cure(before=exemptions(networks, nft))


def ranges(flows: Iterable[Flow]) -> tuple[Network, ...]:
    """The networks of these flows, each once, but for what is not known, or is a single machine."""
    found = (flow.network for flow in flows)
    return tuple(dict.fromkeys(each for each in found if each is not None and each.num_addresses > 1))


def exemptions(networks: Iterable[Network], nft: bool) -> tuple[str, ...]:
    """The rules that let packets between two addresses of one network go unchanged."""
    if nft:
        words = ((("ip6" if each.version == 6 else "ip"), each) for each in networks)
        return tuple(f"{ip} saddr {each} {ip} daddr {each} return" for ip, each in words)
    return tuple(f"-s {each} -d {each} -j RETURN" for each in networks)


# ---------------------------------------------------------------- whose packets the rule is meant for


def sources(ctx: Context, found: Rewriting) -> tuple[Network, ...]:
    """The networks behind the WireGuard interface that the rule was made for; empty where that cannot be told."""
    tunnel = _tunnel(ctx, found)
    if tunnel is None:
        return ()
    hit = [flow.network for flow in found.flows if flow.network]
    for version in found.table.versions:
        networks = tunnel.networks(version)
        if fit := tuple(each for each in networks if not any(each.overlaps(network) for network in hit)):
            return fit
    return ()


def _tunnel(ctx: Context, found: Rewriting) -> Tunnel | None:
    """That of the file which makes the rule, or the one which the rule names, or the only one there is."""
    wireguard = ctx.see(WIREGUARD)
    named = [found.file.name] if found.file else _files_with(ctx, found)
    named += [
        value for condition in found.rule.conditions if condition.what in ("out", "in") for value in condition.values
    ]
    for name in named:
        if tunnel := wireguard.get(name):
            return tunnel
    return wireguard.tunnels[0] if len(wireguard.tunnels) == 1 else None


def _files_with(ctx: Context, found: Rewriting) -> list[str]:
    """The WireGuard interfaces whose files make a rule that says the same."""
    return [
        file.name
        for file in ctx.see(NAT_FILES).files
        if file.name
        for table, _ in tables(list(file.rules))
        for rules in table.chains.values()
        for rule in rules
        if set(rule.conditions) == set(found.rule.conditions) and rule.verdict == found.rule.verdict
    ]


def _nft_source(networks: tuple[Network, ...]) -> str:
    """As nft itself says it again, so that the rule is found on the way back: sorted, one address without a length."""
    ip = "ip6" if networks[0].version == 6 else "ip"
    ordered = sorted(networks, key=lambda each: int(each.network_address))
    said = [str(each.network_address) if each.num_addresses == 1 else str(each) for each in ordered]
    return f"{ip} saddr {said[0] if len(said) == 1 else '{ ' + ', '.join(said) + ' }'}"
