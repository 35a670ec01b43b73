"""What connects pods: our record, the agents, Calico's Installation, the files on a node."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from wizard.facts.pod_network import CNI_FILES, POD_NETWORK, Agent, Applied, CniFiles, PodNetwork
from wizard.model import FactError, Output

DAEMONSETS = {
    "items": [
        {
            "metadata": {"namespace": "kube-system", "name": "calico-node"},
            "spec": {
                "template": {
                    "spec": {
                        "containers": [
                            {
                                "name": "calico-node",
                                "env": [
                                    {"name": "IP", "value": "autodetect"},
                                    {"name": "NODENAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
                                ],
                            },
                            {"name": "beside"},
                        ]
                    }
                }
            },
        }
    ]
}


def said(rc: int = 0, **parts: Any) -> PodNetwork:
    texts = {"record": "", "installation": "", "cilium": "", "agents": json.dumps({"items": []})} | parts
    lines = [f"{name}\t{base64.b64encode(text.encode()).decode()}" for name, text in texts.items() if text is not None]
    return POD_NETWORK.parse(Output(rc, "\n".join(lines).encode(), b"connection refused"))


def test_nothing_but_kube_proxy() -> None:
    assert said() == PodNetwork()
    assert POD_NETWORK.parse(Output(0, b"none\n")) == PodNetwork(there=False)


def test_all_of_it() -> None:
    detection = {"cidrs": ["192.168.190.0/24"]}
    found = said(
        record=json.dumps({"data": {"name": "calico", "source": "3.32.1", "sha256": "ab"}}),
        installation=json.dumps({"spec": {"calicoNetwork": {"nodeAddressAutodetectionV4": detection}}}),
        cilium="0.18.7\n",
        agents=json.dumps(DAEMONSETS),
    )
    assert found.applied == Applied("calico", "3.32.1", "ab")
    assert found.agents == (Agent("kube-system", "calico-node", {"IP": "autodetect"}),)
    assert found.detection == detection
    assert found.cilium_cli == "0.18.7"
    assert found.agent("cilium") is None


def test_an_api_that_does_not_answer_is_no_answer() -> None:
    for rc, agents in ((1, None), (0, None), (1, json.dumps(DAEMONSETS))):
        with pytest.raises(FactError, match="connection refused"):
            said(rc, agents=agents)


def test_files_of_a_node() -> None:
    found = CNI_FILES.parse(Output(0, b"10-calico.conflist\n87-podman-bridge.conflist\ncalico-kubeconfig\n"))
    assert found.own == ("10-calico.conflist", "calico-kubeconfig")
    assert found.networks == ("10-calico.conflist",)
    assert CNI_FILES.parse(Output(0, b"")) == CniFiles()


def test_the_command_lists_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "10 flannel.conflist").touch()
    command = CNI_FILES.command.replace("/etc/cni/net.d", str(tmp_path))
    done = subprocess.run(["sh", "-c", command], capture_output=True, env={**os.environ, "LC_ALL": "C"}, check=True)
    assert CNI_FILES.parse(Output(0, done.stdout)).names == ("10 flannel.conflist",)
