"""preflight.packages on real machines: Debian 12 and 13, from nothing to libvirt and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wizard.actions import Action, Forget
from wizard.cluster import Cluster
from wizard.facts.libvirt import DOMAINS, NETWORKS, Domains, Networks
from wizard.facts.ours import OURS
from wizard.model import HYPERVISOR, Context, Do, Fact, Known, Nothing, Output, Plan, Seen
from wizard.rehearsal import Rehearsal
from wizard.script import compile_part
from wizard.stages.preflight import PACKAGES_STEP

Hypervisor = Callable[..., Rehearsal]

STEP = PACKAGES_STEP
NAME = f"{STEP.id}@{HYPERVISOR}"
CLUSTER = Cluster.model_validate({"name": "home", "hypervisor": {"ssh": "owner@192.168.182.100"}})

SELECTIONS = "dpkg --get-selections; apt-mark showauto | sed 's/^/auto /'"
SETTINGS = """\
find /etc ! -type d ! -path /etc/ld.so.cache ! -name 'passwd*' ! -name 'shadow*' ! -name 'group*' ! -name 'gshadow*' |
  sort | while read -r f; do echo "$f $(readlink "$f" || sha256sum <"$f")"; done"""
"""Accounts aside: Debian leaves those that packages made."""

SYSTEM = {"e2fsprogs", "libext2fs2t64", "libss2", "logsave"}
"""What Debian 13 never removes once it is there, and every real machine has."""


def seen(fact: Fact[Any], machine: Rehearsal) -> Any:
    return fact.parse(Output(0, machine.inside(f"export LC_ALL=C\n{fact.command}", check=False).encode()))


def context(machine: Rehearsal) -> Context:
    facts = STEP.facts(CLUSTER, HYPERVISOR)[HYPERVISOR]
    known: dict[tuple[str, str], Seen] = {
        (HYPERVISOR, fact.id): Known(seen(fact, machine)) for fact in facts if isinstance(fact, Fact)
    }
    known[HYPERVISOR, DOMAINS.id] = Known(Domains())
    known[HYPERVISOR, NETWORKS.id] = Known(Networks())
    return Context(CLUSTER, known)


def plan(machine: Rehearsal) -> Plan:
    return STEP.plan(context(machine), HYPERVISOR)


def run(machine: Rehearsal, found: Plan, attempt: str, *closing: Action, before: str = "") -> str:
    """Runs the plan's script as the wizard's jobs do, after `before`, and gives what it printed."""
    assert isinstance(found, Do)
    (part,) = found.parts
    script = compile_part(STEP.id, HYPERVISOR, part)
    close = "\n".join(action.shell() for action in closing)
    script = script.replace("\n}\n\nclean_up() {", f"\n{close}\n}}\n\nclean_up() {{", 1) if close else script
    machine.inside(f"mkdir -p /var/lib/homek8s-wizard\ncat >/root/script <<'END_OF_SCRIPT'\n{script}\nEND_OF_SCRIPT")
    printed = machine.inside(f"{before}\nsh /root/script {attempt} </dev/null 2>&1; echo status $?", check=False)
    assert printed.rstrip().endswith("status 0"), printed[-3000:]
    return printed


def apply(machine: Rehearsal, attempt: str = "a1", before: str = "") -> str:
    return run(machine, plan(machine), attempt, before=before)


def undo(machine: Rehearsal) -> str:
    ours = seen(OURS, machine)
    assert STEP.undo is not None
    back = STEP.undo(context(machine), HYPERVISOR, ours.inverses(NAME))
    printed = run(machine, back, "u1", Forget(ours.attempts(NAME)))
    assert seen(OURS, machine).of(NAME) == ()
    return printed


def installed(selections: str) -> set[str]:
    return {line.split()[0].partition(":")[0] for line in selections.splitlines() if line.endswith("install")}


HOLD_LOCK = """\
python3 -c 'import fcntl, time
file = open("/var/lib/dpkg/lock-frontend", "w")
fcntl.lockf(file, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(4)' >/run/held &
echo "holder $!"
until grep -q held /run/held 2>/dev/null; do sleep 0.1; done"""


ANOTHER_APT = "apt-get -q -y -o DPkg::Pre-Invoke::='sleep 4' install --no-install-recommends netcat-openbsd"


@pytest.mark.long
def test_from_nothing_to_libvirt_and_back(hypervisor: Hypervisor, suite: str) -> None:
    machine = hypervisor(suite, bare=True)
    selections, settings = machine.inside(SELECTIONS), machine.inside(SETTINGS)

    printed = apply(machine, before=HOLD_LOCK)
    holder = printed.split()[1]
    assert f"==> waiting: python3 (process {holder}) is installing or updating packages" in printed
    assert "libvirt answers" in printed
    again = machine.inside("sh /root/script a2 </dev/null 2>&1; echo status $?", check=False)
    assert again.rstrip().endswith("status 0"), again[-2000:]
    assert "0 newly installed" in again

    assert plan(machine) == Nothing("all 10 packages are installed, and libvirtd runs once the network is up")
    assert machine.inside("systemctl is-active libvirtd.service").strip() == "active"
    assert machine.inside("systemctl is-enabled libvirtd.service").strip() == "enabled"
    assert "network-online.target" in machine.inside("systemctl show -p After -p Wants libvirtd.service")
    assert "default" in machine.inside("virsh -c qemu:///system net-list --all --name")
    machine.inside(
        "virt-install --version; qemu-img --version; ls /usr/share/OVMF/OVMF_CODE_4M.fd; xorrisofs --version"
    )

    undo(machine)
    after = machine.inside(SELECTIONS)
    assert installed(after) - installed(selections) <= (SYSTEM if suite == "trixie" else set())
    assert installed(selections) <= installed(after)
    gone = set(settings.splitlines()) - set(machine.inside(SETTINGS).splitlines())
    assert not gone
    assert machine.inside("command -v virsh qemu-system-x86_64 || true").strip() == ""
    assert machine.inside("systemctl --failed --plain --no-legend").strip() == ""
    assert "libvirtd" not in machine.inside("ls /etc/systemd/system")
    assert isinstance(plan(machine), Do)


@pytest.mark.turns(at="packages that stay or are finished")
@pytest.mark.long
def test_what_came_later_keeps_what_it_needs(hypervisor: Hypervisor) -> None:
    machine = hypervisor(bare=True)
    machine.inside("echo '# mine' >>/etc/libvirt/qemu.conf; sha256sum /etc/libvirt/qemu.conf >/root/mine")
    printed = apply(machine, before=f"{ANOTHER_APT} >/dev/null 2>&1 &\nsleep 1")
    assert "==> waiting: apt-get (process " in printed, "a real one, not only something like it"
    machine.inside("DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends genisoimage fio")

    printed = undo(machine)
    assert "kept, because other packages need it:" in printed
    assert "ok" in machine.inside("fio --version && genisoimage --version >/dev/null && echo ok")
    assert machine.inside("apt-get check && sha256sum -c /root/mine").rstrip().endswith("OK")
    assert machine.inside("dpkg-query -W -f='${db:Status-Status}' libvirt-daemon-system || true") == ""


@pytest.mark.turns(at="packages that stay or are finished")
@pytest.mark.long
def test_an_installation_that_was_cut_off_is_finished(hypervisor: Hypervisor) -> None:
    machine = hypervisor(bare=True)
    machine.inside("dpkg --unpack /srv/packages/gettext-base_*.deb")
    found = plan(machine)
    assert isinstance(found, Do)
    assert any(action.summary.startswith("dpkg --configure -a") for action in found.parts[0].actions)
    apply(machine)
    assert isinstance(plan(machine), Nothing)


def test_a_stopped_libvirt_is_started_and_stopped_again(hypervisor: Hypervisor) -> None:
    machine = hypervisor()
    sockets = "libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket"
    machine.inside(f"systemctl disable --now libvirtd.service {sockets}")
    apply(machine)
    assert machine.inside("systemctl is-active libvirtd.service").strip() == "active"
    assert isinstance(plan(machine), Nothing)
    undo(machine)
    assert machine.inside("systemctl is-active libvirtd.service || true").strip() == "inactive"
    assert machine.inside("systemctl is-enabled libvirtd.service || true").strip() == "disabled"
    assert "network-online.target" not in machine.inside("systemctl show -p After -p Wants libvirtd.service")
