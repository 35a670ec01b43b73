"""What a freshly installed node would say, for a runbook made unconnected; and what a form offers."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_interface
from typing import Any

from wizard.cluster import Cluster
from wizard.facts.containerd import CONTAINERD, Containerd
from wizard.facts.kube_images import KubeImages, kube_images, registry_of
from wizard.facts.kube_packages import KUBE_PACKAGES, KubePackages
from wizard.facts.kubeadm import KUBEADM, Kubeadm
from wizard.facts.network import LINKS, ROUTES, Address, Link, Links, Route
from wizard.facts.node_clock import NODE_CLOCK, NodeClock
from wizard.facts.node_firewall import NODE_FIREWALL, NodeFirewall
from wizard.facts.node_kernel import NODE_KERNEL, SETTINGS, NodeKernel
from wizard.facts.node_names import NODE_NAMES, NodeNames, leads_to
from wizard.facts.node_swap import SWAP, Swap
from wizard.facts.ufw import UFW, Ufw
from wizard.model import OWNER, AnyFact, Context, Known, Seen, Suggestion
from wizard.stages import join_packages, nodes
from wizard.stages.fresh import Values
from wizard.stages.guest_nics import guest
from wizard.stages.guests_defaults import lan_address
from wizard.stages.join_area import NODE_FILES, PATHS
from wizard.stages.join_names import endpoint_name
from wizard.stages.join_network_manager import UNITS

ROOM = 8 * 1024**3
VERSIONS = (("1.36", "the newest that Calico 3.32 is tried with"), ("1.35", "supported"), ("1.34", "supported"))
"""Supported in 2026, and listed by Calico (docs.tigera.io, system requirements; DOMAIN, versions to assume)."""


def fresh(cluster: Cluster) -> Values:
    """A Debian or Ubuntu of today, with a name of its own and without swap; it reaches the registry of the images."""
    values: dict[tuple[str, str], Seen] = {}
    for name in nodes.every(cluster):
        values |= {(name, fact.id): Known(value) for fact, value in _said(cluster, name).items()}
    if (key := join_packages.key_file(cluster.kubernetes)) is not None:
        values[OWNER, key.id] = Known("-----BEGIN PGP PUBLIC KEY BLOCK-----\n")
    return values


def _said(cluster: Cluster, name: str) -> dict[AnyFact[Any], object]:
    kubernetes = cluster.kubernetes
    assert kubernetes is not None
    mirror = kubernetes.images or ""
    endpoint = endpoint_name(cluster)
    return {
        SWAP: Swap(),
        NODE_KERNEL: NodeKernel(True, True, True, settings={next(iter(SETTINGS)): "0"}, memory=ROOM),
        NODE_NAMES: NodeNames(name, name),
        NODE_FILES: dict.fromkeys(PATHS),
        NODE_FIREWALL: NodeFirewall(),
        UFW: Ufw(),
        UNITS: {},
        CONTAINERD: Containerd(),
        KUBE_PACKAGES: KubePackages(tools=()),
        KUBEADM: Kubeadm(),
        NODE_CLOCK: NodeClock(True),
        LINKS: _links(cluster, name),
        ROUTES: (Route("default", "", "enp1s0"),),
        kube_images(kubernetes.version, mirror): KubeImages(
            registry=registry_of(kubernetes.version, mirror).partition("/")[0], answered=True
        ),
        **({leads_to(endpoint): ()} if endpoint else {}),
    }


def _links(cluster: Cluster, name: str) -> Links:
    """The card on the LAN, where its address is known; its network is the bridge's."""
    at = lan_address(cluster, guest(cluster, name))
    known = [each.network for each in (cluster.bridge.addresses if cluster.bridge else ()) if at and at in each.network]
    prefix = known[0].prefixlen if known else 24
    found = (Address(ip_interface(f"{at}/{prefix}")),) if at else ()
    return Links((Link("enp1s0", "", addresses=found),))


# ---------------------------------------------------------------- forms


def defaults(ctx: Context) -> Mapping[str, tuple[Suggestion, ...]]:
    """What a cluster begins with: a version that its pod network lists, and a name for the API that can move."""
    return {
        "kubernetes.version": tuple(
            Suggestion(each, words or "supported", "kubernetes.io") for each, words in VERSIONS
        ),
        "kubernetes.endpoint": (
            Suggestion(
                f"{ctx.cluster.name}-api.home.arpa", "a name of its own, for every node's /etc/hosts", "cluster.yaml"
            ),
        ),
    }
