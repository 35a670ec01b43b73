"""What a node's kernel offers: control groups, modules and settings that Kubernetes needs, processors and memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from wizard.facts.system import KIB, pairs
from wizard.model import Fact, FactError, Output

SETTINGS: Mapping[str, str] = {
    "net.ipv4.ip_forward": "1",
    "net.bridge.bridge-nf-call-iptables": "1",
    "net.bridge.bridge-nf-call-ip6tables": "1",
}
"""kubeadm's preflight wants the first; bridged pods (flannel, the bridge plugin) need the others (DOMAIN S5)."""
MODULES = ("overlay", "br_netfilter")


@dataclass(frozen=True)
class NodeKernel:
    unified: bool
    """cgroup version 2 alone is mounted (cgroups(7))."""
    systemd: bool
    """Process 1 is systemd."""
    memory_groups: bool
    """The memory controller is there; on a Raspberry Pi it has to be asked for."""
    kubelet_driver: str = ""
    """systemd or cgroupfs, as the configuration of a kubelet that runs here already has it; empty without one."""
    overlay: bool = True
    settings: Mapping[str, str] = field(default_factory=dict)
    """By the names of SETTINGS; what is missing is not there yet."""
    processors: int = 2
    memory: int = 0
    """Bytes."""

    @property
    def bridged(self) -> bool:
        """br_netfilter is there, loaded or built in."""
        return "net.bridge.bridge-nf-call-iptables" in self.settings


def _kernel(output: Output) -> NodeKernel:
    found = pairs(output)
    if "end" not in found:
        raise FactError(output.complaint or "nothing was said")
    return NodeKernel(
        unified=found["fs"] == "cgroup2fs",
        systemd=found["init"] == "systemd",
        memory_groups=found["memory-groups"] == "yes",
        kubelet_driver=found["driver"] or ("cgroupfs" if found["kubelet"] == "yes" else ""),
        overlay=found["overlay"] == "yes",
        settings={key: found[key] for key in SETTINGS if found[key]},
        processors=int(found["processors"]),
        memory=int(found["memory"]) * KIB,
    )


_READ = "\n".join(f"echo {key}=$(cat /proc/sys/{key.replace('.', '/')} 2>/dev/null)" for key in SETTINGS)

NODE_KERNEL = Fact(
    "node-kernel",
    f"""yes() {{ if "$@" >/dev/null 2>&1; then echo yes; else echo no; fi; }}
c=/var/lib/kubelet/config.yaml
echo fs=$(stat -fc %T /sys/fs/cgroup); echo init=$(cat /proc/1/comm)
echo memory-groups=$(yes sh -c 'grep -qw memory /sys/fs/cgroup/cgroup.controllers || test -d /sys/fs/cgroup/memory')
echo kubelet=$(yes test -e $c); echo driver=$(sed -n 's/^cgroupDriver: *//p' $c 2>/dev/null)
echo overlay=$(yes grep -qw overlay /proc/filesystems)
{_READ}
echo processors=$(grep -c '^processor' /proc/cpuinfo)
echo memory=$(sed -n 's/^MemTotal: *\\([0-9]*\\).*/\\1/p' /proc/meminfo)
echo end=yes""",
    _kernel,
)
"""`grep` counts processors that the machine may use: nproc(1) would count those that this process may."""
