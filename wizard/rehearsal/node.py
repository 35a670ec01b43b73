"""What a container lacks to be a Kubernetes node, made good so that nothing of it is in a node's own configuration.

All of it lies below /usr and /srv: /etc is the owner's, and the wizard's.
"""

from __future__ import annotations

from pathlib import Path

from wizard.rehearsal import kubernetes

IMAGES = "/srv/images"
OURS = "/usr/local/lib/rehearsal"


def plain(kit: Path) -> dict[str, Path]:
    """containerd's snapshots are overlays themselves, and cannot lie on one."""
    return {"/var/lib/containerd": kit / kubernetes.STORE}


def options(kit: Path) -> tuple[str, ...]:
    """Of systemd-nspawn: what kubelet watches, what runc calls, and the images."""
    images = f"--bind-ro={kit / kubernetes.IMAGES}:{IMAGES}"
    return ("--bind=/dev/kmsg", "--system-call-filter=@keyring bpf", images)


# kubelet sets the first three, which belong to the whole machine, and gives up where it cannot. An empty table of
# swaps keeps `swapoff` from this machine's own.
KERNEL = r"""#!/bin/sh
set -eu
stand_in() { # PATH TEXT
  mkdir -p /run/rehearsal
  printf "$2" > "/run/rehearsal/${1##*/}"
  mount --bind "/run/rehearsal/${1##*/}" "$1"
}
mount --make-rshared /
while read -r _ place kind _; do
  [ "$kind" != cgroup ] || mount -o remount,bind,rw "$place"
done < /proc/self/mounts
stand_in /proc/sys/vm/overcommit_memory '1\n'
stand_in /proc/sys/kernel/panic '10\n'
stand_in /proc/sys/kernel/panic_on_oops '1\n'
stand_in /proc/swaps 'Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n'

# No module can be loaded here: those that are at work already are shown as parts of the kernel.
modules=/lib/modules/$(uname -r)
mkdir -p "$modules"
{
  ! grep -qw overlay /proc/filesystems || echo kernel/fs/overlayfs/overlay.ko
  [ ! -d /proc/sys/net/bridge ] || echo kernel/net/bridge/br_netfilter.ko
} > "$modules/modules.builtin"
: > "$modules/modules.order"
depmod
"""

KERNEL_UNIT = f"""\
[Unit]
Description=What a container lacks of a machine (rehearsal)
DefaultDependencies=no
Before=sysinit.target systemd-modules-load.service systemd-sysctl.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={OURS}/kernel
"""

EARLY = """\
[Unit]
Wants=rehearsal-kernel.service
"""

IMPORT = f"""\
#!/bin/sh
set -eu
there=$(ctr --namespace k8s.io images list --quiet)
for archive in {IMAGES}/*.tar; do
  manifest=$(tar --extract --to-stdout --occurrence=1 --file "$archive" manifest.json)
  tag=$(printf '%s' "$manifest" | sed 's/.*"RepoTags": \\["//; s/".*//')
  printf '%s\\n' "$there" | grep -qxF "$tag" || ctr --namespace k8s.io images import "$archive"
done
"""

# No registry can be reached: images are there as soon as containerd is, also where its store was removed with it.
CONTAINERD = f"""\
[Service]
ExecStartPost={OURS}/images
TimeoutStartSec=infinity
"""

# Without CAP_SYS_RESOURCE nobody may make a process less likely to be killed, and runc gives up where it should.
RUNC = """\
#!/bin/sh
# runc of a rehearsal: the real one, asked for nothing that it may not do in a container.
bundle=. creates= previous=
for word; do
  case $previous in --bundle | -b) bundle=$word ;; esac
  case $word in
    --bundle=*) bundle=${word#--bundle=} ;;
    create | run) creates=yes ;;
  esac
  previous=$word
done
[ -z "$creates" ] || sed -i 's/"oomScoreAdj": *-[0-9]*/"oomScoreAdj":0/' "$bundle/config.json"
exec /usr/sbin/runc "$@"
"""

FILES = {
    f"{OURS}/kernel".strip("/"): (KERNEL, 0o755),
    f"{OURS}/images".strip("/"): (IMPORT, 0o755),
    "usr/local/sbin/runc": (RUNC, 0o755),
    "usr/lib/systemd/system/rehearsal-kernel.service": (KERNEL_UNIT, 0o644),
    "usr/lib/systemd/system/sysinit.target.d/rehearsal.conf": (EARLY, 0o644),
    "usr/lib/systemd/system/containerd.service.d/rehearsal.conf": (CONTAINERD, 0o644),
}
