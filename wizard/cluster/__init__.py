"""What the owner wants: cluster.yaml as frozen models, and its JSON Schema. Keys are a contract.

Only `name` and `hypervisor` must be there; a section left out means that the wizard leaves that area alone.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from wizard.cluster.guest import Create, Guest, Role
from wizard.cluster.mistakes import Contradictions
from wizard.cluster.names import ClusterName
from wizard.cluster.rules import contradictions
from wizard.cluster.sections import (
    Allow,
    Bridge,
    Firewall,
    Hypervisor,
    Isolated,
    Kubernetes,
    Packages,
    Part,
    Route,
    Ufw,
)
from wizard.cluster.values import of_model

__all__ = [
    "Allow",
    "Bridge",
    "Cluster",
    "Create",
    "Firewall",
    "Guest",
    "Hypervisor",
    "Isolated",
    "Kubernetes",
    "Packages",
    "Role",
    "Route",
    "Ufw",
    "json_schema",
]


class Cluster(Part):
    """All of cluster.yaml."""

    name: ClusterName = Field(
        title="Cluster", description="A short name for all of this, in lower case.", examples=["aki"]
    )
    hypervisor: Hypervisor = Field(title="Hypervisor", description="The Linux machine that carries the guests.")
    bridge: Bridge | None = Field(None, title="Bridge", description="The bridge that guests share with the LAN.")
    firewall: Firewall | None = Field(
        None, title="Firewall", description="How the host filters; leave it out to leave it alone."
    )
    isolated: Isolated | None = Field(
        None, title="Isolated network", description="A network of the guests' own, on no NIC."
    )
    kubernetes: Kubernetes | None = Field(None, title="Kubernetes", description="The cluster inside the guests.")
    guests: tuple[Guest, ...] = Field(
        (),
        title="Guests",
        description="The nodes, virtual machines as a rule; one that leaves the list is reported, never destroyed.",
    )

    @property
    def domains(self) -> tuple[Guest, ...]:
        """The guests that are libvirt's; the others are machines of their own."""
        return tuple(guest for guest in self.guests if not guest.physical)

    def destination(self, host: str) -> str:
        """What is typed after `ssh` for a guest, or, for any other name, the hypervisor; "" where only libvirt knows.

        A guest without `ssh` has the hypervisor's user, at the address that it is created with.
        """
        guest = next((guest for guest in self.guests if guest.name == host), None)
        if guest is None:
            return self.hypervisor.ssh
        return guest.ssh or (self.at(str(guest.create.address.ip)) if guest.create else "")

    def at(self, address: str) -> str:
        """The hypervisor's user at another address."""
        user, at, _ = self.hypervisor.ssh.removeprefix("ssh://").rpartition("@")
        return f"{user}{at}{address}"

    @model_validator(mode="after")
    def _hold_together(self) -> Cluster:
        if found := contradictions(of_model(self)):
            raise Contradictions(found)
        return self


def json_schema() -> dict[str, Any]:
    """The JSON Schema of cluster.yaml, for editors; a section may be absent but not empty."""
    schema = Cluster.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **without_null(schema)}


def without_null(node: Any) -> Any:
    """A schema in which leaving out, not null, says "none"."""
    if isinstance(node, list):
        return [without_null(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {key: without_null(value) for key, value in node.items() if not (key == "default" and value is None)}
    branches = kept.pop("anyOf", None)
    if branches is None:
        return kept
    real = [branch for branch in branches if branch != {"type": "null"}]
    return {**real[0], **kept} if len(real) == 1 else {"anyOf": real, **kept}
