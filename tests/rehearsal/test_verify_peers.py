"""verify.peers and join.pin on real nodes with BIRD: over the LAN, moved, cut by the article's rule, named, cured."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.rehearsal import bird_on_nodes, wireguard
from tests.rehearsal.cluster_on import ClusterOn, checked
from tests.rehearsal.conftest import Hypervisor
from wizard.facts.pod_network import DETECTION
from wizard.rehearsal.network import ISOLATED, LAN
from wizard.rehearsal.waiting import until

PEERS = "verify.peers"
NODES = (0, 1)
HOST = f"{ISOLATED}.1"
FILTERED = "sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1"
ANYWHERE = "systemctl stop wg-quick@wg0; sed -i 's/ -o br0//' /etc/wireguard/wg0.conf; systemctl start wg-quick@wg0"
"""The article's rule, as it is without the bridge that it names: then it is about every bridge of this host."""


@pytest.fixture
def wizard(hypervisor: Hypervisor, tmp_path: Path) -> ClusterOn:
    return ClusterOn(hypervisor(nodes=len(NODES)), tmp_path)


def annotated(wizard: ClusterOn) -> list[str]:
    path = r"jsonpath='{.items[*].metadata.annotations.projectcalico\.org/IPv4Address}'"
    return wizard.kubectl(f"get nodes -o {path}").split()


@pytest.mark.turns(at="verify on a cluster")
@pytest.mark.long
def test_peers_move_are_cut_and_are_cured(wizard: ClusterOn) -> None:
    wizard.ok("apply", "guests.address", "join.nodes", "join.cni", "--yes", timeout=900)
    assert checked(wizard, PEERS)["bgp-sessions"][1].startswith("no calico-node runs here")
    assert "no address detection that the wizard knows" in wizard.planned("join.pin")["reason"]

    manifest = bird_on_nodes.manifest(NODES)
    wizard.machine.inside(
        f"KUBECONFIG=/etc/kubernetes/admin.conf kubectl apply -f - <<'END'\n{manifest}\nEND", host="aki0"
    )
    wizard.kubectl("-n kube-system rollout status daemonset/calico-node --timeout=120s")
    found = checked(wizard, PEERS)
    assert found["bgp-sessions"] == ("ok", "1 session between 2 nodes, all Established", "")
    verdict, reason, cure = found["bgp-network"]
    assert (verdict, cure) == ("warn", "homek8s-wizard apply join.pin")
    assert f"aki0 to {LAN}.131" in reason

    wizard.ok("apply", "join.pin", "--yes", timeout=300)
    assert annotated(wizard) == [f"{ISOLATED}.100/24", f"{ISOLATED}.101/24"]
    assert wizard.json("plan", "join.pin")["changes"] == 0
    all_is_well(wizard)

    # The article's fault: what one node says to another comes with the host's address, where the host has one.
    wireguard.bring_up(wizard.machine)
    wizard.machine.inside(f"ip address add {HOST}/24 dev kube-isolated; {ANYWHERE}; {FILTERED}")
    wizard.kubectl("-n kube-system delete pods -l k8s-app=calico-node")
    wizard.kubectl("-n kube-system rollout status daemonset/calico-node --timeout=120s")
    verdict, reason, cure = checked(wizard, PEERS)["bgp-sessions"]
    assert verdict == "stop"
    assert f"aki0 ({ISOLATED}.100) to aki1 ({ISOLATED}.101): " in reason
    assert re.search(rf"aki[01] was called from {HOST}, which is no node's address", reason), reason
    assert cure.startswith("the hypervisor rewrites what nodes say to each other by `")
    assert "MASQUERADE" in cure
    assert cure.endswith(": homek8s-wizard apply firewall.nat")

    wizard.ok("apply", "firewall.nat", "--yes")
    all_is_well(wizard)

    the_isolated_network_stays_under_it(wizard)
    wizard.ok("undo", "join.pin", "--yes", timeout=300)
    assert annotated(wizard) == [f"{LAN}.130/24", f"{LAN}.131/24"]
    assert checked(wizard, PEERS)["bgp-network"][0] == "warn"

    # As one that was pinned from its beginning: nothing is noted of that.
    wizard.kubectl(f"-n kube-system set env daemonset/calico-node {DETECTION}=cidr={ISOLATED}.0/24")
    pinned = [f"{ISOLATED}.100/24", f"{ISOLATED}.101/24"]
    until(lambda: annotated(wizard) == pinned or None, 120, "nodes do not name their addresses there")
    the_isolated_network_stays_under_it(wizard)
    wizard.ok("undo", "join.pin", "guests.address@aki1", "--yes", timeout=300)
    on_lan = [f"{LAN}.130/24", f"{LAN}.131/24"]
    until(lambda: annotated(wizard) == on_lan or None, 60, "nodes do not name their addresses on the LAN")
    assert f"{ISOLATED}.101" not in wizard.machine.inside("ip -4 -o addr", host="aki1")


def all_is_well(wizard: ClusterOn) -> None:
    found = checked(wizard, PEERS)
    assert found["bgp-sessions"][0] == "ok"
    assert found["bgp-network"][:2] == ("ok", f"all within {ISOLATED}.0/24")


def the_isolated_network_stays_under_it(wizard: ClusterOn) -> None:
    refused = wizard.run("undo", "guests.address@aki1", "--yes")
    assert refused.returncode == 1, refused.stderr
    assert f"calico-node takes nodes' addresses from {ISOLATED}.0/24" in refused.stderr
    assert "first: homek8s-wizard undo join.pin" in refused.stderr
    assert f"{ISOLATED}.101" in wizard.machine.inside("ip -4 -o addr", host="aki1")
