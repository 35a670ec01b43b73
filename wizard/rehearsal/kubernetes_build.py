"""Kubernetes itself, compiled once from Debian's source package."""

from __future__ import annotations

import shutil
from pathlib import Path

from wizard.rehearsal import kubernetes_workshop, once
from wizard.rehearsal.once import Say
from wizard.rehearsal.recipe import digest_of
from wizard.rehearsal.runtime import cache

MINOR = "1.20"
VERSION = "1.20.2"

PROGRAMS = (
    *("kubeadm", "kubelet", "kubectl"),
    *("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"),
)

# Every copy of the package that knows the version is told it.
VERSIONED = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
VENDORED = "k8s.io/kubernetes/vendor"
KNOWN = {
    "gitVersion": f"v{VERSION}",
    "gitMajor": MINOR.partition(".")[0],
    "gitMinor": MINOR.partition(".")[2],
    "gitCommit": "debian",
    "gitTreeState": "clean",
    "buildDate": "2021-01-13T13:20:00Z",
}
LINKER = " ".join(
    ["-s -w"]
    + [
        f"-X {prefix}{package}.{word}={value}"
        for prefix in ("", f"{VENDORED}/")
        for package in VERSIONED
        for word, value in KNOWN.items()
    ]
)

# The vendored reflect2 crashes when it was compiled by a Go newer than 1.17; Debian's does not.
UNPACK = f"""\
echo 'I: unpacking the source of Kubernetes'
mkdir -p /go/src/k8s.io
dpkg-source --no-check --extract {kubernetes_workshop.SOURCE}/*.dsc /go/src/k8s.io/kubernetes > /dev/null
cd /go/src/k8s.io/kubernetes
rm -r vendor/github.com/modern-go/reflect2
cp -rL /usr/share/gocode/src/github.com/modern-go/reflect2 vendor/github.com/modern-go/
"""

# The API server's description of its own types is no part of the source: upstream's Makefile has it written, as here.
GENERATE = """\
echo 'I: describing the API'
go build -o /go/openapi-gen k8s.io/kubernetes/vendor/k8s.io/kube-openapi/cmd/openapi-gen
described=$(grep -rlF --include='*.go' -e '+k8s:openapi-gen=' pkg staging/src | xargs -n1 dirname | sort -u |
  grep -v -e /_examples/ -e /cmd/ -e /apis/example -e /sample- -e /testapigroup/ |
  sed 's,^staging/src/,vendor/,; s,^,k8s.io/kubernetes/,' | paste -sd ,)
/go/openapi-gen --logtostderr --go-header-file hack/boilerplate/boilerplate.generatego.txt \\
  --output-file-base zz_generated.openapi --output-package k8s.io/kubernetes/pkg/generated/openapi \\
  --output-base /go/src --report-filename /go/violations --input-dirs "$described"
"""

COMPILE = f"""\
echo 'I: compiling Kubernetes {VERSION} (6 minutes on two idle processors)'
go build -ldflags '{LINKER}' -o /out/ {" ".join(f"k8s.io/kubernetes/cmd/{program}" for program in PROGRAMS)}
"""

SCRIPT = f"""\
export GOPATH=/go GOCACHE=/go/cache GO111MODULE=off CGO_ENABLED=0
{UNPACK}{GENERATE}{COMPILE}"""


def ensure(say: Say) -> Path:
    """The directory with `PROGRAMS`, compiling them first (minutes) when the cache has none."""

    def make(kept: Path, lock: int) -> None:
        _build(kept, lock, say)

    return once.ensure(cache() / "kubernetes" / name(), "Kubernetes", make, say)


def name() -> str:
    """Changes with anything that changes the programs, except what Debian publishes."""
    return f"programs-{VERSION}-{digest_of([kubernetes_workshop.WORKSHOP.name, SCRIPT])}"


def _build(kept: Path, lock: int, say: Say) -> None:
    building = kept.with_name(f".{kept.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    (building / "out").mkdir(parents=True)
    say(f"Compiling Kubernetes {VERSION}; this happens once.")
    try:
        kubernetes_workshop.work(SCRIPT, {"/out": building / "out"}, building / "scratch", lock, say)
        (building / "out").rename(kept)
    finally:
        shutil.rmtree(building, ignore_errors=True)
