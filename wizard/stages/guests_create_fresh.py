"""What a host says when the guests are to be made there: networks are there, guests are not, images are."""

from __future__ import annotations

from typing import Any

from wizard.cluster import Cluster
from wizard.facts.guests import ADDRESSES, GuestAddresses
from wizard.facts.images import GuestFiles, Image
from wizard.facts.libvirt import DOMAINS, Domains
from wizard.facts.login_keys import LOGIN_KEYS, LoginKeys
from wizard.facts.network import NAMESERVERS, ROUTES, SSH_PATH, Route, SshPath
from wizard.facts.system import MEMORY, Memory
from wizard.facts.virtualisation import KVM, Kvm
from wizard.marks import read_there
from wizard.model import AnyFact
from wizard.stages.fresh import Values, on_hypervisor
from wizard.stages.guests_create_seen import files_of, seed_files

_USER = "echo $SUDO_USER | grep . || logname || id -un"
"""Who logged in, also below sudo(8) and su(1)."""
_PLAIN = "^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp[0-9]+|sk-[a-z0-9-]+@openssh.com) AAAA"
_KEY = (
    f"cd $(getent passwd $({_USER}) | cut -f 6 -d:)/.ssh && "
    f'grep -hEs "{_PLAIN}" authorized_keys authorized_keys2 | head -n 1 | cut -d " " -f 1,2'
)
"""The first without options, of the types that `LOGIN_KEYS` takes; a comment may be of other than plain words."""
_GATEWAY = 'ip route show default | cut -d " " -f 3'
PLENTY = 1024**5
"""Bytes: more than any guest asks for."""


def fresh_guests(cluster: Cluster) -> Values:
    """A local image is there, one with a URL has not been fetched; the keys are those that open the hypervisor.

    KVM works, unless the owner has accepted that it does not.
    """
    bridge, works = cluster.bridge, "no-kvm" not in cluster.hypervisor.accept
    values: dict[AnyFact[Any], object] = {
        DOMAINS: Domains(),
        ADDRESSES: GuestAddresses(),
        LOGIN_KEYS: LoginKeys(read_there(_USER), (read_there(_KEY),)),
        SSH_PATH: SshPath("192.0.2.1", "192.0.2.2", 22),
        ROUTES: (Route("default", read_there(_GATEWAY), bridge.name),) if bridge and bridge.dhcp else (),
        NAMESERVERS: (),
        KVM: Kvm(works, works),
        MEMORY: Memory(PLENTY, PLENTY),
    }
    for guest in cluster.guests:
        if guest.create:
            image = Image(0, "qcow2") if guest.create.image.startswith("/") else None
            values[files_of(guest, guest.create)] = GuestFiles(image, None, False, PLENTY)
            values[seed_files(guest.name)] = {}
    return on_hypervisor(values)
