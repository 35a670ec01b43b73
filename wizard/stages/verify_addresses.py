"""What `verify.nodes` makes of nodes' addresses: the API is to reach each where it was planned (DOMAIN S14)."""

from __future__ import annotations

from collections.abc import Mapping

from wizard.checks.question import Answer, stop, warn
from wizard.facts.kube_nodes import KUBE_NODES, KubeNode
from wizard.model import Context, FactUnknown, Verdict
from wizard.stages import guests_defaults, join_addresses, nodes
from wizard.stages.guest_nics import guest


def addresses(ctx: Context) -> Answer | None:
    """A node's address is set when it joins; nothing changes it later.

    What cluster.yaml leaves open is not wrong: where we arrive may be another address each time, as over a VPN.
    """
    found = ctx.see(KUBE_NODES, nodes.first(ctx.cluster)[0])
    there = tuple(node for name in nodes.every(ctx.cluster) if (node := found.get(name)))
    written = {node.name: _written(ctx, node.name) for node in there}
    planned = {name: address or _pinned(ctx, name) for name, address in written.items()}
    if wrong := [node for node in there if planned[node.name] not in ("", node.internal_ip)]:
        answer = stop if any(written[node.name] for node in wrong) else warn
        name, said = wrong[0].name, "; ".join(_otherwise(node, planned, written) for node in wrong)
        return answer(f"the API reaches nodes at other addresses than planned: {said}", _move(name, planned[name]))
    return _compared(there, planned)


def _written(ctx: Context, name: str) -> str:
    return str(guests_defaults.lan_address(ctx.cluster, guest(ctx.cluster, name)) or "")


def _pinned(ctx: Context, name: str) -> str:
    """What a join would make its address; "" where the node does not say."""
    try:
        return join_addresses.lan_address(ctx, name)
    except FactUnknown:
        return ""


def _otherwise(node: KubeNode, planned: Mapping[str, str], written: Mapping[str, str]) -> str:
    by_join = "" if written[node.name] else ", which a join would give it"
    return f"{node.name} has {node.internal_ip or 'none'}, not {planned[node.name]}{by_join}"


def _move(name: str, address: str) -> str:
    return (
        f"on {name}: write `--node-ip={address}` among KUBELET_KUBEADM_ARGS in /var/lib/kubelet/kubeadm-flags.env, "
        "then `systemctl restart kubelet`; or, if its address is right as it is, write it as `ssh` in cluster.yaml"
    )


def _compared(there: tuple[KubeNode, ...], planned: Mapping[str, str]) -> Answer | None:
    as_planned = [f"{node.name} {node.internal_ip}" for node in there if planned[node.name]]
    unknown = [node.name for node in there if not planned[node.name]]
    said = [", ".join(as_planned)] if as_planned else []
    said += [f"not compared: {', '.join(unknown)}"] if unknown else []
    if not said:
        return None
    return Answer(Verdict.OK if as_planned else Verdict.UNKNOWN, "; ".join(said))
