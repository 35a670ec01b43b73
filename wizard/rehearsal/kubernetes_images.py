"""The images that nodes run, each an archive of one layer, as `docker save` writes them."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass

from wizard.rehearsal.kubernetes_build import VERSION

PAUSE = """\
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void end(int signal) { (void)signal; _exit(0); }
static void reap(int signal) { (void)signal; while (waitpid(-1, 0, WNOHANG) > 0) {} }

int main(void) {
  signal(SIGINT, end);
  signal(SIGTERM, end);
  signal(SIGCHLD, reap);
  for (;;) pause();
}
"""

# The kernel's table of connections has one size for all: kube-proxy may not set it in a container, and would give up.
KUBE_PROXY = """\
#!/bin/sh
# kube-proxy of a rehearsal: the real one, told to leave nf_conntrack_max alone.
for word; do
  shift
  case $word in
    --config=*)
      sed 's/maxPerCore:.*/maxPerCore: 0/' "${word#--config=}" > /tmp/kube-proxy.conf
      word=--config=/tmp/kube-proxy.conf ;;
  esac
  set -- "$@" "$word"
done
exec /usr/local/libexec/kube-proxy "$@"
"""

# It knows one name of the cluster, which is enough to see that pods reach their DNS; all others it passes on.
COREDNS = """\
#!/bin/sh
# A stand-in for CoreDNS (rehearsal): dnsmasq, with the answers that kubelet's probes want.
/bin/busybox httpd -p 8080 -h /www
/bin/busybox httpd -p 8181 -h /www
exec /usr/sbin/dnsmasq --no-daemon --no-hosts --user=root --group=root \\
  --local=/cluster.local/ --host-record="kubernetes.default.svc.cluster.local,$KUBERNETES_SERVICE_HOST"
"""

# Debian's busybox crashes where wget is given a timeout; the image that this one stands in for does not. Its shell
# would take its own wget before this one.
WGET = """\
#!/bin/sh
limit= next=
for word; do
  shift
  case $next:$word in
    limit:*) limit=$word next= ;;
    :-T | :--timeout) next=limit ;;
    :-T*) limit=${word#-T} ;;
    :--timeout=*) limit=${word#--timeout=} ;;
    *) set -- "$@" "$word" ;;
  esac
done
exec ${limit:+/bin/busybox timeout "$limit"} /bin/busybox wget "$@"
"""

PREPARE = """\
with_libraries() { # ROOT PROGRAM...: each with the libraries and the loader that it needs
  root=$1
  shift
  for each; do
    cp --parents -L "$each" "$root"
    for library in $(ldd "$each" 2>/dev/null | grep -o '/[^ )]*'); do cp --parents -L "$library" "$root"; done
  done
}
applets() { # ROOT: busybox and all its names
  cp --parents /bin/busybox "$1"
  for each in $(/bin/busybox --list); do
    [ -e "$1/bin/$each" ] || ln -s /bin/busybox "$1/bin/$each"
  done
}
image() { # ROOT NAME TAGS CONFIG
  tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$1" -cf /tmp/layer.tar .
  diff=$(sha256sum /tmp/layer.tar | cut -d ' ' -f 1)
  printf "$4" "$diff" > /tmp/config.json
  printf '[{"Config": "config.json", "RepoTags": %s, "Layers": ["layer.tar"]}]' "$3" > /tmp/manifest.json
  tar -C /tmp -cf "/out/images/$2.tar" manifest.json config.json layer.tar
  rm -r "$1" /tmp/layer.tar
}
echo 'I: packing images'
mkdir /out/images
"""

BIRD = """\
with_libraries $r /usr/sbin/bird /usr/sbin/birdc
ln -s birdc $r/usr/sbin/birdcl
mkdir -p $r/run/bird $r/run/calico
"""

IPTABLES = """\
with_libraries $r /usr/sbin/xtables-nft-multi /usr/sbin/conntrack /usr/lib/x86_64-linux-gnu/xtables/*.so
for each in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
  ln -s xtables-nft-multi $r/usr/sbin/$each
done
"""


@dataclass(frozen=True)
class Image:
    """`content` is sh that fills the directory `$r`; `entrypoint` and `command` are as in a Dockerfile.

    `more` are names that it has besides `tag`.
    """

    tag: str
    content: str
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    more: tuple[str, ...] = ()

    @property
    def config(self) -> str:
        """OCI's image configuration; the digest of its layer is left for printf(1)."""
        run = {
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "Entrypoint": list(self.entrypoint),
            "Cmd": list(self.command),
            "Labels": {"rehearsal": "made on this machine"},
        }
        layers = {"type": "layers", "diff_ids": ["sha256:%s"]}
        created = "2021-01-13T13:20:00Z"
        return json.dumps({"created": created, "architecture": "amd64", "os": "linux", "config": run, "rootfs": layers})


def _own(program: str) -> Image:
    """A program of Kubernetes, alone: it is static."""
    return Image(
        f"k8s.gcr.io/{program}:v{VERSION}", f"mkdir -p $r/usr/local/bin; cp /programs/{program} $r/usr/local/bin/"
    )


def _written(path: str, text: str) -> str:
    return f"mkdir -p $r{path.rpartition('/')[0]}\nprintf %s {shlex.quote(text)} > $r{path}\nchmod 755 $r{path}\n"


IMAGES = (
    Image(
        "k8s.gcr.io/pause:3.2",
        f"printf %s {shlex.quote(PAUSE)} > /tmp/pause.c\ngcc -Os -static -s -o $r/pause /tmp/pause.c",
        entrypoint=("/pause",),
        # containerd's own choice, where nobody told it kubeadm's.
        more=("registry.k8s.io/pause:3.6",),
    ),
    Image(
        f"k8s.gcr.io/kube-proxy:v{VERSION}",
        f"applets $r\n{IPTABLES}"
        "mkdir -p $r/usr/local/libexec; cp /programs/kube-proxy $r/usr/local/libexec/\n"
        + _written("/usr/local/bin/kube-proxy", KUBE_PROXY),
    ),
    Image(
        "k8s.gcr.io/coredns:1.7.0",
        "applets $r; with_libraries $r /usr/sbin/dnsmasq; mkdir $r/www; echo OK | tee $r/www/health > $r/www/ready\n"
        + _written("/coredns", COREDNS),
        entrypoint=("/coredns",),
    ),
    Image(
        "docker.io/library/busybox:1.36",
        "applets $r; rm $r/bin/wget $r/bin/sh; with_libraries $r /bin/dash; ln -s dash $r/bin/sh\n"
        + _written("/bin/wget", WGET),
        command=("sh",),
    ),
    Image("docker.io/calico/node:rehearsal", f"applets $r; {BIRD}", command=("sh",)),
    Image("k8s.gcr.io/etcd:3.4.13-0", "with_libraries $r /usr/bin/etcd /usr/bin/etcdctl"),
    *map(_own, ("kube-apiserver", "kube-controller-manager", "kube-scheduler")),
)


def script() -> str:
    """A sh script for the workshop: writes the archives to /out/images."""
    return PREPARE + "".join(map(_made, IMAGES))


def _made(image: Image) -> str:
    accounts = "mkdir -p $r/tmp $r/bin $r/etc; chmod 1777 $r/tmp; echo root:x:0:0:root:/root:/bin/sh > $r/etc/passwd"
    name = image.tag.replace("/", "_").replace(":", "_")
    tags, config = shlex.quote(json.dumps([image.tag, *image.more])), shlex.quote(image.config)
    return (
        f"r=$(mktemp -d)\nchmod 755 $r\n{accounts}; echo root:x:0: > $r/etc/group\n"
        f"{image.content}\nimage $r {name} {tags} {config}\n"
    )
