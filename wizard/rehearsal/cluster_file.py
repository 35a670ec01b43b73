"""The cluster.yaml that a rehearsal hands to its owner."""

from __future__ import annotations

from wizard.rehearsal import image, kubernetes_packages, network, pod_network
from wizard.rehearsal.guests import MOST, Guest
from wizard.rehearsal.kubernetes_build import MINOR
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

GUESTS = f"""\
isolated:
  name: {network.ISOLATED_BRIDGE}
  cidr: {network.ISOLATED}.0/24
{{kubernetes}}guests:{{guests}}
"""

# The packages are the rehearsal's own, the images are on the nodes already.
KUBERNETES = """\
kubernetes:
  version: "{version}"
  pod_cidr: {pods}
  service_cidr: 10.96.0.0/12
  cni: {{manifest: {manifest}}}
  packages:
    repository: {repository}
    key: {repository}Release.key
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

PHYSICAL = """
    physical: true
    isolated_mac: {guest.isolated_mac}"""

FINDINGS = ("no-kvm", "slow-fsync", "no-console")


def text(spec: Spec) -> str:
    """What the owner of this rehearsal wants; on a midway one, the end that the article reaches."""
    guests = (*spec.named_guests, *spec.named_nodes)
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
    return HYPERVISOR.format(**words) + FIREWALL + GUESTS.format(kubernetes=_kubernetes(spec), guests=listed)


def _kubernetes(spec: Spec) -> str:
    if not spec.nodes:
        return ""
    files = f"http://{network.ROUTER}:{network.FILES_PORT}"
    repository = f"{files}/{kubernetes_packages.PLACE}/"
    return KUBERNETES.format(version=MINOR, pods=pod_network.PODS, manifest=pod_network.FILE, repository=repository)


def _guest(guest: Guest, spec: Spec) -> str:
    apart = APART if guest.number == MOST - 1 else ""
    more = PHYSICAL if spec.nodes else apart if spec.midway else CREATE
    return (GUEST + more).format(guest=guest, user=network.USER, prefix=network.PREFIX, image=image.INSIDE)
