"""What `join.init` runs on the first control plane (DOMAIN S6).

`--skip-token-print` keeps the bootstrap token that init makes out of every log: "<value withheld>" stands in its place
(kubeadm 1.20.2, cmd/kubeadm/app/cmd/init.go). `kubeadm config validate` refuses what this kubeadm would not understand.
"""

from __future__ import annotations

from collections.abc import Iterator

from wizard.actions import Action, Run, WriteFile
from wizard.facts.files import Contents, files
from wizard.facts.kube_nodes import ADMIN
from wizard.facts.kubeadm import API_READY
from wizard.model import Context, Fact, Part
from wizard.stages.join_config import VALIDATES, Version, init_yaml
from wizard.stages.join_heard import heard
from wizard.stages.join_init_config import cluster_config, node_config
from wizard.stages.join_reset import AWAY

PATH = "/var/lib/homek8s-wizard/kubeadm.yaml"
CONFIG: Fact[Contents] = files("kubeadm-config", PATH)
LIMIT = 2700
"""Seconds, as for packages: images come first, and lines are slow. What follows, kubeadm gives limits of its own."""
READY = ("sh", "-c", API_READY)
SETTLE = 300
"""Seconds for the API server to be ready: after an init it is at once, after a boot it comes by itself."""
FINISHED = ("sh", "-c", f"test -e {ADMIN} && {API_READY}")


def init(ctx: Context, target: str, version: Version) -> Part:
    config = init_yaml(node_config(ctx, target, version), cluster_config(ctx, target))
    actions = (
        WriteFile(PATH, config, ctx.see(CONFIG, target)[PATH]),
        *_validated(version),
        Run(
            ("kubeadm_does", "init", "--config", PATH, "--skip-token-print"),
            f"kubeadm init --config {PATH} --skip-token-print",
            unless=FINISHED,
            undo=AWAY,
        ),
        heard(SETTLE, "the API server says that it is ready", READY),
    )
    return Part(target, "kubeadm init", actions, limit=LIMIT)


def _validated(version: Version) -> Iterator[Action]:
    if version.minor >= VALIDATES:
        yield Run(("kubeadm", "config", "validate", "--config", PATH))


def wait(target: str) -> Part:
    """A node that was just started: kubelet, etcd and the API server come by themselves."""
    ready = heard(SETTLE, "the API server says that it is ready", READY)
    return Part(target, "the API server comes up", (ready,), limit=SETTLE + 60)


def addons(ctx: Context, target: str, version: Version) -> Part:
    """An init that ended just before its last phase: cluster DNS and kube-proxy. Doing it twice does no harm."""
    config = init_yaml(node_config(ctx, target, version), cluster_config(ctx, target))
    write = WriteFile(PATH, config, ctx.see(CONFIG, target)[PATH])
    argv = ("init", "phase", "addon", "all", "--config", PATH)
    return Part(
        target, "cluster DNS and kube-proxy", (write, Run(("kubeadm_does", *argv), " ".join(("kubeadm", *argv))))
    )
