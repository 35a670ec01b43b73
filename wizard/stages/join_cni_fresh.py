"""What freshly made nodes would say when the pod network's turn comes, and how its owner looks for themselves."""

from __future__ import annotations

from ipaddress import ip_interface

from wizard.cluster import Cluster
from wizard.facts.kube_nodes import KUBE_NODES, KubeNode, KubeNodes
from wizard.facts.network import LINKS, Address, Link, Links
from wizard.facts.pod_network import CNI_FILES, POD_NETWORK, Agent, CniFiles, PodNetwork
from wizard.model import Known, Seen
from wizard.stages import node_addresses, nodes
from wizard.stages.fresh import Values
from wizard.stages.guest_nics import guest, isolated_mac
from wizard.stages.join_cni_parts import INSTALLATION, MANIFEST, OWN, RECORD_FILE


def fresh(cluster: Cluster) -> Values:
    """The first control plane has made its cluster, and waits for a network; all nodes have their addresses."""
    values: dict[tuple[str, str], Seen] = {}
    for name in nodes.every(cluster):
        values |= {(name, LINKS.id): Known(_links(cluster, name)), (name, CNI_FILES.id): Known(CniFiles())}
    for name in nodes.first(cluster):
        waiting = KubeNode(name, "", "", ready=False, reason="NetworkReady=false")
        values |= {
            (name, POD_NETWORK.id): Known(PodNetwork()),
            (name, KUBE_NODES.id): Known(KubeNodes((waiting,))),
            (name, OWN.id): Known(dict.fromkeys((INSTALLATION, MANIFEST, RECORD_FILE))),
        }
    return values


def _links(cluster: Cluster, name: str) -> Links:
    node, isolated = guest(cluster, name), cluster.isolated
    if isolated is None or node.isolated_address is None:
        return Links(())
    address = Address(ip_interface(f"{node.isolated_address}/{isolated.cidr.prefixlen}"))
    return Links((Link("enp2s0", isolated_mac(cluster, node), addresses=(address,)),))


def look(cluster: Cluster, target: str) -> tuple[str, ...]:
    ssh = f"ssh {cluster.destination(target) or target} sudo kubectl --kubeconfig=/etc/kubernetes/admin.conf"
    return (f"{ssh} get nodes -o wide", f"{ssh} get pods -A -o wide", f"{ssh} get daemonsets -A")


def fresh_pinned(cluster: Cluster) -> Values:
    """The wizard's own Calico was pinned from its beginning, where all nodes have addresses to be pinned to; nobody
    knows about another network."""
    isolated = None if node_addresses.unplanned(cluster) else cluster.isolated
    calico = cluster.kubernetes is not None and cluster.kubernetes.cni.name == "calico" and isolated is not None
    cidrs = [str(isolated.cidr)] if isolated else []
    installation = {"calicoNetwork": {"nodeAddressAutodetectionV4": {"cidrs": cidrs}}}
    there = PodNetwork(agents=(Agent("calico-system", "calico-node"),), installation=installation)
    return {
        **fresh(cluster),
        **{(name, POD_NETWORK.id): Known(there if calico else PodNetwork()) for name in nodes.first(cluster)},
    }
