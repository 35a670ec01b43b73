"""`homek8s-wizard rehearse`: throwaway hypervisors on this machine, to try anything without risk."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

import click

from wizard.rehearsal import SUITES, BadRequest, Rehearsal, RehearsalError, RehearsalStatus, existing
from wizard.rehearsal.guests import MOST
from wizard.rehearsal.network import HOSTNAME

NAME = click.option("--name", default="default", show_default=True, help="Which rehearsal; each has its own LAN.")
HOST = click.option("--host", default=HOSTNAME, show_default=True, help="Or a node's name.")
COMMAND = {"ignore_unknown_options": True, "allow_interspersed_args": False}


class Rehearsing(click.Group):
    """Says what went wrong in the rehearsal's own words, with its exit status."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except RehearsalError as error:
            click.echo(str(error), err=True)
            ctx.exit(error.exit_status)


@click.group(cls=Rehearsing)
def rehearse() -> None:
    """Throwaway hypervisors on this machine: real systemd, sshd, libvirtd and ufw."""


@rehearse.command()
@NAME
@click.option("--suite", type=click.Choice(SUITES), help="Debian release of a new one.  [default: bookworm]")
@click.option("--bare", is_flag=True, default=None, help="Without libvirt and QEMU, but able to install them.")
@click.option("--guests", type=click.IntRange(0, MOST), help="Guests that cluster.yaml asks for.  [default: 0]")
@click.option("--nodes", type=click.IntRange(0, MOST), help="Machines that can become Kubernetes nodes.  [default: 0]")
@click.option("--midway", is_flag=True, default=None, help="With the article half done: a bridge, guests, WireGuard.")
def up(name: str, suite: str | None, bare: bool | None, **more: Any) -> None:
    """Bring up a hypervisor and its LAN; complete or start it again when it exists."""
    rehearsal = Rehearsal(name)
    rehearsal.up(suite, bare, say=lambda line: click.echo(line, err=True), **more)
    status = rehearsal.status()
    assert status
    click.echo(_described(status))


@rehearse.command()
@NAME
@click.option("--all", "every", is_flag=True, help="Every rehearsal on this machine, whoever made it; asks first.")
@click.option("--yes", is_flag=True, help="With --all: do not ask.")
def down(name: str, every: bool, yes: bool) -> None:
    """Remove a rehearsal and every trace of it."""
    names = existing() if every else [name]
    if every and names and not yes:
        click.confirm(f"Remove {', '.join(names)}? Others may be using them.", abort=True)
    for each in names:
        gone = Rehearsal(each).down()
        click.echo(f"Rehearsal {each} is removed." if gone else f"There is no rehearsal {each}.")


@rehearse.command()
@NAME
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def status(name: str, as_json: bool) -> None:
    """Where its files are, and whether it runs."""
    found = Rehearsal(name).status()
    if as_json:
        click.echo(json.dumps({"schema": 1, "cluster": name, **(_fields(found) if found else {"suite": None})}))
    else:
        click.echo(_described(found) if found else f"There is no rehearsal {name}.")


@rehearse.command(context_settings=COMMAND)
@NAME
@click.option("--host", default=HOSTNAME, show_default=True, help="Or a guest's or node's name.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def ssh(name: str, host: str, command: Sequence[str]) -> None:
    """Log in to the hypervisor, a guest or a node, as its owner, or run COMMAND there."""
    _become(Rehearsal(name).ssh(*command, host=host))


@rehearse.command("exec", context_settings=COMMAND)
@NAME
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def execute(name: str, command: Sequence[str]) -> None:
    """Run COMMAND on this machine, but on the rehearsal's LAN, as the owner's laptop."""
    _become(Rehearsal(name).on_lan(command))


@rehearse.command()
@NAME
@HOST
@click.option("--nic", "nics", multiple=True, help="Only the cable of this NIC; may be repeated.  [default: all]")
@click.option("--seconds", type=click.FloatRange(min=0), help="Plug it in again after so long.")
@click.option("--restore", is_flag=True, help="Plug it in again now.")
def cut(name: str, host: str, nics: tuple[str, ...], seconds: float | None, restore: bool) -> None:
    """Cut the network cables of the hypervisor or a node."""
    rehearsal = Rehearsal(name)
    if restore:
        rehearsal.restore(nics, host=host)
        return
    rehearsal.cut(nics, host=host)
    if seconds is not None:
        try:
            time.sleep(seconds)
        finally:
            rehearsal.restore(nics, host=host)


@rehearse.command()
@NAME
@HOST
@click.option("--power", is_flag=True, help="Cut the power instead of asking systemd.")
def reboot(name: str, host: str, power: bool) -> None:
    """Reboot the hypervisor or a node and wait until SSH answers again."""
    rehearsal = Rehearsal(name)
    rehearsal.reboot(power, host=host)
    click.echo("SSH answers again.")


def _become(argv: list[str]) -> None:
    """Replace this process, so that terminal, signals and exit status are the command's own."""
    sys.stdout.flush()
    try:
        os.execvp(argv[0], argv)
    except FileNotFoundError:
        raise BadRequest(f"The program {argv[0]} is missing (Debian package util-linux).") from None


def _fields(found: RehearsalStatus) -> dict[str, Any]:
    hosts = [{"name": h.name, "address": h.address, "user": h.user, "boot": h.boot.value} for h in found.hosts]
    return {
        "suite": found.suite,
        "bare": found.bare,
        "midway": found.midway,
        "netns": str(found.netns),
        "cluster_file": str(found.cluster_file),
        "ssh_config": str(found.ssh_config),
        "known_hosts": str(found.known_hosts),
        "key": str(found.key),
        "password_file": str(found.password_file),
        "log": str(found.log),
        "hosts": hosts,
    }


def _described(found: RehearsalStatus) -> str:
    fields = _fields(found)
    hosts = [f"{h['name']:<14} {h['user']}@{h['address']}, {h['boot']}" for h in fields.pop("hosts")]
    for kind in ("bare", "midway"):
        fields[kind] = "yes" if fields[kind] else "no"
    return "\n".join([*hosts, *(f"{name.replace('_', ' '):<14} {value}" for name, value in fields.items())])


if __name__ == "__main__":
    rehearse()
