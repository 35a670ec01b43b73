"""What `join.cni` does on the first control plane: manifests applied in order, recorded, and the network awaited."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from wizard.actions import Action, Run, WriteFile
from wizard.facts.files import files
from wizard.facts.kube_nodes import ADMIN
from wizard.facts.pod_network import RECORD, Applied
from wizard.model import Context, Part
from wizard.template import render

DIRECTORY = "/etc/kubernetes/homek8s"
INSTALLATION = f"{DIRECTORY}/calico-installation.yaml"
MANIFEST = f"{DIRECTORY}/pod-network.yaml"
RECORD_FILE = f"{DIRECTORY}/pod-network-applied.yaml"
OWN = files("pod-network-files", INSTALLATION, MANIFEST, RECORD_FILE)
KUBECTL = ("kubectl", f"--kubeconfig={ADMIN}")
ENVIRONMENT = ("env", f"KUBECONFIG={ADMIN}")
READY = 600
"""Seconds for images to be fetched and the first pod to get an address; on a slow line most of it is the images."""


@dataclass(frozen=True)
class Fetched:
    """A manifest from the web; it is kept on the node under a name of its own."""

    url: str

    @property
    def path(self) -> str:
        name = self.url.rstrip("/").rpartition("/")[2].removesuffix(".yaml").removesuffix(".yml")
        return f"{DIRECTORY}/{name}-{hashlib.sha256(self.url.encode()).hexdigest()[:8]}.yaml"


@dataclass(frozen=True)
class Written:
    """A manifest whose content is known now."""

    path: str
    content: str


def applying(ctx: Context, target: str, manifests: tuple[Fetched | Written, ...], applied: Applied) -> Part:
    actions = tuple(action for each in manifests for action in _one(ctx, target, each))
    return part(target, (*actions, *record(ctx, target, applied)))


def part(target: str, actions: tuple[Action, ...]) -> Part:
    words = f"wait until {target} has a pod network (at most {READY} s)"
    ready = Run(("network_ready", str(READY), target), words)
    return Part(target, "the pod network", (*actions, ready), limit=READY + 300)


def _one(ctx: Context, target: str, manifest: Fetched | Written) -> Iterator[Action]:
    """Taken back last first: its objects, while what looks after them still runs, then the file that names them."""
    if isinstance(manifest, Fetched):
        yield Run(("network_fetch", manifest.url, manifest.path), undo=Run(("rm", "-f", manifest.path)))
    else:
        yield WriteFile(manifest.path, manifest.content, ctx.see(OWN, target)[manifest.path])
    yield _apply(manifest.path)
    if manifest.path.rpartition("/")[2].startswith("tigera-operator"):
        yield _defined("installations.operator.tigera.io")


def _apply(path: str) -> Run:
    """By the server: definitions of Calico's size are more than `apply` alone can note beside them (DOMAIN S7)."""
    argv = (*KUBECTL, "apply", "--server-side", "--force-conflicts", "-f", path)
    return Run(argv, undo=Run(("network_delete", path)))


def _defined(name: str) -> Run:
    return Run((*KUBECTL, "wait", "--for=condition=Established", f"crd/{name}", "--timeout=120s"))


def record(ctx: Context, target: str, applied: Applied) -> Iterator[Action]:
    values = {"name": applied.name, "source": applied.source, "sha256": applied.sha256}
    content = render("cni/applied.yaml.j2", record=RECORD, **values)
    yield WriteFile(RECORD_FILE, content, ctx.see(OWN, target)[RECORD_FILE])
    yield _apply(RECORD_FILE)
