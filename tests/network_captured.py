"""Contexts for tests: what real hosts said in several states (tests/facts/capture_network.py), and what changed."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from wizard.cluster import Cluster
from wizard.facts.libvirt import DOMAINS, NETWORKS, Domain, Domains, Network, Networks
from wizard.facts.network import LINKS, NAMESERVERS, ROUTES, SSH_PATH, Link, Links
from wizard.facts.network_owners import OWNERS
from wizard.facts.networkd import NETWORKD
from wizard.facts.networkd_files import DIRECTORIES, NETWORK_FILES, NetworkFile, NetworkFiles
from wizard.model import HYPERVISOR, Context, Fact, Known, Output

FIXTURES = Path(__file__).parent / "facts" / "fixtures" / "network"
SUITES = ("bookworm", "trixie")
FACTS: tuple[Fact[Any], ...] = (LINKS, ROUTES, NAMESERVERS, SSH_PATH, OWNERS, NETWORKD, NETWORK_FILES)


@cache
def seen(suite: str, state: str) -> dict[str, Any]:
    """Every fact's value: fresh, lease, article, guests or moved."""
    directory = FIXTURES / suite / state
    values = {fact.id: fact.parse(Output(0, (directory / f"{fact.id}.out").read_bytes())) for fact in FACTS}
    libvirt = json.loads((directory / "libvirt.json").read_text())
    values[NETWORKS.id] = Networks(tuple(Network(**each) for each in libvirt[NETWORKS.id]))
    values[DOMAINS.id] = Domains(tuple(Domain(**each) for each in libvirt[DOMAINS.id]))
    return values


def cluster(bridge: dict[str, Any] | None = None, isolated: dict[str, Any] | None = None) -> Cluster:
    data: dict[str, Any] = {"name": "aki", "hypervisor": {"ssh": "owner@192.168.182.100"}}
    data |= {"bridge": {"network": "vxlan10-bridge", **bridge}} if bridge else {}
    data |= {"isolated": isolated} if isolated else {}
    return Cluster.model_validate(data)


STATIC: dict[str, Any] = {
    "addresses": ["192.168.182.100/24"],
    "gateway": "192.168.182.1",
    "nameservers": ["192.168.182.1"],
}


def context(wanted: Cluster, suite: str, state: str, **changed: Any) -> Context:
    """A host in this state; `changed` are values of facts, by id with `_` for `-`."""
    values = seen(suite, state) | {key.replace("_", "-"): value for key, value in changed.items()}
    return Context(wanted, {(HYPERVISOR, fact): Known(value) for fact, value in values.items()})


def links(suite: str, state: str, *added: Link, **changed: dict[str, Any]) -> Links:
    """The state's links, some with other attributes: `enp4s0={"wireless": True}`; None leaves a link out."""
    there: Links = seen(suite, state)[LINKS.id]
    kept = tuple(
        replace(link, **changed.get(link.name, {})) for link in there if changed.get(link.name, {}) is not None
    )
    return Links((*kept, *added))


def files(suite: str, state: str, contents: dict[str, str | None]) -> NetworkFiles:
    """The state's files with these changed or added (None: gone); a name without directory is in /etc."""
    there: NetworkFiles = seen(suite, state)[NETWORK_FILES.id]
    paths = {name if "/" in name else f"{DIRECTORIES[0]}/{name}": content for name, content in contents.items()}
    kept = [file for file in there.files if file.path not in paths]
    kept += [NetworkFile(path, content) for path, content in paths.items() if content is not None]

    def place(file: NetworkFile) -> int:
        return next(at for at, directory in enumerate(DIRECTORIES) if file.path.startswith(directory + "/"))

    return NetworkFiles(tuple(sorted(kept, key=lambda file: (place(file), file.path))))
