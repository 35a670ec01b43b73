"""What the owner's own kubeconfig says about a cluster; asked of `homek8s-wizard kubeconfig`, which prints no key."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from functools import cache

from wizard.model import Fact, FactError, Output


@dataclass(frozen=True)
class Kubeconfig:
    """`server`, `ca` and `certificate` (hashes) and `until` are of the cluster's own entries, else empty."""

    file: str
    there: bool = False
    private: bool = True
    """Nobody else may read it."""
    problem: str = ""
    """Why it is left alone, in words, and what to do about it."""
    cure: str = ""
    contexts: tuple[str, ...] = ()
    current: str = ""
    server: str = ""
    ca: str = ""
    certificate: str = ""
    until: str = ""
    """RFC 3339: when the client certificate ends."""
    strange: str = ""
    """An entry of the cluster's name belongs to something else, in words."""
    answer: str = ""
    """What the API answered: ok, name, refused, silent, certificate, rejected, not-ready, other; empty: not asked."""
    said: str = ""
    home: str = ""
    """Where the wizard's notes about this machine are."""
    sudo: str = ""
    """Who ran the wizard with sudo, so that this is root's file."""


def parse_kubeconfig(output: Output) -> Kubeconfig:
    if output.rc:
        raise FactError(f"homek8s-wizard kubeconfig does not run here: {output.complaint[-300:] or output.rc}")
    found = json.loads(output.text)
    return Kubeconfig(**{**found, "contexts": tuple(found.get("contexts", ()))})


@cache
def kubeconfig(name: str) -> Fact[Kubeconfig]:
    """About the cluster `name`, on the host `OWNER`; its API is asked as well."""
    command = f"homek8s-wizard kubeconfig show --name {shlex.quote(name)} --ask"
    return Fact("kubeconfig", command, parse_kubeconfig, limit=30)
