"""join.kubeconfig: the owner's own kubeconfig gains a context that works and keeps all else; no key stays elsewhere.

The cluster has its images from a mirror.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.rehearsal.conftest import Hypervisor
from tests.rehearsal.wizard_on import WizardOn

NODE = "aki0"
ADMIN = "/etc/kubernetes/admin.conf"
MIRROR = "mirror.home.arpa/kubernetes"
IMAGES = f"""kubectl --kubeconfig={ADMIN} -n kube-system get pods -o jsonpath='{{.items[*].spec.containers[*].image}}'
containerd config dump | sed -n 's/ *sandbox_image = "\\(.*\\)"/ \\1/p'"""
"""What pods ask for, and the pause that keeps each; containerd itself knows both names of what it has."""
FROM_MIRROR = f"""set -e
apt-get -qq -y install --no-install-recommends containerd >/dev/null 2>&1
for image in $(ctr -n k8s.io images ls -q | sed -n 's,^k8s.gcr.io/,,p'); do
  ctr -n k8s.io images tag "k8s.gcr.io/$image" "{MIRROR}/$image"
done
"""
"""Nobody serves a registry here: its images are on the node already, under its name."""
WORK = """\
# the cluster at work
apiVersion: v1
kind: Config
current-context: work
clusters:
- name: work
  cluster: {server: "https://k8s.work.example:6443", certificate-authority-data: d29yaw==}
contexts:
- name: work
  context: {cluster: work, user: me}
users:
- name: me
  user: {token: hush-hush}
"""


@pytest.fixture
def wizard(hypervisor: Hypervisor, tmp_path: Path) -> WizardOn:
    wizard = WizardOn(hypervisor(nodes=1), tmp_path / "owner")
    text = wizard.cluster_file.read_text()
    wizard.cluster_file.write_text(text.replace("kubernetes:\n", f"kubernetes:\n  images: {MIRROR}\n"))
    wizard.machine.inside(FROM_MIRROR, host=NODE)
    return wizard


def state(wizard: WizardOn) -> tuple[str, str]:
    [row] = wizard.json("status", "join.kubeconfig")["steps"]
    return row["state"], row["reason"]


def nodes_seen_with(wizard: WizardOn, file: Path, context: str) -> str:
    """What kubectl, by itself, gets with the owner's file."""
    ask = f"kubectl --kubeconfig=/root/owners --context={context} get nodes -o name"
    return wizard.machine.inside(f"cat >/root/owners <<'END'\n{file.read_text()}\nEND\n{ask}", host=NODE)


def runs_from(wizard: WizardOn) -> set[str]:
    """The registries of all that runs on the node."""
    return {image.rpartition("/")[0] for image in wizard.machine.inside(IMAGES, host=NODE).split()}


def key_of(wizard: WizardOn) -> str:
    found = re.search(r"client-key-data: (\S+)", wizard.machine.inside(f"cat {ADMIN}", host=NODE))
    assert found
    return found[1]


def where_is(wizard: WizardOn, key: str, file: Path) -> list[str]:
    """Everything that remembers, but the file that is meant to."""
    runbook = wizard.directory / "runbook.md"
    wizard.ok("export", "-o", str(runbook))
    here = [str(each) for each in wizard.directory.rglob("*") if each.is_file() and each != file]
    kept = [each for each in here if key.encode() in Path(each).read_bytes()]
    looked = f"grep -rlsF {key} /var/lib/homek8s-wizard /var/log /run/hk8s* || true"
    return [*kept, *wizard.machine.inside(looked, host=NODE).split(), *wizard.machine.inside(looked).split()]


def test_a_context_beside_what_is_there_and_back(wizard: WizardOn) -> None:
    wizard.ok("apply", "join.init", "--yes", timeout=600)
    assert runs_from(wizard) == {MIRROR}
    file, name = Path(wizard.environment["KUBECONFIG"]), wizard.status.name
    file.write_text(WORK)

    assert state(wizard)[0] == "todo"
    wizard.ok("apply", "join.kubeconfig", "--yes")
    assert state(wizard)[0] == "done", state(wizard)
    assert nodes_seen_with(wizard, file, name) == f"node/{NODE}\n"
    assert file.stat().st_mode & 0o777 == 0o600
    merged = file.read_text()
    assert "# the cluster at work" in merged
    assert "current-context: work" in merged
    assert "hush-hush" in merged
    assert where_is(wizard, key_of(wizard), file) == []

    wizard.machine.inside("kubeadm certs renew admin.conf || kubeadm alpha certs renew admin.conf", host=NODE)
    assert state(wizard)[0] == "todo", "another certificate is to be taken over"
    wizard.ok("apply", "join.kubeconfig", "--yes")
    assert state(wizard)[0] == "done"
    assert key_of(wizard) in file.read_text()

    wizard.ok("undo", "join.kubeconfig", "--yes")
    assert name not in file.read_text()
    assert "hush-hush" in file.read_text()

    file.write_text(WORK.replace("work", name))
    refused = wizard.run("apply", "join.kubeconfig", "--yes")
    assert refused.returncode == 2, refused.stderr
    assert f"another cluster {name}" in refused.stderr + refused.stdout
    assert file.read_text() == WORK.replace("work", name)
