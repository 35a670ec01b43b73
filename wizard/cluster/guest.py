"""The guests of cluster.yaml, and how one is made."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Annotated, Literal

from pydantic import Field, StrictBool

from wizard.cluster.addresses import AnyMac, Gateway, HostInterface, Mac, address_v4
from wizard.cluster.names import GuestName, Image, Sha256, SshDestination, checked
from wizard.cluster.sections import Part
from wizard.cluster.sizes import Size, gib, mib, within

Role = Literal["control-plane", "worker"]
Vcpus = Annotated[int, Field(strict=True, ge=1, le=512)]
IsolatedAddress = Annotated[IPv4Address, *checked(address_v4)]
Memory = Annotated[Size, *checked(within(mib(256), gib(16384)))]
Disk = Annotated[Size, *checked(within(gib(2), gib(65536)))]


class Create(Part):
    """How a guest is made. Read once: later differences are shown, not applied."""

    address: HostInterface = Field(
        title="Address",
        description="The guest's fixed address on the LAN, with prefix length.",
        examples=["192.168.182.131/24"],
    )
    gateway: Gateway | None = Field(
        None,
        title="Gateway",
        description="The guest's router; without it the bridge's is used.",
        examples=["192.168.182.1"],
    )
    mac: Mac | None = Field(
        None,
        title="MAC",
        description="The MAC on the LAN; without it one is derived from the names.",
        examples=["52:54:00:a0:00:10"],
    )
    isolated_mac: Mac | None = Field(
        None,
        title="Isolated MAC",
        description="The MAC on the isolated network; without it one is derived from the names.",
        examples=["52:54:00:a0:00:20"],
    )
    memory: Memory = Field(
        "4GiB",
        validate_default=True,
        title="Memory",
        description="The guest's memory, at least 2GiB for a node.",
        examples=["8GiB"],
    )
    vcpus: Vcpus = Field(
        2, title="CPUs", description="The guest's virtual CPUs, at least 2 for a control plane.", examples=[4]
    )
    disk: Disk = Field(
        "40GiB",
        validate_default=True,
        title="Disk",
        description="The size of the guest's disk, at least 20GiB for a node.",
        examples=["64GiB"],
    )
    image: Image = Field(
        title="Image",
        description="The cloud image to start from: a path on the hypervisor, or a URL together with its sha256.",
        examples=["/var/lib/libvirt/images/noble-server-cloudimg-amd64.img"],
    )
    sha256: Sha256 | None = Field(
        None,
        title="Checksum",
        description="The image's SHA-256; needed when the image is a URL.",
        examples=["e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
    )


class Guest(Part):
    """A virtual machine on the hypervisor, or another machine on the LAN that becomes a node beside them."""

    name: GuestName = Field(title="Guest", description="The name of the libvirt domain.", examples=["aki0"])
    role: Role = Field(
        title="Role",
        description="What the guest is in the Kubernetes cluster; of control planes take an odd number.",
    )
    ssh: SshDestination | None = Field(
        None,
        title="SSH destination",
        description="How you reach the guest: what you would type after `ssh`; without it, the address libvirt knows.",
        examples=["owner@192.168.182.130"],
    )
    isolated_address: IsolatedAddress | None = Field(
        None,
        title="Isolated address",
        description="The guest's address on the isolated network; without it the guest is not attached to it.",
        examples=["192.168.190.100"],
    )
    nic: Literal["leave", "bridge"] = Field(
        "leave",
        title="First NIC",
        description="Whether to move the guest's first NIC to the bridge when it is elsewhere.",
    )
    physical: StrictBool = Field(
        False,
        title="A machine of its own",
        description="It is another machine, such as a Raspberry Pi, and no guest of this hypervisor.",
    )
    isolated_mac: AnyMac | None = Field(
        None,
        title="Its second card's MAC",
        description="Of a machine of its own: the card that is on the isolated network.",
        examples=["dc:a6:32:00:00:10"],
    )
    create: Create | None = Field(
        None, title="Create", description="How the guest is made; leave it out for a guest that exists already."
    )
