"""The cluster.yaml that a rehearsal hands to its owner."""

from __future__ import annotations

from wizard.rehearsal import network

TEMPLATE = """\
# A throwaway hypervisor: its two NICs are {main} (main, carries SSH) and {spare} (cable in, not configured).
name: {name}
hypervisor:
  ssh: {user}@{hypervisor}
  accept: [no-kvm, slow-fsync, no-console]
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
guests: []
"""


def text(name: str) -> str:
    """For a cluster with this name on the rehearsal's hypervisor."""
    return TEMPLATE.format(
        name=name,
        main=network.MAIN_NIC,
        spare=network.SPARE_NIC,
        user=network.USER,
        hypervisor=network.HYPERVISOR,
        prefix=network.PREFIX,
        router=network.ROUTER,
    )
