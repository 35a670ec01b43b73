"""Who makes the control groups of containers on a node: systemd, or the runtime itself (cgroupfs).

The kubelet and containerd must agree on it (kubernetes.io, configure-cgroup-driver), so what is written into the
kubelet's configuration is what containerd runs with.
"""

from __future__ import annotations

import re

from wizard.model import Fact, FactError, Output


def _driver(output: Output) -> str:
    """From `containerd config dump`, which prints what the running version makes of its file; versions 2, 3 and 4."""
    if output.rc:
        raise FactError(f"containerd does not say how it is configured: {output.complaint[-300:]}")
    return "systemd" if re.search(r"^\s*SystemdCgroup\s*=\s*true\s*$", output.text, re.MULTILINE) else "cgroupfs"


CGROUP_DRIVER: Fact[str] = Fact("cgroup-driver", "containerd config dump", _driver)
"""systemd or cgroupfs, as containerd is configured now."""
