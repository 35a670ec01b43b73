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
        r"(ErrImagePull|ImagePullBackOff|failed to pull image|Back-off pulling image)",
        "a node cannot fetch an image",
        "Look whether that node reaches the registry that the image's name begins with; then retry.",
    ),
    Cause(
        r"cannot fetch https?://",
        "the node does not reach the place that the manifest comes from",
        "Try `curl -I` of that address on the node; or fetch it yourself and use `cni: {manifest: FILE}`.",
    ),
    Cause(
        r"still no pod network after \d+ s",
        "the pods that make it did not come up, or not on every node",
        "Read the reasons above, and what `kubectl describe` says of those pods; then retry.",
    ),
)


def likely_cause(text: str) -> Cause | None:
    """The first cause whose symptom is in `text`."""
    return next((cause for cause in CAUSES if re.search(cause.symptom, text)), None)
