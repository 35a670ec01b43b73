"""The cluster.yaml that a rehearsal hands to its owner."""

from __future__ import annotations

from wizard.rehearsal import image, network
from wizard.rehearsal.guests import Guest
from wizard.rehearsal.record import Spec

HYPERVISOR = """\
# A throwaway hypervisor: its two NICs are {main} (main, carries SSH) and {spare} ({spare_is}).
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
"""

FIREWALL = """\
firewall:
  filter_bridged: false
  nat: restrict-source
  ufw:
    enabled: true
    ssh_from: any
    allow:
      - {from: 192.168.182.0/24, port: 2049, proto: tcp, comment: NFS}
    routes: []
"""

GUESTS = """\
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

APART = """
    nic: bridge"""

FINDINGS = ("no-kvm", "slow-fsync", "no-console")


def text(spec: Spec) -> str:
    """What the owner of this rehearsal wants; on a midway one, the end that the article reaches."""
    guests = spec.named_guests
    words = {
        "main": network.MAIN_NIC,
        "spare": network.SPARE_NIC,
        "spare_is": "port of br0" if spec.midway else "cable in, not configured",
        "name": spec.name,
        "user": network.USER,
        "hypervisor": network.HYPERVISOR,
        "prefix": network.PREFIX,
        "router": network.ROUTER,
        "accept": ", ".join((*FINDINGS, "small-guest") if guests else FINDINGS),
    }
    listed = "".join(_guest(guest, spec) for guest in guests) or " []"
    return HYPERVISOR.format(**words) + FIREWALL + GUESTS.format(guests=listed)


def _guest(guest: Guest, spec: Spec) -> str:
    apart = APART if guest == spec.named_guests[-1] else ""
    more = apart if spec.midway else CREATE
    return (GUEST + more).format(guest=guest, user=network.USER, prefix=network.PREFIX, image=image.INSIDE)
