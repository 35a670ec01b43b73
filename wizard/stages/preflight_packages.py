"""`preflight.packages`: libvirt, QEMU and what later steps call are there, and libvirt runs, after a restart too."""

from __future__ import annotations

from collections.abc import Iterator

from wizard.actions import Action, Install, OnUndo, Run, TakeBack, Wait, WriteFile
from wizard.facts.files import files
from wizard.facts.libvirt import DOMAINS, NETWORKS
from wizard.facts.packages import HYPERVISOR_PACKAGES, PACKAGES, PROGRAMS, Packages
from wizard.facts.units import LIBVIRT_UNITS, Unit, Units
from wizard.model import HYPERVISOR, Blocked, Context, Do, Finding, Nothing, Part, Plan, Refused
from wizard.template import text

OLD = 3600
"""Seconds: mirrors drop superseded packages at any time, and older lists may still name them."""
LIMIT = 2700
"""Seconds: 15 minutes for another installation to end, the rest to fetch some 100 MB over a slow line."""
DROP_INS = {daemon: f"/etc/systemd/system/{daemon}.service.d/05-homek8s.conf" for daemon in ("libvirtd", "virtqemud")}
DROP_IN = files("libvirt-drop-in", *DROP_INS.values())

IN_USE = (DOMAINS, NETWORKS)
"""What would be lost with libvirt."""

RELOAD = Run(("systemctl", "daemon-reload"))
FINISH = Run(("packages_finish",), words="dpkg --configure -a: finish the installation that was cut off")
ANSWERS = Wait(("timeout", "10", "virsh", "-q", "-c", "qemu:///system", "version"), 60, "libvirt answers")


def plan(ctx: Context, target: str) -> Plan:
    packages = ctx.see(PACKAGES)
    units = ctx.see(LIBVIRT_UNITS)
    daemon = daemon_of(units)
    if stop := _stop(packages, units, daemon):
        return stop
    missing = packages.missing if packages.debian else ()
    drop_in = WriteFile(DROP_INS[daemon], text("preflight/after-network.conf"), ctx.see(DROP_IN)[DROP_INS[daemon]])
    waits = drop_in.was == drop_in.content
    starting = () if "libvirt-daemon-system" in missing else tuple(_start(daemon, units))
    if not (missing or starting or packages.interrupted) and waits:
        what = f"all {len(HYPERVISOR_PACKAGES)} packages are" if packages.debian else "all that is needed is"
        return Nothing(f"{what} installed, and {daemon} runs once the network is up")
    actions = (
        *(() if waits else (OnUndo(RELOAD), drop_in)),
        *((FINISH,) if packages.interrupted else ()),
        *((Install(missing, refresh=_stale(packages)),) if missing else ()),
        RELOAD,
        *(_first_start(daemon) if "libvirt-daemon-system" in missing else starting),
        ANSWERS,
    )
    return Do(
        _why(missing, starting, packages),
        (Part(HYPERVISOR, "libvirt and QEMU", actions, limit=LIMIT),),
        tuple(_notes(missing)),
    )


def daemon_of(units: Units) -> str:
    """libvirt has one daemon on Debian and Ubuntu; elsewhere it may be split, and virtqemud is the one in use."""

    def used(name: str) -> bool:
        return any(each.is_active or each.is_enabled for each in _pair(units, name))

    return "virtqemud" if used("virtqemud") and not used("libvirtd") else "libvirtd"


def is_running(units: Units, daemon: str) -> bool:
    """The daemon, or the socket whose first caller starts it."""
    return any(each.is_active for each in _pair(units, daemon))


def _pair(units: Units, daemon: str) -> tuple[Unit, Unit]:
    return units.get(f"{daemon}.service", Unit()), units.get(f"{daemon}.socket", Unit())


def _stop(packages: Packages, units: Units, daemon: str) -> Blocked | None:
    """What only the owner can put right, the first of it."""
    absent = [name for name in PROGRAMS if name not in packages.programs]
    unavailable = [name for name in packages.missing if name not in packages.candidate]
    if not packages.debian and absent:
        return _yours(
            "foreign",
            f"the wizard installs with apt only, and these programs are missing: {', '.join(absent)}",
            "Install libvirt, QEMU and virt-install with your system's own package manager.",
        )
    if packages.broken and not packages.interrupted:
        return _yours(
            "apt", f"apt finds its packages in disorder: {packages.broken}", "Run: sudo apt --fix-broken install"
        )
    if packages.debian and unavailable and not _stale(packages):
        return _yours(
            "unavailable",
            f"apt knows no package {', '.join(unavailable)}",
            "Check that Debian's `main` (Ubuntu: also `universe`) is in /etc/apt/sources.list or sources.list.d.",
        )
    if units.get(f"{daemon}.service", Unit()).load == "masked":
        return _yours(
            "masked",
            f"{daemon} was switched off for good (systemctl mask)",
            f"If that is no longer wanted: sudo systemctl unmask {daemon}.service {daemon}.socket",
        )
    return None


def _yours(finding: str, why: str, cure: str) -> Blocked:
    return Blocked("you", why, (Finding(finding, why, cure, "hypervisor"),))


def _stale(packages: Packages) -> bool:
    """Must apt look for news first: it never did, or not for an hour?"""
    return packages.lists_age is None or packages.lists_age > OLD


def _first_start(daemon: str) -> Iterator[Action]:
    """A fresh package may start its daemon by itself, or not (policy-rc.d); it goes with the package."""
    yield Run(("systemctl", "enable", "--now", f"{daemon}.service"))


def _start(daemon: str, units: Units) -> Iterator[Action]:
    """What is there already, started now and with the machine; the way back leaves it as it was."""
    service = f"{daemon}.service"
    if not units.get(service, Unit()).is_enabled:
        yield Run(("systemctl", "enable", service), undo=Run(("systemctl", "disable", service)))
    if not is_running(units, daemon):
        yield Run(("systemctl", "start", service), undo=Run(("systemctl", "stop", service)))


def _why(missing: tuple[str, ...], starting: tuple[Action, ...], packages: Packages) -> str:
    if missing:
        return f"missing: {', '.join(missing)}"
    if packages.interrupted:
        return "an installation was cut off half-way; nothing can be installed until it is finished"
    if starting:
        return "libvirt is installed, but does not run now or does not start with the machine"
    return "libvirt would start before the network, so guests that start with the machine could miss the bridge"


def _notes(missing: tuple[str, ...]) -> Iterator[str]:
    for name in missing:
        yield f"{name}: {HYPERVISOR_PACKAGES[name]}"
    if "libvirt-daemon-system" in missing:
        yield "libvirt brings a network of its own, called default; it is left as it is"


def undo(ctx: Context, target: str, inverses: tuple[Action, ...]) -> Plan:
    """Takes back what was noted; refused while guests need the packages that would go."""
    actions = inverses
    if any(isinstance(each, TakeBack) and _removes_libvirt(each) for each in inverses):
        if guests := [domain.name for domain in ctx.see(DOMAINS)]:
            return Refused((_guests_are_there(guests),))
        running = [network.name for network in ctx.see(NETWORKS) if network.active]
        actions = (*(Run(("virsh", "-c", "qemu:///system", "net-destroy", name)) for name in running), *inverses)
    return Do(
        "takes back what was installed and written, except what other packages need by now",
        (Part(HYPERVISOR, "take back libvirt and QEMU", actions, limit=LIMIT),),
        ("accounts that packages made for themselves stay, as Debian has it",),
    )


def _removes_libvirt(action: TakeBack) -> bool:
    word, *packages = action.line.split()
    return word == "packages_remove" and "libvirt-daemon-system" in packages


def _guests_are_there(guests: list[str]) -> Finding:
    return Finding(
        "guests",
        f"these guests are there: {', '.join(guests)}; without libvirt and QEMU they cannot run",
        "Remove the guests first (undo the stage `guests`, or virsh undefine), or leave this step as it is.",
        "hypervisor",
    )
