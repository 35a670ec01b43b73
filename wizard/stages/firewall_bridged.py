"""`firewall.bridged`: whether what guests say to each other passes the host's firewall (DOMAIN S4, E3, E5).

Off is the default. A bridge is a switch, and what crosses it is none of the host's business: filtered, guests are
pinged while their TCP is dropped by ufw's or docker's policy (E3), and masquerade rules rewrite them (E8). What is for
the host itself is filtered either way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from wizard.actions import Action, EditLine, RemoveFile, Run, WriteFile
from wizard.cluster import Cluster
from wizard.facts.bridged import BRIDGED, FLAGS, KEYS, SYSCTL_CONF, UFW, Bridged, Setter
from wizard.facts.files import files
from wizard.facts.firewall import FORWARDING
from wizard.facts.units import FIREWALL_UNITS
from wizard.model import HYPERVISOR, AnyFact, Context, Do, Finding, Nothing, Part, Plan, Refused, Risk
from wizard.template import render, text

SYSCTL = "/etc/sysctl.d/zz-homek8s.conf"
"""systemd-sysctl goes by the name, and the last one counts: after 99-sysctl.conf, which on Debian 12 is a link to
/etc/sysctl.conf (DOMAIN E14), and after k8s.conf, which the Kubernetes documentation tells people to write."""
UDEV = "/etc/udev/rules.d/05-homek8s-br-netfilter.rules"
MODULES = "/etc/modules-load.d/homek8s.conf"
OWN_FILES = files("bridged-files", SYSCTL, UDEV, MODULES)


def plan(ctx: Context, target: str) -> Plan:
    """The three keys have the wanted value as soon as there are any: now, whenever the module comes, after a boot."""
    firewall = ctx.cluster.firewall
    if firewall is None:
        return Nothing("cluster.yaml leaves the host's filters alone")
    seen, wanted = ctx.see(BRIDGED), int(firewall.filter_bridged)
    winners = tuple(each for each in seen.others(SYSCTL) if wins(each, wanted))
    if findings := tuple(_out_of_reach(each) for each in winners if not _within_reach(each)):
        return Refused(findings)
    actions = tuple(_actions(ctx, seen, wanted, winners))
    if not actions:
        return Nothing(_as_it_is(seen, wanted))
    # Where something drops what it has no rule for, guests are apart until it has one.
    apart = wanted and set(seen.values.values()) != {1} and ctx.see(FORWARDING).drops
    risk = Risk.BRIEF_INTERRUPTION if apart else Risk.NONE
    title = f"bridged packets pass {'through' if wanted else 'by'} the firewall"
    part = Part(HYPERVISOR, title, actions, risk=risk, limit=60)
    return Do(_why(seen, wanted, winners), (part,), tuple(_notes(ctx, seen, wanted, winners)))


def wins(setter: Setter, wanted: int) -> bool:
    """Would it have the last word: a later name at boot, or ufw, which comes when it likes. A `*` yields to a name."""
    if setter.value == str(wanted) or not any(setter.sets(key) for key in KEYS):
        return False
    later = setter.at_boot and setter.name > SYSCTL.rpartition("/")[2] and "*" not in setter.key
    return later or setter.path == UFW


def _within_reach(setter: Setter) -> bool:
    return setter.real.startswith("/etc/")


def _out_of_reach(setter: Setter) -> Finding:
    why = f"{setter.path} sets {setter.line.strip()} after the wizard's own file, and is not to be edited"
    return Finding("later-setter", why, f"take the line out of {setter.real} yourself", setter.path)


# ---------------------------------------------------------------- what is done


def _actions(ctx: Context, seen: Bridged, wanted: int, winners: tuple[Setter, ...]) -> Iterator[Action]:
    """The module before its settings, as at boot (systemd-sysctl is After=systemd-modules-load)."""
    yield from _own_files(ctx.see(OWN_FILES), wanted)
    for path, line in dict.fromkeys((each.real, each.line) for each in winners):
        yield EditLine(path, line, f"# homek8s-wizard: {SYSCTL} decides. {line}")
    if wanted and not seen.values:
        present = ("test", "-e", "/proc/sys/net/bridge")
        yield Run(("modprobe", "br_netfilter"), words="load br_netfilter unless it is there", unless=present)
    for key in KEYS if seen.values or wanted else ():
        if seen.values.get(key) != wanted:
            yield _set(key, wanted, seen.values.get(key, 0))
    if not wanted:
        yield from _switches_off(ctx.cluster, seen)


def _own_files(there: Mapping[str, str | None], wanted: int) -> Iterator[Action]:
    contents: dict[str, str | None] = {
        SYSCTL: render("firewall/bridged.conf.j2", keys=KEYS, value=wanted),
        UDEV: text("firewall/bridged.rules"),
        MODULES: text("firewall/bridged-modules.conf") if wanted else None,
    }
    for path, content in contents.items():
        was = there[path]
        if content is None and was is not None:
            yield RemoveFile(path, was)
        elif content is not None and content != was:
            yield WriteFile(path, content, was)


def _set(key: str, value: int, before: int) -> Run:
    """Without the module there is nothing to set; switching filtering on has loaded it before."""
    gone = ("test", "!", "-e", "/proc/sys/net/bridge")
    is_so = f"test ! -e /proc/sys/net/bridge || grep -qx {value} /proc/sys/net/bridge/{key}"
    return Run(
        _sysctl(key, value), unless=() if value else ("sh", "-c", is_so), undo=Run(_sysctl(key, before), unless=gone)
    )


def _sysctl(key: str, value: int) -> tuple[str, ...]:
    return ("sysctl", "-qw", f"net.bridge.{key}={value}")


def _switches_off(cluster: Cluster, seen: Bridged) -> Iterator[Run]:
    for bridge in _switched_on(cluster, seen):
        on = [f"{flag} {value}" for flag, value in zip(FLAGS, seen.flags[bridge], strict=False)]
        set_to = ("ip", "link", "set", "dev", bridge, "type", "bridge")
        gone = ("test", "!", "-e", f"/sys/class/net/{bridge}")
        off = (word for flag in FLAGS for word in (flag, "0"))
        yield Run((*set_to, *off), undo=Run((*set_to, *" ".join(on).split()), unless=gone))


def _switched_on(cluster: Cluster, seen: Bridged) -> tuple[str, ...]:
    """The guests' bridges that have a switch of their own turned on."""
    names = [section.name for section in (cluster.bridge, cluster.isolated) if section]
    return tuple(name for name in names if any(seen.flags.get(name, ())))


# ---------------------------------------------------------------- what is said


def _why(seen: Bridged, wanted: int, winners: tuple[Setter, ...]) -> str:
    values = set(seen.values.values())
    if values and values != {wanted}:
        passes = "pass the host's firewall" if 1 in values else "pass by the host's firewall"
        return f"packets between guests {passes}"
    if winners:
        return f"{winners[0].path} would change it again"
    return "nothing says so for the next boot" if values else "nothing says so for when br_netfilter is loaded"


def _as_it_is(seen: Bridged, wanted: int) -> str:
    if not seen.values:
        return "br_netfilter is not loaded, and would be switched off: packets between guests pass by the firewall"
    how = "through" if wanted else "by"
    others = ", ".join(dict.fromkeys(each.path for each in seen.others(SYSCTL) if each.value != str(wanted)))
    also = f"; {others} says otherwise, and does not count at boot" if others else ""
    return f"packets between guests pass {how} the host's firewall, now and after a boot{also}"


def _notes(ctx: Context, seen: Bridged, wanted: int, winners: tuple[Setter, ...]) -> Iterator[str]:
    for each in seen.others(SYSCTL):
        if each.value != str(wanted) and each not in winners and any(each.sets(key) for key in KEYS):
            by_hand = " `sysctl --system` by hand would still apply it." if each.real == SYSCTL_CONF else ""
            yield f"{each.path} says {each.line.strip()}; {SYSCTL} comes after it and counts.{by_hand}"
    for bridge in _switched_on(ctx.cluster, seen) if not wanted else ():
        yield f"{bridge} has its own nf_call switches on; what turned them on may do so again."
    docker = ctx.see(FIREWALL_UNITS).get("docker.service")
    if not wanted and docker is not None and docker.exists:
        yield "docker may set the keys to 1 when it starts; `status` shows that then, and `apply` puts it right."
    if wanted:
        yield "What guests say to each other then needs leave in FORWARD: firewall.ufw gives it, docker does not."
        if drops := ctx.see(FORWARDING).drops:
            yield f"Until it has leave, guests lose each other: {', '.join(drops)} drops what no rule lets pass."
        yield "Rules that masquerade then count between guests as well: firewall.nat names and cures them."


def facts(cluster: Cluster, target: str) -> Mapping[str, tuple[AnyFact[Any], ...]]:
    if cluster.firewall is None:
        return {HYPERVISOR: ()}
    own = (BRIDGED, OWN_FILES, FIREWALL_UNITS)
    return {HYPERVISOR: (*own, FORWARDING) if cluster.firewall.filter_bridged else own}
