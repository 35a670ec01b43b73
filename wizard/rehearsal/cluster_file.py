"""The cluster.yaml that a rehearsal hands to its owner."""

from __future__ import annotations

from collections.abc import Sequence

from wizard.rehearsal import image, network
from wizard.rehearsal.guests import Guest

TEMPLATE = """\
# A throwaway hypervisor: its two NICs are {main} (main, carries SSH) and {spare} (cable in, not configured).
name: {name}
hypervisor:
  ssh: {user}@{hypervisor}
  accept: [{accept}]
bridge:
  name: br0
  port: {main}
  addresses: [{hypervisor}/{prefix}]
  gateway: {router}
  nameservers: [{router}]
  network: vxlan10-bridge
isolated:
  name: kube-isolated
  cidr: 192.168.190.0/24
guests:{guests}
"""

GUEST = """
  - name: {guest.name}
    role: {guest.role}
    ssh: {user}@{guest.address}
    isolated_address: {guest.isolated_address}"""

# Emulated guests: more memory than Debian needs would be for nothing, and a second CPU slows both down.
CREATE = """
    create:
      address: {guest.address}/{prefix}
      memory: 768MiB
      vcpus: 1
      disk: 6GiB
      image: {image}"""

FINDINGS = ("no-kvm", "slow-fsync", "no-console")


def text(name: str, guests: Sequence[Guest] = ()) -> str:
    """For a cluster with this name on the rehearsal's hypervisor, whose guests are still to be made."""
    return TEMPLATE.format(
        name=name,
        main=network.MAIN_NIC,
        spare=network.SPARE_NIC,
        user=network.USER,
        hypervisor=network.HYPERVISOR,
        prefix=network.PREFIX,
        router=network.ROUTER,
        accept=", ".join((*FINDINGS, "small-guest") if guests else FINDINGS),
        guests="".join(_to_create(guest) for guest in guests) or " []",
    )


def _to_create(guest: Guest) -> str:
    return (GUEST + CREATE).format(guest=guest, user=network.USER, prefix=network.PREFIX, image=image.INSIDE)
