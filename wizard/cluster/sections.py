"""The sections of cluster.yaml that are about the host and the cluster; `guest` has the virtual machines.

Each field carries the words that forms and editors show. A section left out means that the wizard leaves that area
alone. What one value may be is said by its type (`names`, `addresses`), what several may be together by `rules`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from wizard.cluster.addresses import (
    AnyAddress,
    Endpoint,
    Gateway,
    HostInterface,
    IsolatedCidr,
    PodCidr,
    ServiceCidr,
    Source,
)
from wizard.cluster.cni import FileOrUrl, PodNetwork
from wizard.cluster.names import (
    CniVersion,
    Comment,
    InterfaceName,
    LibvirtName,
    NewBridgeName,
    Registry,
    SshDestination,
    Version,
    WebAddress,
)

Accepted = Literal["no-kvm", "slow-fsync", "small-guest", "no-console", "local-confirm"]
Port = Annotated[int, Field(strict=True, ge=1, le=65535)]


class Part(BaseModel):
    """A mapping of cluster.yaml: unknown keys are refused, nothing changes once read."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Hypervisor(Part):
    """The Linux machine that carries the guests."""

    ssh: SshDestination = Field(
        title="SSH destination",
        description="How you reach the machine: what you would type after `ssh`; `localhost` when it is this one.",
        examples=["owner@192.168.182.100", "localhost"],
    )
    accept: tuple[Accepted, ...] = Field(
        (),
        title="Accepted findings",
        description="Findings of the first check that you have read and accept, by their id.",
        examples=["no-kvm"],
    )


class Bridge(Part):
    """The bridge that guests share with the LAN. Left out: no bridge is made and no NIC is touched.

    With neither `addresses` nor `dhcp` the bridge only forwards, and the host has no address on it (DOMAIN E2).
    """

    name: NewBridgeName = Field(
        "br0", title="Bridge", description="The name of the bridge, at most 15 characters.", examples=["br0"]
    )
    port: InterfaceName = Field(
        title="Network card",
        description="The NIC that becomes the bridge's port; its cable then carries the host and the guests.",
        examples=["enp4s0"],
    )
    addresses: tuple[HostInterface, ...] = Field(
        (),
        title="Addresses",
        description="The host's fixed addresses on the bridge, with prefix length; empty for DHCP or no address.",
        examples=["192.168.182.100/24"],
    )
    dhcp: StrictBool = Field(
        False,
        title="Use DHCP",
        description="The host gets its address on the bridge from the router, by DHCP over IPv4.",
    )
    keep_mac: StrictBool = Field(
        False,
        title="Keep the MAC",
        description="The bridge takes over the NIC's MAC address, and with DHCP its lease too.",
    )
    gateway: Gateway | None = Field(
        None,
        title="Gateway",
        description="The router that leads out of the LAN; leave it empty if another NIC has the default route.",
        examples=["192.168.182.1"],
    )
    nameservers: tuple[AnyAddress, ...] = Field(
        (),
        title="Name servers",
        description="The DNS servers that the host asks over the bridge.",
        examples=["1.1.1.1"],
    )
    network: LibvirtName = Field(
        "lan-bridge",
        title="libvirt network",
        description="The name under which libvirt offers the bridge to guests.",
        examples=["vxlan10-bridge"],
    )


class Allow(Part):
    """One rule of `ufw allow`. Without `port` it opens all ports to `from`."""

    source: Source = Field(
        alias="from",
        title="From",
        description="Who may connect: an address, a network, or `any`.",
        examples=["192.168.182.0/24"],
    )
    port: Port | None = Field(
        None, title="Port", description="The port that is opened; leave it empty for all of them.", examples=[2049]
    )
    proto: Literal["tcp", "udp", "any"] = Field("tcp", title="Protocol", description="The protocol that is let in.")
    comment: Comment | None = Field(
        None, title="Note", description="A note that ufw shows beside the rule.", examples=["NFS"]
    )


class Route(Part):
    """One rule of `ufw route allow in on IN out on OUT`."""

    in_on: InterfaceName = Field(
        alias="in", title="Comes in on", description="The interface that packets come in on.", examples=["wg0"]
    )
    out_on: InterfaceName = Field(
        alias="out", title="Goes out on", description="The interface that packets leave through.", examples=["br0"]
    )


class Ufw(Part):
    """The host's ufw. Left out: ufw is left alone."""

    enabled: StrictBool = Field(True, title="Switch ufw on", description="ufw filters what reaches the host itself.")
    ssh_from: Source = Field(
        "any",
        title="SSH from",
        description="Who may reach the host's SSH port, which always stays open to them.",
        examples=["any", "192.168.182.0/24"],
    )
    allow: tuple[Allow, ...] = Field(
        (),
        title="Open ports",
        description="What else may reach the host; a rule of ours that is no longer listed is removed.",
        examples=[{"from": "192.168.182.0/24", "port": 2049, "comment": "NFS"}],
    )
    routes: tuple[Route, ...] = Field(
        (),
        title="Forwarding",
        description="Pairs of interfaces between which the host may forward; a bridge to itself is implied.",
        examples=[{"in": "wg0", "out": "br0"}],
    )


class Firewall(Part):
    """How the host filters. Left out: its filters and NAT rules are left alone."""

    filter_bridged: StrictBool = Field(
        False,
        title="Filter bridged packets",
        description="Packets between guests pass the host's firewall too; better left off.",
    )
    nat: Literal["restrict-source", "exempt-bridged", "exempt-lan", "report"] = Field(
        "report",
        title="NAT that rewrites guests",
        description="What to do about masquerade rules that rewrite traffic between guests.",
    )
    ufw: Ufw | None = Field(None, title="ufw", description="The host's ufw; leave it out to leave ufw alone.")


class Isolated(Part):
    """A network of the guests' own, on no NIC. Left out: guests talk to each other over the LAN."""

    name: NewBridgeName = Field(
        "kube-isolated",
        title="Isolated network",
        description="The name of the libvirt network and of its bridge, at most 15 characters.",
        examples=["kube-isolated"],
    )
    cidr: IsolatedCidr = Field(
        title="Range",
        description="The private range of the guests' second addresses; nothing else at home may use it.",
        examples=["192.168.190.0/24"],
    )


class Packages(Part):
    """A mirror of the Kubernetes packages."""

    repository: WebAddress = Field(
        title="Repository",
        description="The Debian repository that has kubelet, kubeadm and kubectl of this minor version.",
        examples=["https://mirror.home.arpa/core:/stable:/v1.36/deb/"],
    )
    key: FileOrUrl = Field(
        title="Key",
        description="The key that the repository is signed with: a URL, or a file beside cluster.yaml.",
        examples=["https://mirror.home.arpa/core:/stable:/v1.36/deb/Release.key"],
    )


class Kubernetes(Part):
    """The cluster inside the guests. Left out: guests are set up, Kubernetes is not."""

    version: Version = Field(
        "1.36",
        title="Version",
        description="The Kubernetes version: a minor one for its newest patch, or an exact one.",
        examples=["1.36", "1.36.4"],
    )
    pod_cidr: PodCidr = Field(
        "10.244.0.0/16",
        validate_default=True,
        title="Pod range",
        description="The private range that pods get addresses from, a /24 for each node.",
        examples=["10.244.0.0/16"],
    )
    service_cidr: ServiceCidr = Field(
        "10.96.0.0/12",
        validate_default=True,
        title="Service range",
        description="The private range that services get addresses from.",
        examples=["10.96.0.0/12"],
    )
    cni: PodNetwork = Field(
        "calico",
        validate_default=True,
        title="Pod network",
        description="The software that connects pods: calico, cilium, none, or {manifest: FILE-or-URL}.",
        examples=["calico", "cilium", "none"],
    )
    cni_version: CniVersion | None = Field(
        None,
        title="Pod network's version",
        description="Which calico or cilium; without it one that fits the Kubernetes version.",
        examples=["3.32.1"],
    )
    endpoint: Endpoint | None = Field(
        None,
        title="API endpoint",
        description="Name or virtual address of the Kubernetes API; without it, for good, the first control plane's.",
        examples=["k8s-api.home.arpa"],
    )
    packages: Packages | None = Field(
        None,
        title="Package mirror",
        description="Where nodes get their Kubernetes packages, when not from its own repository.",
    )
    images: Registry | None = Field(
        None,
        title="Image mirror",
        description="Where nodes get the images of Kubernetes itself, when not from its own registry.",
        examples=["mirror.home.arpa:5000/k8s"],
    )
