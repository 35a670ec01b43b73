"""From what a host said to what is probably the matter and what helps: DOMAIN 7, as data."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Cause:
    symptom: str
    """A regular expression, looked for in the last lines of a log."""
    why: str
    cure: str


CAUSES = (
    Cause(
        r"fault: swap is on|\[ERROR Swap\]",
        "swap is on, and the kubelet does not start where there is any",
        "Apply `join.prerequisites`: it switches swap off for good; then retry.",
    ),
    Cause(
        r"fault: the CRI of containerd is disabled|unknown service runtime\.v1",
        "containerd runs without its CRI plugin, through which the kubelet starts containers",
        "Apply `join.prerequisites`: it enables the plugin; then retry.",
    ),
    Cause(
        r"fault: containerd does not answer|\[ERROR CRI\]",
        "containerd does not run",
        "Look at `systemctl status containerd` and `journalctl -u containerd` on the node; then retry.",
    ),
    Cause(
        r"fault: the kubelet and containerd do not agree on the cgroup driver",
        "the kubelet and containerd do not agree on who makes control groups",
        "Apply `join.prerequisites`, which sets containerd's; then retry.",
    ),
    Cause(
        r"(inotify_init|fsnotify watcher): too many open files",
        "the machine's limit of watched files is used up, and the kubelet needs some of its own",
        "Raise it: `sudo sysctl -w fs.inotify.max_user_instances=1024`, and in a file below /etc/sysctl.d; then retry.",
    ),
    Cause(
        r"fault: the kubelet gives up",
        "the kubelet does not stay up; why, it says itself",
        "Put right what it names (its settings: /var/lib/kubelet/config.yaml, /etc/default/kubelet); then retry.",
    ),
    Cause(
        r"fault: the kubelet refused a pod",
        "the kubelet did not take a pod of the control plane, for what it said, and does not try it again by itself",
        "Put right what it names: free disk, memory or processors for it; then retry.",
    ),
    Cause(
        r"\[ERROR Port-\d+\]|bind: address already in use",
        "another program has a port that Kubernetes needs",
        "See which: `sudo ss -ltnp` on the node. Stop it, or use another machine; then retry.",
    ),
    Cause(
        r"\[ERROR ImagePull\]|failed to get sandbox image"
        r"|[Pp]ull(ing)? image \W*\S+/(kube-(apiserver|controller-manager|scheduler|proxy)|etcd|coredns|pause)[:@]",
        "the node does not get the images of Kubernetes",
        "Check its way to the registry (`curl -I https://registry.k8s.io`), or name a mirror: `kubernetes.images`.",
    ),
    Cause(
        r"error: the clocks differ|certificate has expired or is not yet valid",
        "the clocks of the machines differ, so certificates are not valid yet, or not any more",
        "Let every machine keep its time by NTP (`timedatectl set-ntp true`), wait until they agree, then retry.",
    ),
    Cause(
        r"none of the public keys .* are pinned",
        "another cluster answers at the endpoint than the one whose CA was expected",
        "See who has that address or name: its API server is not the first control plane's; then retry.",
    ),
    Cause(
        r"could not find a JWS signature|invalid bootstrap token|token ID .* has expired",
        "the bootstrap token is no longer good, or was taken away",
        "Retry: a new one is minted each time. If it happens again, look at the clocks of both machines.",
    ),
    Cause(
        r"error downloading the secret|kubeadm-certs.* not found",
        "the control plane's certificates are no longer there to be fetched: they go after two hours",
        "Retry: they are uploaded anew each time.",
    ),
    Cause(
        r"a Node with name .* already exists",
        "a node of that name is in the cluster and was Ready a moment ago",
        "Wait a minute if it was just reset; else give one of the two another name; then retry.",
    ),
    Cause(
        r"still not so after \d+ s: the Kubernetes API answers at",
        "the node does not reach the API server: a firewall, a wrong name or address, or it is down",
        "On the node: `curl -k https://ENDPOINT:6443/version`, `getent hosts ENDPOINT`; then retry.",
    ),
    Cause(
        r"fault: etcd waits for the disk|etcdserver: request timed out",
        "the disk is too slow for etcd, or the machine is overloaded",
        "Put the guest's disk on an SSD, and look what else loads the hypervisor (`iostat`, `top`); then retry.",
    ),
    Cause(
        r"still not so after \d+ s: the API server says that it is ready",
        "the API server, or etcd below it, does not come up",
        "On the node: `crictl ps -a`, `tail /var/log/pods/kube-system_*/*/*.log`, `journalctl -u kubelet`; then retry.",
    ),
    Cause(
        r"\[ERROR (FileAvailable|DirAvailable)-",
        "an earlier kubeadm has left something on the node",
        "Look at the plan again: it says what was found, and offers to take it away.",
    ),
    Cause(
        r"\[ERROR (NumCPU|Mem)\]",
        "the machine is too small for a control plane: 2 CPUs and 1700 MB are the least",
        "Give it more (`virsh setvcpus`, `virsh setmaxmem`), shut it down and start it; then retry.",
    ),
    Cause(
        r"No space left on device",
        "the disk of the host is full",
        "Make room on the host (`df -h`; `apt-get clean`; `journalctl --vacuum-size=100M`), then retry.",
    ),
    Cause(
        r"Read-only file system",
        "the host's disk is mounted read-only, often after a disk error",
        "Look at `dmesg` on the host for disk errors and restart it; then retry.",
    ),
    Cause(
        r"is no longer as it was when this was planned",
        "somebody, or another program, changed that file in the meantime",
        "Look at the plan again: it shows the file as it is now.",
    ),
    Cause(
        r"Could not get lock|dpkg frontend lock",
        "another program is installing packages, often unattended-upgrades",
        "Wait until it has finished, then retry.",
    ),
    Cause(
        r"dpkg was interrupted|dpkg --configure -a",
        "an earlier installation was cut off",
        "Run `sudo dpkg --configure -a` on the host, then retry.",
    ),
    Cause(
        r"Unable to fetch|Temporary failure resolving|Could not resolve|Failed to fetch",
        "the host does not reach its package mirror",
        "Check its internet connection and name servers (`resolvectl` or /etc/resolv.conf), then retry.",
    ),
    Cause(
        r"Hash Sum mismatch|NO_PUBKEY|is not signed",
        "the package lists are damaged or not signed by a known key",
        "Run `sudo apt-get update` on the host and read what it says; then retry.",
    ),
    Cause(
        r"Device or resource busy",
        "the NIC carries a macvtap or VLAN device, or belongs to another bridge or bond",
        "Shut off the guests that use it directly, or choose another NIC; then retry.",
    ),
    Cause(
        r"Failed to set master interface: Invalid argument",
        "the bridge was deleted and made again under a running systemd-networkd 252",
        "Run `sudo systemctl restart systemd-networkd` on the host, then retry.",
    ),
    Cause(
        r"network '.*' already exists with uuid",
        "a network of that name was defined in the meantime",
        "Look at the plan again: it shows the network as it is now.",
    ),
    Cause(
        r"Cannot get interface MTU on|No such device",
        "the bridge is not there",
        "Do the bridge first, then retry.",
    ),
    Cause(
        r"bridge name '.*' already in use|Network is already in use by interface",
        "another libvirt network uses that bridge name or address range",
        "Give it another name in cluster.yaml, or remove the other network.",
    ),
    Cause(
        r"No more available PCI slots|does not support hotplugging",
        "the guest has no free slot for another device while it runs; a reboot of it does not change that",
        "Shut it down and start it (`virsh shutdown NAME`, then `virsh start NAME`): it then has the NIC; then retry.",
    ),
    Cause(
        r"network '.*' is not active",
        "the libvirt network was stopped",
        "Apply `bridge.network` and `isolated.network`: they start it; then retry.",
    ),
    Cause(
        r"still not so after \d+ s: \S+ is shut off",
        "the guest does not react when it is asked to shut down",
        "Log in to it (or `virsh console NAME`) and run `sudo poweroff`; then retry. Nothing is forced.",
    ),
    Cause(
        r"still not so after \d+ s: \S+ sees the NIC",
        "the guest's kernel has not taken up the NIC that was plugged in",
        "Retry: the guest is then shut down and started, after you agree.",
    ),
    Cause(
        r"failed to connect to the hypervisor|Failed to connect socket to '/var/run/libvirt",
        "libvirtd does not run",
        "Run `sudo systemctl start libvirtd` on the host and look at `journalctl -u libvirtd`; then retry.",
    ),
    Cause(
        r'failed to find plugin "[^"]*" in path \[/usr/lib/cni\]',
        "Debian's containerd looks for pod networks in /usr/lib/cni, and they install themselves in /opt/cni/bin",
        "Apply `join.prerequisites`: it sets containerd's bin_dir; then retry.",
    ),
    Cause(
        r"ErrImagePull|ImagePullBackOff|[Ff]ailed to pull image|Back-off pulling image",
        "a node cannot fetch an image",
        "Look whether that node reaches the registry that the image's name begins with; then retry.",
    ),
    Cause(
        r"cannot fetch https?://",
        "the node does not reach the place that the manifest comes from",
        "Try `curl -I` of that address on the node; or fetch it yourself and use `cni: {manifest: FILE}`.",
    ),
    Cause(
        r"still not so after \d+ s: \S+ is listed among the nodes",
        "its kubelet has not registered it with the cluster",
        "On it, see `journalctl -u kubelet -n 50` (a name that is taken, a clock, the API's address); then retry.",
    ),
    Cause(
        r"still not so after \d+ s: the operator has told calico-node",
        "Calico's operator has not passed it on: it does not run, or finds fault with the Installation",
        "See `kubectl -n tigera-operator logs deployment/tigera-operator --tail=50`; then retry.",
    ),
    Cause(
        r"still no pod network after \d+ s",
        "the pods that make it did not come up, or not on every node",
        "Read the reasons above, and what `kubectl describe` says of those pods; then retry.",
    ),
    Cause(
        r"cannot delete .*\(use --force to override\)",
        "a pod runs there that nothing would start again elsewhere: kubectl moved none away; new ones are kept off",
        "Make that pod anew elsewhere, or delete it, then undo again. To keep the node: `kubectl uncordon NODE`.",
    ),
    Cause(
        r"error when evicting pod.*: global timeout reached",
        "a PodDisruptionBudget kept a pod from going in time; the node takes no new ones, and some have left it",
        "See `kubectl get pdb -A`: let more of those pods run elsewhere, or delete the one that was named, then undo "
        "again. To keep the node: `kubectl uncordon NODE`.",
    ),
    Cause(
        r"error when waiting for pod.*: global timeout reached",
        "a pod did not end in time; the node takes no new ones, and some have left it",
        "See why with `kubectl describe` (a long grace period, a finalizer), or delete that pod, then undo again. "
        "To keep the node: `kubectl uncordon NODE`.",
    ),
)


def likely_cause(text: str) -> Cause | None:
    """The first cause whose symptom is in `text`."""
    return next((cause for cause in CAUSES if re.search(cause.symptom, text)), None)
