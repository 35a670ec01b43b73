"""`homek8s-wizard kubeconfig`: what the step join.kubeconfig runs on the owner's own machine. It prints no key."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from wizard.kubeconfig.access import Access, Conflict, Names, access_of, access_of_entry, is_empty, merge, remove
from wizard.kubeconfig.api import Answer, ask
from wizard.kubeconfig.document import NotUnderstood
from wizard.kubeconfig.place import KubeconfigError, backup_of, default_path, locked, put_back, read, tidy, write
from wizard.kubeconfig.summary import summary

FILE = click.option("--file", type=click.Path(path_type=Path), help="Instead of $KUBECONFIG or ~/.kube/config.")
NAME = click.option("--name", required=True, help="The cluster's name in cluster.yaml.")


@click.group(hidden=True)
def kubeconfig() -> None:
    """One cluster's access in your kubeconfig."""


@kubeconfig.command("path")
def path_() -> None:
    """Which file it is."""
    click.echo(default_path())


@kubeconfig.command()
@NAME
@FILE
@click.option("--ask", "asks", is_flag=True, help="Ask the API too.")
def show(name: str, file: Path | None, asks: bool) -> None:
    """What it holds, as JSON: names, servers, hashes."""
    click.echo(json.dumps(summary(file, name, ask if asks else None), ensure_ascii=False))


@kubeconfig.command("merge")
@NAME
@FILE
@click.argument("admin_conf", type=click.Path(path_type=Path))
def merge_(name: str, file: Path | None, admin_conf: Path) -> None:
    """Put the cluster of ADMIN_CONF in."""
    path = file or default_path()
    wanted = _understood(admin_conf, lambda: access_of(read(admin_conf) or ""))
    with locked(path):
        text = read(path)
        result = _understood(path, lambda: merge(text or "", name, wanted))
        if text is not None and not (backup_of(path, name).exists() and access_of_entry(text, Names(name))):
            write(backup_of(path, name), text)
            click.echo(f"{path} as it was is kept in {backup_of(path, name)}")
        write(path, result)
    click.echo(f"{path} has the context {name} now, for {wanted.server}")


@kubeconfig.command("remove")
@NAME
@FILE
@click.option("--server", required=True, help="It is left where its server is another one by now.")
def remove_(name: str, file: Path | None, server: str) -> None:
    """Take the cluster out."""
    path = file or default_path()
    if read(path) is None:
        click.echo(f"{path} is not there any more")
        return
    with locked(path):
        result = _understood(path, lambda: remove(read(path) or "", name, server))
        put_back(path, name, result, is_empty(result))
    tidy(path)
    click.echo(f"{path} has no context {name} any more")


def _understood(path: Path, work: Callable[[], Any]) -> Any:
    try:
        return work()
    except (NotUnderstood, Conflict) as error:
        raise KubeconfigError(f"{error}; it is left as it is", where=str(path)) from None


@kubeconfig.command("ask")
@NAME
@FILE
@click.option("--limit", type=float, default=30, show_default=True, help="Seconds.")
def ask_(name: str, file: Path | None, limit: float) -> None:
    """Wait until the API answers; says what is heard meanwhile."""
    path = file or default_path()
    access = _understood(path, lambda: access_of_entry(read(path) or "", Names(name)))
    if access is None:
        raise KubeconfigError(f"there is no cluster {name} in it", where=str(path))
    _wait(access, limit)


def _wait(access: Access, limit: float) -> None:
    deadline, said = time.monotonic() + limit, Answer("")
    while not (heard := ask(access)).ok:
        if heard != said:
            click.echo(f"{access.server}: {heard.said}")
        said = heard
        if time.monotonic() > deadline or heard.kind in ("name", "certificate", "rejected"):
            return  # what to do about it is said by the plan
        time.sleep(1)
    click.echo(f"{access.server} answers")
