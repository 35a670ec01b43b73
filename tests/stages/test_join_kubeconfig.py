"""join.kubeconfig: merged, renewed, refused, and in words where the API does not answer from here."""

from __future__ import annotations

from typing import Any

import pytest

from wizard.actions import SecretFile
from wizard.cluster import Cluster
from wizard.facts.kube_admin import KUBE_ADMIN, KubeAdmin, parse_admin
from wizard.facts.kubeadm import KUBEADM, Kubeadm
from wizard.facts.kubeconfig import Kubeconfig, kubeconfig
from wizard.model import OWNER, Blocked, Context, Do, Known, Nothing, Output, Plan, Refused, Unknown
from wizard.script import compile_part
from wizard.stages.join_kubeconfig import STEP

CLUSTER = Cluster.model_validate(
    {
        "name": "aki",
        "hypervisor": {"ssh": "owner@192.168.182.100"},
        "kubernetes": {"version": "1.36", "endpoint": "k8s-api.home.arpa"},
        "guests": [{"name": "aki0", "role": "control-plane", "ssh": "owner@192.168.182.130"}],
    }
)
SERVER = "https://k8s-api.home.arpa:6443"
ADMIN = KubeAdmin(True, SERVER, "ca" * 32, "ce" * 32, "Nov 23 09:00:00 2027 GMT", "192.168.182.130")
FILE = "/home/me/.kube/config"


def mine(**changed: Any) -> Kubeconfig:
    whole: dict[str, Any] = {
        "there": True,
        "contexts": ("work", "aki"),
        "current": "work",
        "server": SERVER,
        "ca": ADMIN.ca_hash,
        "certificate": ADMIN.certificate,
        "answer": "ok",
        "home": "/home/me/.local/state/homek8s-wizard/aki/here",
    }
    return Kubeconfig(FILE, **{**whole, **changed})


def plan(found: Kubeconfig, admin: KubeAdmin = ADMIN, ready: bool = True) -> Plan:
    values = {
        (OWNER, kubeconfig("aki").id): Known(found),
        ("aki0", KUBE_ADMIN.id): Known(admin),
        ("aki0", KUBEADM.id): Known(Kubeadm(api_ready=ready)),
    }
    return STEP.plan(Context(CLUSTER, values), OWNER)


def test_as_wanted() -> None:
    assert plan(mine()) == Nothing(f"{FILE} has the context aki, and {SERVER} answers to it")


def test_no_cluster_yet() -> None:
    found = plan(mine(), KubeAdmin())
    assert isinstance(found, Blocked)
    assert found.by == "join.init"


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (Kubeconfig(FILE, home="/h"), "there is no"),
        (mine(server="", ca="", certificate="", contexts=("work",)), "has no context aki yet"),
        (mine(contexts=("work",)), "has no context aki yet"),
        (mine(certificate="00" * 32, answer="rejected"), "has a new certificate"),
        (mine(private=False), "others may read it"),
    ],
)
def test_merged(found: Kubeconfig, why: str) -> None:
    planned = plan(found)
    assert isinstance(planned, Do)
    assert why in planned.why
    [part] = planned.parts
    assert part.on == OWNER
    [secret] = [action for action in part.actions if isinstance(action, SecretFile)]
    assert secret.content == "SECRET{admin-conf}\n"
    [hole] = secret.holes
    assert (hole.on, hole.argv) == ("aki0", ("cat", "/etc/kubernetes/admin.conf"))
    script = compile_part(STEP.id, OWNER, part)
    assert f"homek8s-wizard kubeconfig remove --name aki --file {FILE} --server {SERVER}" in script
    assert f"rm -f {found.home}/aki-admin.conf" in script
    assert "HOME=/root" not in script


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        (mine(server="https://elsewhere:6443"), ("https://elsewhere:6443", SERVER)),
        (mine(ca="00" * 32), ("00" * 32, ADMIN.ca_hash)),
        (mine(strange="its context aki is of the cluster work and the user me"), ("of the cluster work",)),
        (mine(problem="it is not valid YAML"), ("not valid YAML",)),
    ],
)
def test_refused_with_both_shown(found: Kubeconfig, shown: tuple[str, ...]) -> None:
    planned = plan(found)
    assert isinstance(planned, Refused)
    assert all(words in planned.why for words in shown)
    assert all(finding.cure for finding in planned.findings)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("name", "add to /etc/hosts here: 192.168.182.130 k8s-api.home.arpa"),
        ("refused", "must lead to aki0 (192.168.182.130)"),
        ("silent", "is a firewall in aki0 or between"),
        ("certificate", "is not this cluster's API"),
        ("rejected", "kubeadm certs renew admin.conf"),
        ("not-ready", "/readyz?verbose"),
    ],
)
def test_no_answer_from_here(answer: str, words: str) -> None:
    planned = plan(mine(answer=answer, said="…"))
    assert isinstance(planned, Blocked)
    assert planned.by == "you"
    assert words in planned.why


def test_no_answer_there_either() -> None:
    assert isinstance(plan(mine(answer="refused"), ready=False), Unknown)


def test_targets_and_fresh() -> None:
    assert STEP.targets(CLUSTER) == (OWNER,)
    bare = Cluster.model_validate({"name": "aki", "hypervisor": {"ssh": "owner@192.168.182.100"}})
    assert STEP.targets(bare) == ()
    planned = STEP.plan(Context(CLUSTER, STEP.fresh(CLUSTER)), OWNER)
    assert isinstance(planned, Do)
    assert SERVER in compile_part(STEP.id, OWNER, planned.parts[0])


def test_admin_conf_is_told_without_its_key() -> None:
    said = (
        b"there=yes\nserver=https://a:6443\nca=aa\ncertificate=bb -\nuntil=notAfter=Nov 23 2027 GMT\naddress=10.0.0.1\n"
    )
    assert parse_admin(Output(0, said)) == KubeAdmin(True, "https://a:6443", "aa", "bb", "Nov 23 2027 GMT", "10.0.0.1")
    assert "client-key" not in KUBE_ADMIN.command
