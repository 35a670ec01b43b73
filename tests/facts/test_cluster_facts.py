"""What a control plane says of Kubernetes' own pods, of its version and of certificates: as kubectl 1.20 and OpenSSL 3
printed it on a node, shortened."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from wizard.facts.kube_certificates import CERTIFICATES
from wizard.facts.kube_system import API_VERSION, STARTING, SYSTEM_PODS, SystemPod
from wizard.model import FactError, Output

RUNNING = {
    "conditions": [{"status": "True", "type": "Ready"}, {"status": "True", "type": "PodScheduled"}],
    "containerStatuses": [
        {
            "lastState": {"terminated": {"exitCode": 255, "reason": "Unknown"}},
            "name": "etcd",
            "ready": True,
            "restartCount": 1,
            "state": {"running": {"startedAt": "2026-11-23T10:20:07Z"}},
        }
    ],
    "phase": "Running",
}
BACK_OFF = "back-off 40s restarting failed container=coredns pod=coredns-74ff55c5b-fchlv_kube-system(19bb5a13)"
CRASHED = {
    "conditions": [{"status": "False", "type": "Ready", "message": "containers with unready status: [coredns]"}],
    "containerStatuses": [
        {
            "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}},
            "name": "coredns",
            "ready": False,
            "state": {"waiting": {"message": BACK_OFF, "reason": "CrashLoopBackOff"}},
        }
    ],
    "phase": "Running",
}
UNREADY = {"phase": "Running", "containerStatuses": [{"name": "proxy", "ready": False, "state": {"running": {}}}]}
INITIALISING = {"name": "main", "ready": False, "state": {"waiting": {"reason": "PodInitializing"}}}
PULLING = {
    "name": "init",
    "ready": False,
    "state": {"waiting": {"reason": "ErrImagePull", "message": "no\n such host"}},
}
HOMELESS = {"phase": "Pending", "conditions": [{"status": "False", "message": "0/2 nodes are available"}]}


BEGAN = 1764000000


def pod(status: dict[str, Any], deleted: str = "", age: int = 0) -> SystemPod:
    lines = f"{BEGAN + age}\nkube-system|pod|aki0|{deleted}|{json.dumps(status)}\n"
    [found] = SYSTEM_PODS.parse(Output(0, lines.encode()))
    return found


def seen(status: dict[str, Any], deleted: str = "") -> str:
    return pod(status, deleted).why


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (RUNNING, ""),
        ({"phase": "Succeeded"}, ""),
        (CRASHED, f"coredns CrashLoopBackOff: {BACK_OFF} (last: Error with status 1)"),
        (UNREADY, "proxy runs and is not ready"),
        (
            {"phase": "Pending", "initContainerStatuses": [PULLING], "containerStatuses": [INITIALISING]},
            "init ErrImagePull: no such host",
        ),
        (HOMELESS, "Pending: 0/2 nodes are available"),
        ({"phase": "Failed"}, "Failed"),
    ],
)
def test_why_a_pod_does_not_do_its_work(status: dict[str, Any], why: str) -> None:
    assert seen(status) == why
    assert seen(status, deleted="2026-11-23T10:20:07Z") == "", "one that is being removed is missed by nobody"


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("k8s.gcr.io/kube-apiserver:v1.20.2", "v1.20.2"),
        ("mirror.home:5000/k8s/kube-apiserver@sha256:2bcc5b84", ""),
        ("docker.io/library/busybox:1.36", ""),
    ],
)
def test_a_version_that_is_the_tag_of_its_image(image: str, version: str) -> None:
    status = {**RUNNING, "containerStatuses": [{**RUNNING["containerStatuses"][0], "image": image}]}  # type: ignore[dict-item]
    assert (pod(status).image, pod(status).version) == (image, version)
    assert pod(HOMELESS).version == ""


@pytest.mark.parametrize(
    ("container", "starting"),
    [
        ({"running": {"startedAt": "2025-11-24T16:00:00Z"}}, True),
        ({"running": {"startedAt": "2025-11-24T15:57:00Z"}}, False),
        ({"waiting": {"reason": "ContainerCreating"}}, True),
        ({"waiting": {"reason": "ErrImagePull"}}, False),
    ],
)
def test_a_pod_that_has_only_just_begun_may_be_on_its_way(container: dict[str, Any], starting: bool) -> None:
    status = {
        "phase": "Running" if "running" in container else "Pending",
        "startTime": "2025-11-24T15:57:00Z" if "running" in container else "2025-11-24T16:00:00Z",
        "containerStatuses": [{"name": "etcd", "ready": False, "state": container}],
    }
    assert pod(status).starting == starting
    assert not pod(status, age=STARTING).starting
    assert not pod(RUNNING).starting


def test_an_api_that_does_not_answer_is_no_cluster_without_pods() -> None:
    refused = Output(1, b"", b"The connection to the server 192.168.182.130:6443 was refused")
    for fact in (SYSTEM_PODS, API_VERSION):
        with pytest.raises(FactError, match="does not answer: The connection"):
            fact.parse(refused)
    assert SYSTEM_PODS.parse(Output(0, b"")) == ()
    assert API_VERSION.parse(Output(0, b"")) == ""


def test_the_version_is_the_servers() -> None:
    said = {"clientVersion": {"gitVersion": "v1.20.1"}, "serverVersion": {"gitVersion": "v1.20.2"}}
    assert API_VERSION.parse(Output(0, json.dumps(said).encode())) == "v1.20.2"


PRINTED = """\
now\t1795429973
/etc/kubernetes/pki/apiserver-kubelet-client.crt\tnotAfter=Nov 23 10:14:28 2027 GMT
/etc/kubernetes/pki/ca.crt\tnotAfter=Nov 20 10:14:28 2036 GMT
/etc/kubernetes/pki/etcd/ca.crt\tnotAfter=Nov 20 10:14:28 2036 GMT
/var/lib/kubelet/pki/kubelet-client-current.pem\tnotAfter=Nov  3 10:14:30 2026 GMT
/etc/kubernetes/admin.conf\tnotAfter=Nov 23 10:14:30 2027 GMT
"""


def test_certificates_by_the_clock_of_their_node() -> None:
    found = CERTIFICATES.parse(Output(0, PRINTED.encode()))
    assert [(each.name, each.days, each.is_ca) for each in found] == [
        ("kubelet-client-current.pem", -21, False),
        ("apiserver-kubelet-client.crt", 364, False),
        ("admin.conf", 364, False),
        ("ca.crt", 3649, True),
        ("ca.crt", 3649, True),
    ]
    assert CERTIFICATES.parse(Output(0, b"now\t1795429973\n")) == (), "a machine that is no node"
    with pytest.raises(FactError, match="openssl is missing"):
        CERTIFICATES.parse(Output(1, b""))
    with pytest.raises(FactError, match=r"admin\.conf holds no certificate"):
        CERTIFICATES.parse(Output(0, b"now\t1795429973\n/etc/kubernetes/admin.conf\t\n"))


@pytest.mark.parametrize("fact", [SYSTEM_PODS, API_VERSION, CERTIFICATES])
def test_on_a_machine_without_kubernetes_the_commands_find_nothing(fact: Any) -> None:
    done = subprocess.run(["sh", "-c", fact.command], capture_output=True)
    assert fact.parse(Output(done.returncode, done.stdout, done.stderr)) in ((), "")
