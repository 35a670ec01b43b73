"""What remains when a change of the network goes wrong: SSH itself, a console, and who says that all is well."""

from __future__ import annotations

from wizard.checks.network import port_of
from wizard.checks.question import Answer, Question, ok, stop, warn
from wizard.facts.access import CONSOLE, SSHD, Console
from wizard.facts.libvirt import DOMAINS
from wizard.facts.network import LINKS, SSH_PATH
from wizard.facts.units import LIBVIRT_UNITS
from wizard.model import Context, Unseen

CHANNELS = 4
"""As many sessions at once as the wizard opens on one connection (RELIABILITY 37)."""


def console(ctx: Context) -> Answer | None:
    port, path = port_of(ctx), ctx.see(SSH_PATH)
    if port is None or path is None or path.local:
        return None
    if path.device != port.name:
        return ok(f"SSH comes in over {path.device or 'another way'}, not over {port.name} itself")
    found = ctx.see(CONSOLE)
    if _evidence(found) and found.passwords:
        return ok(f"{_evidence(found)}; {', '.join(found.passwords)} can log in there")
    if _evidence(found):
        return stop(
            f"{_evidence(found)}, but no account has a password to log in with there",
            f"Give one a password (sudo passwd NAME): SSH comes in over {port.name}, which will change.",
        )
    return stop(
        f"SSH comes in over {port.name}, and neither a monitor nor a management controller is to be seen",
        "Make sure you can get at screen and keyboard. What is not confirmed is undone by itself, or by a restart.",
    )


def _evidence(found: Console) -> str:
    if found.screens:
        return f"a monitor is connected ({', '.join(found.screens)})"
    return "there is a management controller (IPMI)" if found.management else ""


def confirming(ctx: Context) -> Answer | None:
    port, path = port_of(ctx), ctx.see(SSH_PATH)
    if path is not None and not path.local:
        return None
    if port is None or not port.addresses:
        return ok("the wizard runs on this machine, and no network change can cut it off")
    if "local-confirm" in ctx.cluster.hypervisor.accept:
        return ok("the wizard runs on this machine; the gateway's answer confirms a change (accepted in cluster.yaml)")
    return warn(
        "the wizard runs on this machine, so no connection from outside can confirm a network change",
        "Be at the keyboard to say Keep; to run without, add local-confirm to hypervisor.accept.",
    )


def sshd(ctx: Context) -> Answer:
    found = ctx.see(SSHD)
    if found.addresses:
        return warn(
            f"it listens on {', '.join(found.addresses)} only",
            "Leave out ListenAddress: sshd does not start when that address comes late, as on a bridge.",
        )
    if found.max_sessions < CHANNELS:
        return warn(f"MaxSessions is {found.max_sessions}", f"Allow {CHANNELS} or more in sshd_config.")
    if found.use_dns:
        return warn("it looks up every caller's name (UseDNS yes)", "Set UseDNS no: without DNS a login takes long.")
    return ok(f"port {', '.join(map(str, found.ports))}, on all addresses")


def libvirt(ctx: Context) -> Answer:
    units = ctx.see(LIBVIRT_UNITS)
    there = {name.partition(".")[0] for name, unit in units.items() if unit.exists}
    active = {name.partition(".")[0] for name, unit in units.items() if unit.is_active}
    if not there:
        return ok("not installed; the next step does that")
    if any(unit.load == "masked" for name, unit in units.items() if name == "libvirtd.service"):
        return warn(
            "libvirtd is switched off for good (masked)", "sudo systemctl unmask libvirtd.service libvirtd.socket"
        )
    if not active:
        return ok("installed, not running; the next step starts it")
    if len(active) > 1:
        return warn(
            f"{' and '.join(sorted(active))} both run", "Disable one of them: they do not see each other's guests."
        )
    seen = ctx.look(DOMAINS)
    if isinstance(seen, Unseen):
        return warn(f"{min(active)} runs, but cannot be asked: {seen.reason}", "See: sudo journalctl -u libvirtd")
    names = [domain.name for domain in seen.value]
    return ok(f"{min(active)} runs; guests: {', '.join(names) or 'none'}")


QUESTIONS = (
    Question(
        "console",
        "Console",
        "If all else fails, a machine is repaired at its own screen and keyboard.",
        (LINKS, SSH_PATH, CONSOLE),
        console,
        accept="no-console",
    ),
    Question(
        "local-confirm",
        "Confirmation",
        "A network change is kept only when somebody can still get in.",
        (LINKS, SSH_PATH),
        confirming,
    ),
    Question("sshd", "SSH server", "Every step comes over SSH.", (SSHD,), sshd),
    Question("libvirt", "libvirt", "It starts and stops the guests.", (LIBVIRT_UNITS, DOMAINS), libvirt),
)
