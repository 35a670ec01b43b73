"""What `guests.reach` does on the hypervisor: moves the first NIC, turns autostart on, starts or boots the guest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from wizard.actions import Action, OnUndo, Run, Wait, WriteFile
from wizard.facts.libvirt import Domain
from wizard.facts.ours import OURS
from wizard.model import HYPERVISOR, Context, Known, Part, Risk
from wizard.stages.domain_xml import changing
from wizard.stages.guests_domain import BOOT, LIMIT, SHUTDOWN, cold_boot, has_nic, is_off, start
from wizard.stages.guests_reach_nic import FirstNic, file_of, moved
from wizard.stages.libvirt_network import xml_file

ID = "guests.reach"
_OFF = "{} is shut off"


@dataclass(frozen=True)
class Lacks:
    """What is not as wanted."""

    place: bool
    """The first NIC is elsewhere by the definition."""
    running_place: bool
    """It is elsewhere in the guest as it runs: only a cold boot moves it."""
    autostart: bool
    power: bool

    def __bool__(self) -> bool:
        return self.place or self.running_place or self.autostart or self.power


def lacks(domain: Domain, nic: FirstNic) -> Lacks:
    return Lacks(
        place=nic.moves and not nic.is_there,
        running_place=nic.moves and domain.active and not nic.runs_there,
        autostart=not domain.autostart,
        power=not domain.active,
    )


def parts(ctx: Context, domain: Domain, nic: FirstNic, missing: Lacks) -> tuple[Part, ...]:
    on_host = Part(
        HYPERVISOR,
        f"{domain.name} on the LAN",
        tuple(_on_host(ctx, domain, nic, missing)),
        always=(start(domain.name),) if missing.running_place else (),
        risk=Risk.RESTARTS_MACHINE if missing.running_place else Risk.NONE,
        limit=LIMIT if missing.running_place else 60,
    )
    boots = missing.running_place or missing.power
    return (on_host, answers(domain.name, BOOT)) if boots else (on_host,)


def _on_host(ctx: Context, domain: Domain, nic: FirstNic, missing: Lacks) -> Iterator[Action]:
    name = domain.name
    was_off = missing.power and _was_off(ctx, name)
    if was_off:  # Noted first, waited for last.
        wait = Wait(is_off(name), SHUTDOWN, _OFF.format(name))
        yield OnUndo(Run(wait.argv(), words=wait.summary))
    if missing.place:
        yield from _move(ctx, domain, nic)
    if missing.autostart:
        yield Run(("virsh", "autostart", name), undo=Run(("virsh", "autostart", "--disable", name)))
    if missing.power:
        back = Run(("virsh", "shutdown", name), unless=is_off(name)) if was_off else None
        yield replace(start(name), undo=back)
    elif missing.running_place:
        yield from cold_boot(name, has_nic(name, nic.network, nic.defined.mac))


def _was_off(ctx: Context, name: str) -> bool:
    """Before the first attempt: one that was cut off between shutdown and start leaves it off too."""
    ours = ctx.look(OURS)
    notes = ours.value.of(f"{ID}@{name}") if isinstance(ours, Known) else ()
    return not notes or any(_OFF.format(name) in note.what for note in notes)


def _move(ctx: Context, domain: Domain, nic: FirstNic) -> Iterator[Action]:
    """In place, so that nothing else of the NIC changes (update-device takes another type for the next start)."""
    path, xml = file_of(domain.name), moved(domain, nic)
    was = ctx.see(xml_file(path))
    if was != xml:
        yield WriteFile(path, xml, was)
    done = has_nic(domain.name, nic.network, nic.defined.mac, inactive=True)
    update = Run(("virsh", "update-device", domain.name, path, "--config"), unless=("sh", "-c", done))
    yield from changing(domain.name, ID, update)


def answers(name: str, seconds: int) -> Part:
    """Waits for the guest."""
    asked = Run(("uname", "-n"), words=f"{name} answers, and calls itself:")
    return Part(name, f"{name} answers over SSH", (asked,), limit=60, answers_within=seconds)
