"""All that nodes get from a rehearsal: a repository of Debian packages and images, made once and kept in the cache."""

from __future__ import annotations

import shutil
from pathlib import Path

from wizard.rehearsal import (
    kubernetes_build,
    kubernetes_images,
    kubernetes_packages,
    kubernetes_store,
    kubernetes_workshop,
    once,
)
from wizard.rehearsal.node_recipe import NodeRecipe
from wizard.rehearsal.once import Say
from wizard.rehearsal.recipe import digest_of
from wizard.rehearsal.runtime import cache

REPOSITORY = "repository"
"""Below the kit: what the LAN's file server shows."""
IMAGES = "images"
"""Below the kit: archives for `ctr images import`."""
STORE = "store"
"""Below the kit: what is in /var/lib/containerd once they are imported."""


def ensure(say: Say) -> Path:
    """The kit's directory, making it first when the cache has none: Kubernetes is compiled (minutes), then packed."""

    def make(kept: Path, lock: int) -> None:
        _build(kept, lock, say)

    return once.ensure(cache() / "kubernetes" / name(), "kit for Kubernetes nodes", make, say)


def name() -> str:
    """Changes with anything that changes the kit, except what Debian publishes."""
    made_of = [kubernetes_build.name(), _script(), NodeRecipe().name, kubernetes_store.SCRIPT]
    return f"kit-{kubernetes_build.VERSION}-{digest_of(made_of)}"


def _script() -> str:
    return kubernetes_packages.script() + kubernetes_images.script()


def _build(kept: Path, lock: int, say: Say) -> None:
    programs = kubernetes_build.ensure(say)
    building = kept.with_name(f".{kept.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    (building / "out").mkdir(parents=True)
    say("Packing what Kubernetes nodes need; this happens once.")
    try:
        scratch, beside = building / "scratch", {"/out": building / "out", "/programs": programs}
        kubernetes_workshop.work(_script(), beside, scratch, lock, say)
        kubernetes_workshop.work(kubernetes_store.SCRIPT, beside, scratch, lock, say, NodeRecipe())
        (building / "out").rename(kept)
    finally:
        shutil.rmtree(building, ignore_errors=True)
