"""What `join.prerequisites` looks after comes in areas: each says what is lacking, and what is done about it."""

from __future__ import annotations

from dataclasses import dataclass

from wizard.actions import Action
from wizard.facts.files import Contents, files
from wizard.facts.kube_packages import LIST
from wizard.facts.node_names import HOSTS
from wizard.facts.node_swap import FSTAB
from wizard.model import Fact, Risk

MODULES_FILE = "/etc/modules-load.d/homek8s-node.conf"
SYSCTL_FILE = "/etc/sysctl.d/zz-homek8s-node.conf"
"""systemd-sysctl goes by the name, and the last one counts."""
NETWORK_MANAGER_FILE = "/etc/NetworkManager/conf.d/05-homek8s-pods.conf"
CLOUD_FILE = "/etc/cloud/cloud.cfg.d/99-homek8s-hosts.cfg"
"""cloud-init merges these by name, and the last one counts."""
PATHS = (FSTAB, HOSTS, MODULES_FILE, SYSCTL_FILE, NETWORK_MANAGER_FILE, CLOUD_FILE, LIST)
NODE_FILES: Fact[Contents] = files("node-files", *PATHS)


@dataclass(frozen=True)
class Area:
    """One part's worth of work. Without actions nothing is lacking."""

    title: str
    lacks: tuple[str, ...] = ()
    actions: tuple[Action, ...] = ()
    notes: tuple[str, ...] = ()
    risk: Risk = Risk.NONE
    limit: int = 120
