"""join.init and join.nodes with real kubeadm: interrupted, recovered, taken back, refused; no secret stays anywhere."""

from __future__ import annotations

import re
import shlex
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.rehearsal import traces
from tests.rehearsal.conftest import Hypervisor
from tests.rehearsal.wizard_on import WizardOn, until_said
from wizard.rehearsal import Rehearsal

KUBECTL = "kubectl --kubeconfig=/etc/kubernetes/admin.conf"
TOKENS = f"{KUBECTL} -n kube-system get secrets --field-selector type=bootstrap.kubernetes.io/token -o name"
TOKEN = r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b"
LONG = 900
ADDED = "  - name: aki2\n"
"""Begins the entry of the node that comes later."""

Make = Callable[[], WizardOn]


@pytest.fixture
def wizard_on(hypervisor: Hypervisor, tmp_path: Path) -> Make:
    """Three machines that can become nodes; of two is known, and of the hypervisor only Kubernetes is asked for."""

    def make() -> WizardOn:
        wizard = WizardOn(hypervisor(nodes=3), tmp_path / "owner")
        text = wizard.cluster_file.read_text()
        text = re.sub(r"(?m)^(bridge|firewall|isolated):\n(  .*\n)+", "", text)
        text = re.sub(r"(?m)^    isolated_.*\n", "", text)
        wizard.cluster_file.write_text(text[: text.index(ADDED)])
        wizard.ok("apply", "join.prerequisites", "--yes", timeout=LONG)
        return wizard

    return make


def row(wizard: WizardOn, name: str) -> tuple[str, str]:
    """State and reason of STEP@TARGET in a plan."""
    step, _, target = name.partition("@")
    rows = wizard.json("status", step)["steps"]
    [found] = [each for each in rows if (each["step"], each["target"]) == (step, target)]
    return str(found["state"]), str(found["reason"])


def api_ready(machine: Rehearsal) -> None:
    """Under the load of other tests, the API server may be silent for a while."""
    machine.inside(f"timeout 120 sh -c 'until {KUBECTL} get --raw /readyz; do sleep 1; done'", host="aki0")


def listed(machine: Rehearsal) -> set[str]:
    """The nodes of the cluster on aki0."""
    api_ready(machine)
    return set(machine.inside(f"{KUBECTL} get nodes -o name", host="aki0").replace("node/", "").split())


@contextmanager
def tokens_expire(machine: Rehearsal) -> Iterator[None]:
    """Every bootstrap token is past its time as soon as it is made; Kubernetes does the rest."""
    past = '{"stringData": {"expiration": "2026-01-01T00:00:00Z"}}'
    expire = f"{TOKENS} --watch | while read -r each; do {KUBECTL} -n kube-system patch $each -p '{past}'; done"
    machine.inside(f"systemd-run --quiet --unit=expire sh -c {shlex.quote(expire)}", host="aki0")
    yield
    machine.inside("systemctl stop expire", host="aki0")


def nothing_secret(wizard: WizardOn) -> None:
    """No token in what the wizard keeps, on the hosts or the owner's machine, nor in a runbook."""
    nodes = ("aki0", "aki1", "aki2")
    assert traces.left(wizard, TOKEN, nodes) == set()
    for host in nodes:
        assert wizard.machine.inside("ls /run/homek8s-join.yaml 2>&1", check=False, host=host).startswith("ls: ")


@pytest.mark.turns(at="nodes join")
@pytest.mark.long(first=True)
def test_a_cluster_is_made_joined_and_made_anew(wizard_on: Make) -> None:
    wizard = wizard_on()
    init_is_picked_up(wizard)
    a_node_is_added(wizard)
    what_goes_wrong_is_said(wizard)
    workers_join_side_by_side(wizard)
    nothing_secret(wizard)
    init_is_recovered(wizard)


def init_is_picked_up(wizard: WizardOn) -> None:
    """The wizard is killed while kubeadm is at work; kubeadm goes on, and the next wizard watches it to its end."""
    running = wizard.start("apply", "join.init", "--yes")
    until_said(running, "[kubelet-start]")
    running.send_signal(signal.SIGKILL)
    running.communicate(timeout=30)
    state, reason = row(wizard, "join.init@aki0")
    assert (state, reason) == ("running", "its script runs on the host")
    resumed = wizard.ok("apply", "join.init", "--yes", timeout=LONG)
    assert "was under way" in resumed.stderr
    assert row(wizard, "join.init@aki0")[0] == "done"
    jobs = wizard.machine.inside("ls -d /var/lib/homek8s-wizard/jobs/*join.init*", host="aki0").split()
    assert len(jobs) == 1
    assert "[init]" not in wizard.machine.inside(f"sh {jobs[0]}/script by-hand", host="aki0"), "it was done"
    assert listed(wizard.machine) == {"aki0"}


def a_node_is_added(wizard: WizardOn) -> None:
    """To a cluster that there is: a new entry, and those that are nodes already know it by its name."""
    assert "aki2" not in wizard.machine.inside("cat /etc/hosts", host="aki0")
    text, whole = wizard.cluster_file.read_text(), wizard.status.cluster_file.read_text()
    wizard.cluster_file.write_text(text + re.sub(r"(?m)^    isolated_.*\n", "", whole[whole.index(ADDED) :]))
    state, reason = row(wizard, "join.prerequisites@aki0")
    assert (state, "aki2" in reason) == ("todo", True), reason


def what_goes_wrong_is_said(wizard: WizardOn) -> None:
    """A token that has expired, and a CA that is not the one expected."""
    with tokens_expire(wizard.machine):
        failed = wizard.run("apply", "join.nodes@aki2", "--yes", timeout=LONG)
    assert failed.returncode == 1
    assert wizard.machine.inside(TOKENS, host="aki0") == "", "expired ones are cleaned away"
    assert "could not find a JWS signature" in failed.stderr
    assert "Probably: the bootstrap token is no longer good, or was taken away" in failed.stderr

    other = "openssl req -x509 -newkey rsa:2048 -nodes -keyout /dev/null -subj /CN=kubernetes -days 1 2>/dev/null"
    ca = "/etc/kubernetes/pki/ca.crt"  # mounted over, so that the API server, in its own namespace, keeps the real one
    wizard.machine.inside(f"{other} >/root/other.crt; mount --bind /root/other.crt {ca}", host="aki0")
    failed = wizard.run("apply", "join.nodes@aki2", "--yes")
    assert failed.returncode == 1
    assert "Probably: another cluster answers at the endpoint" in failed.stderr
    wizard.machine.inside(f"umount {ca}", host="aki0")
    assert listed(wizard.machine) == {"aki0"}


def workers_join_side_by_side(wizard: WizardOn) -> None:
    """Also the one that could not join before."""
    said = wizard.ok("apply", "join.nodes", "--yes", timeout=LONG).stderr
    one, other = (found.start() for found in re.finditer(r"on aki[12]: kubeadm join\n", said))
    assert "ended with status" not in said[one:other]
    assert listed(wizard.machine) == {"aki0", "aki1", "aki2"}
    for old in ("aki0", "aki1"):
        assert "192.168.182.132 aki2" in wizard.machine.inside("getent hosts aki2 | tr -s ' '", host=old)
    assert wizard.json("plan", "join.init", "join.nodes")["changes"] == 0
    state, reason = row(wizard, "join.prerequisites@aki1")
    assert (state, "is left to you" in reason) == ("done", False), reason


def init_is_recovered(wizard: WizardOn) -> None:
    """The cluster is taken down; the next init is cut off by a reboot of the node, explained, and begun anew."""
    undone = wizard.ok("undo", "join.init", "--yes", "--destroy", "aki0", timeout=LONG)
    assert "kubeadm reset" in undone.stderr
    running = wizard.start("apply", "join.init", "--yes")
    until_said(running, "[wait-control-plane]")
    wizard.machine.reboot(host="aki0")
    output, _ = running.communicate(timeout=LONG)
    assert running.returncode == 1, output
    state, reason = row(wizard, "join.init@aki0")
    assert state == "interrupted", reason
    waits = wizard.run("apply", "join.init", "--yes")
    assert waits.returncode == 5, waits.stderr
    assert "--destroy aki0" in waits.stderr
    wizard.ok("apply", "join.init", "--yes", "--destroy", "aki0", timeout=LONG)
    assert row(wizard, "join.init@aki0")[0] == "done"
    assert listed(wizard.machine) == {"aki0"}

    # The others still belong to the cluster that is gone.
    state, reason = row(wizard, "join.nodes@aki1")
    assert (state, reason) == ("blocked", "aki1 belongs to another cluster, at https://192.168.182.130:6443")
