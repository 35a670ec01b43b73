"""Step `verify.peers`: every node has a BGP session with every other, over the isolated network (DOMAIN S11, S13, S14).

It asks the BIRD in each calico-node pod. Where a session is missing, the rule of the hypervisor that gives guests'
packets another address is looked for, by the same finder as `firewall.nat` (article: WireGuard's MASQUERADE, E8).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any

from wizard.checks.question import Answer, Question, answered, ok, stop, verdict_of, warn
from wizard.cluster import Cluster
from wizard.facts.bird import SPEAKERS, Session, Speaker, Speakers
from wizard.facts.bridged import BRIDGED
from wizard.facts.kube_nodes import KUBE_NODES
from wizard.facts.nat import FACTS as NAT_FACTS
from wizard.facts.nat import Rewriting, rewriting
from wizard.model import HYPERVISOR, AnyFact, Blocked, Check, Context, FactUnknown, Plan, Step
from wizard.stages import node_addresses, nodes

FIREWALL = "look at each node's firewall for TCP port 179, and at `kubectl -n {namespace} logs {pod} -c calico-node`"


def facts(cluster: Cluster, target: str) -> Mapping[str, tuple[AnyFact[Any], ...]]:
    return {HYPERVISOR: (*NAT_FACTS, BRIDGED), target: (SPEAKERS, KUBE_NODES)}


def checks(ctx: Context, target: str) -> tuple[Check, ...]:
    return answered(ctx, QUESTIONS)


def plan(ctx: Context, target: str) -> Plan:
    if not ctx.see(KUBE_NODES, target).there:
        return Blocked("join.init", "there is no cluster yet")
    return verdict_of(ctx, QUESTIONS)


# ---------------------------------------------------------------- are there all sessions


def _speakers(ctx: Context) -> Speakers:
    return ctx.see(SPEAKERS, nodes.first(ctx.cluster)[0])


def sessions(ctx: Context) -> Answer:
    found = _speakers(ctx)
    if not found.there:
        return stop("there is no cluster yet", "homek8s-wizard apply join")
    if not found.all:
        return ok("no calico-node runs here: pods are connected without BGP sessions between nodes")
    if all(each.backend in ("vxlan", "none") for each in found.all):
        return ok(f"Calico runs without BGP (it routes with {found.all[0].backend})")
    problems = [*_silent(found), *_missing(ctx, found), *_broken(found)]
    if problems:
        return stop("; ".join(problems), _cure(ctx, found))
    count = sum(len(each.sessions) for each in found.all) // 2
    return ok(f"{count} {'session' if count == 1 else 'sessions'} between {len(found.all)} nodes, all Established")


def _silent(found: Speakers) -> Iterator[str]:
    for each in found.all:
        if not each.running:
            yield f"{each.pod} on {each.node} does not run"
        elif not each.answers:
            yield f"no BIRD answers in {each.pod} on {each.node}"


def _missing(ctx: Context, found: Speakers) -> Iterator[str]:
    """Without a peer that the owner named, every node has a session with every other; route reflectors differ."""
    there = [node.name for node in ctx.see(KUBE_NODES, nodes.first(ctx.cluster)[0])]
    for name in there:
        if not any(each.node == name for each in found.all):
            yield f"{name} runs no calico-node"
    mesh = all(session.name.startswith("Mesh_") for each in found.all for session in each.sessions)
    for each in found.all if mesh else ():
        if each.answers and len(_v4(each)) < len(there) - 1:
            yield f"{each.node} knows {len(_v4(each))} of its {len(there) - 1} peers"


def _v4(speaker: Speaker) -> list[Session]:
    return [session for session in speaker.sessions if ":" not in session.neighbor]


def _broken(found: Speakers) -> Iterator[str]:
    names = {each.router: each.node for each in found.all}
    for each in found.all:
        broken = [session for session in each.sessions if not session.established]
        for session in broken:
            peer = names.get(session.neighbor)
            to = f"{peer} ({session.neighbor})" if peer else session.neighbor
            error = f", {session.error}" if session.error else ""
            yield f"{each.node} ({each.router}) to {to}: {session.state}{error}"
        if broken and each.strangers:
            yield f"{each.node} was called from {', '.join(each.strangers)}, which is no node's address"


# ---------------------------------------------------------------- why not


def _cure(ctx: Context, found: Speakers) -> str:
    """The rule that does it, where there is one, and what takes it away."""
    broken = [(each, session) for each in found.all for session in each.sessions if not session.established]
    try:
        rules = [rule for rule in rewriting(ctx) if any(_hits(rule, each.neighbor) for _, each in broken)]
        passing = _bridged_packets_pass(ctx)
    except FactUnknown as unknown:
        return f"the hypervisor's NAT rules could not be looked at: {unknown.reason}"
    first = broken[0][0] if broken else found.all[0]
    namespace, _, pod = first.pod.partition("/")
    other = FIREWALL.format(namespace=namespace, pod=pod)
    if not rules:
        return f"no NAT rule of the hypervisor rewrites these addresses; {other}"
    named = ", ".join(dict.fromkeys(map(str, rules)))
    if not passing:
        return f"not the NAT rules of the hypervisor ({named}): bridged packets do not pass them now; {other}"
    return f"the hypervisor rewrites what nodes say to each other by {named}: {_taken_away(ctx)}"


def _hits(rule: Rewriting, address: str) -> bool:
    neighbor = ip_address(address) if address else None
    return rule.file is None and any(
        neighbor.version == flow.version and (flow.network is None or neighbor in flow.network)
        for flow in rule.flows
        if neighbor
    )


def _bridged_packets_pass(ctx: Context) -> bool:
    """Do they pass the hypervisor's rules: for all bridges, or for one of them (DOMAIN S4)."""
    seen = ctx.see(BRIDGED)
    return seen.values.get("bridge-nf-call-iptables") == 1 or any(flags[:1] == (1,) for flags in seen.flags.values())


def _taken_away(ctx: Context) -> str:
    firewall = ctx.cluster.firewall
    if firewall is None or firewall.nat == "report":
        return "set `firewall.nat` to restrict-source in cluster.yaml, then homek8s-wizard apply firewall.nat"
    return "homek8s-wizard apply firewall.nat"


# ---------------------------------------------------------------- over which network


def network(ctx: Context) -> Answer | None:
    """Where sessions are, as BIRD names its own address."""
    isolated, found = ctx.cluster.isolated, _speakers(ctx)
    if isolated is None or node_addresses.unplanned(ctx.cluster) or not any(each.sessions for each in found.all):
        return None
    elsewhere = [
        f"{each.node} to {session.neighbor}"
        for each in found.all
        for session in each.sessions
        if ":" not in session.neighbor and session.neighbor and ip_address(session.neighbor) not in isolated.cidr
    ]
    if elsewhere:
        return warn(f"outside {isolated.cidr}: {', '.join(elsewhere)}", "homek8s-wizard apply join.pin")
    return ok(f"all within {isolated.cidr}")


WHY = "Calico tells each node by BGP where the others' pods are; without a session, pods on two nodes lose each other."
QUESTIONS = (
    Question("bgp-sessions", "BGP sessions", WHY, (SPEAKERS, KUBE_NODES, *NAT_FACTS, BRIDGED), sessions, needed=True),
    Question(
        "bgp-network",
        "Network of the sessions",
        "On the isolated network no NAT or firewall of the LAN comes between nodes.",
        (SPEAKERS,),
        network,
    ),
)


def look(cluster: Cluster, target: str) -> tuple[str, ...]:
    ssh = f"ssh {cluster.destination(target) or target} sudo kubectl --kubeconfig=/etc/kubernetes/admin.conf"
    exec_in = "exec -n calico-system daemonset/calico-node -c calico-node -- birdcl show protocols"
    return (f"{ssh} get pods -A -l k8s-app=calico-node -o wide", f"{ssh} {exec_in}")


STEP = Step(
    id="verify.peers",
    title="BGP between nodes",
    why=WHY,
    plan=plan,
    facts=facts,
    needs=("join.nodes", "join.cni"),
    targets=nodes.first,
    checks=checks,
    look=look,
    asks_about=("bridge", "firewall", "isolated", "guests", "join", "verify.reboot"),
)
