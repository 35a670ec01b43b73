"""A firewall inside a node: ufw is opened for the cluster, of another one it is told what it must let in (DOMAIN S10).

Ports: kubernetes.io, ports-and-protocols; Calico's and Cilium's system requirements.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network

from wizard.actions import Action, Run
from wizard.cluster import Cluster
from wizard.facts.network import LINKS
from wizard.facts.node_firewall import HOOKS, NODE_FIREWALL, Filtering
from wizard.facts.ufw import ANYWHERE, MARK, UFW, Ufw, UfwRule
from wizard.model import Context
from wizard.stages import guest_nics
from wizard.stages.join_names import address_of

Ports = Mapping[str, tuple[str, ...]]
"""By protocol; numbers, and ranges as ufw writes them."""
NODE: Ports = {"tcp": ("10250", "10256", "30000:32767"), "udp": ("30000:32767",)}
CONTROL_PLANE: Ports = {"tcp": ("6443", "2379:2380", "10257", "10259")}
PODS: Mapping[str, Ports] = {
    "calico": {"tcp": ("179", "5473"), "udp": ("4789",)},
    "cilium": {"tcp": ("4240",), "udp": ("8472",)},
}


@dataclass(frozen=True)
class Opening:
    """What one network may reach of a node."""

    source: str
    proto: str
    ports: tuple[str, ...]

    @property
    def words(self) -> tuple[str, ...]:
        return ("proto", self.proto, "from", self.source, "to", "any", "port", ",".join(self.ports))


def ports(cluster: Cluster, target: str) -> Ports:
    """By protocol, what the other nodes and their pods have to reach of this one."""
    guest = guest_nics.guest(cluster, target)
    by_pods = PODS.get(cluster.kubernetes.cni.name, {}) if cluster.kubernetes else {}
    kinds = [NODE, *([CONTROL_PLANE] if guest.role == "control-plane" else []), by_pods]
    return {proto: tuple(port for kind in kinds for port in kind.get(proto, ())) for proto in ("tcp", "udp")}


def spelled(cluster: Cluster, target: str) -> str:
    """ "6443, 10250, 30000-32767 (TCP) and 4789 (UDP)"."""
    found = ports(cluster, target).items()
    return " and ".join(f"{', '.join(each).replace(':', '-')} ({proto.upper()})" for proto, each in found if each)


def sources(ctx: Context, target: str) -> tuple[str, ...]:
    """The networks that nodes and pods speak from."""
    cluster, at = ctx.cluster, address_of(ctx, target)
    link = ctx.see(LINKS, target).with_address(at)
    found = [str(each.interface.network) for each in link.addresses if each.ip == at] if link else []
    found += [str(cluster.isolated.cidr)] if cluster.isolated else []
    found += [str(cluster.kubernetes.pod_cidr)] if cluster.kubernetes else []
    return tuple(found)


def closed(ctx: Context, target: str) -> Iterator[Opening]:
    """What ufw, where it is on, does not let in yet."""
    ufw = ctx.see(UFW, target)
    if not _filters(ufw):
        return
    for source in sources(ctx, target):
        for proto, wanted in ports(ctx.cluster, target).items():
            missing = tuple(port for port in wanted if not _open(ufw, source, proto, port))
            if missing:
                yield Opening(source, proto, missing)


def _filters(ufw: Ufw) -> bool:
    return (ufw.enabled or ufw.live) and ufw.input_policy != "ACCEPT"


def _open(ufw: Ufw, source: str, proto: str, port: str) -> bool:
    return any(
        rule.action == "allow"
        and rule.direction == "in"
        and rule.proto in ("any", proto)
        and _covers(rule, source, port)
        for rule in ufw.rules
    )


def _covers(rule: UfwRule, source: str, port: str) -> bool:
    if rule.source not in ANYWHERE and not _within(source, rule.source):
        return False
    first, _, last = port.partition(":")
    spans = (span.partition(":") for span in rule.port.split(","))
    return rule.port == "any" or any(int(a) <= int(first) and int(last or first) <= int(b or a) for a, _, b in spans)


def _within(inner: str, outer: str) -> bool:
    one, two = ip_network(inner), ip_network(outer, strict=False)
    return one.version == two.version and one.subnet_of(two)  # type: ignore[arg-type]


def _pods_pass(ctx: Context, target: str) -> bool:
    """What pods send is forwarded by their node."""
    ufw, kubernetes = ctx.see(UFW, target), ctx.cluster.kubernetes
    if kubernetes is None or not (ufw.enabled or ufw.live) or ufw.forward_policy == "ACCEPT":
        return True
    return any(
        rule.action == "route:allow" and rule.port == "any" and _covers(rule, str(kubernetes.pod_cidr), "1")
        for rule in ufw.rules
    )


# ---------------------------------------------------------------- as an area


def lacks(ctx: Context, target: str) -> Iterator[str]:
    if tuple(closed(ctx, target)) or not _pods_pass(ctx, target):
        yield "its firewall (ufw) keeps the other nodes out"


def actions(ctx: Context, target: str) -> Iterator[Action]:
    for each in closed(ctx, target):
        said = ("ufw", "allow", *each.words, "comment", f"{MARK}nodes and pods")
        yield Run(said, undo=Run(("ufw", "delete", "allow", *each.words)))
    if not _pods_pass(ctx, target) and ctx.cluster.kubernetes:
        words = ("allow", "from", str(ctx.cluster.kubernetes.pod_cidr))
        said = ("ufw", "route", *words, "comment", f"{MARK}pods")
        yield Run(said, undo=Run(("ufw", "route", "delete", *words)))


def others(ctx: Context, target: str) -> Iterator[str]:
    """Firewalls that are left to the owner, in words; they are also told where there is nothing to do."""
    found = ctx.see(NODE_FIREWALL, target)
    hooks = {"firewalld": HOOKS} if found.firewalld else {str(each): each.hooks for each in _theirs(ctx, target)}
    if any("input" in each for each in hooks.values()) or _filters(ctx.see(UFW, target)):
        yield from _untold(ctx.cluster, target)
    wanted = [
        f"{port.replace(':', '-')}/{proto}" for proto, each in ports(ctx.cluster, target).items() for port in each
    ]
    if found.firewalld and all(each in found.opened for each in wanted):
        return
    for name, each in hooks.items():
        yield f"{name} filters on {target}, and is left to you: {_asked(ctx, target, each)}."


def _theirs(ctx: Context, target: str) -> Iterator[Filtering]:
    """Tables that nodes and pods speak through, and that are not ufw's."""
    ufw = ctx.see(UFW, target)
    by_ufw = ("ip filter", "ip6 filter") if ufw.live or ufw.enabled else ()
    ipv6 = any(":" in each for each in sources(ctx, target))
    for each in ctx.see(NODE_FIREWALL, target).filtering:
        if each.table not in by_ufw and (ipv6 or not each.table.startswith("ip6 ")):
            yield each


def _asked(ctx: Context, target: str, hooks: tuple[str, ...]) -> str:
    if "input" not in hooks:
        return "it must forward what is from pods"
    let_in = f"from {', '.join(sources(ctx, target))} it must let in {spelled(ctx.cluster, target)}"
    return f"{let_in}, and forward what is from pods" if "forward" in hooks else let_in


def _untold(cluster: Cluster, target: str) -> Iterator[str]:
    if cluster.kubernetes and cluster.kubernetes.cni.name not in PODS:
        yield (
            f"{target} has a firewall, and which ports your pod network uses between nodes is not known here: "
            "open them there yourself (flannel: 8472/udp)."
        )
