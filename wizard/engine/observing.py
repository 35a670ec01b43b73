"""From steps to what the hosts say: all facts of a host in one round trip, hosts in parallel."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Callable, Iterable, Mapping
from enum import Enum, auto
from typing import Any

from wizard.cluster import Cluster
from wizard.engine.hosts import Hosts, in_parallel
from wizard.engine.stale import last_applied, outdated_by
from wizard.errors import HostLostError, HostUnavailable
from wizard.events import Observer, Waiting
from wizard.facts.ours import OURS
from wizard.journal import Entry, Journal
from wizard.model import HYPERVISOR, NOT_MEASURED, AnyFact, Context, Fact, FactError, Known, Output, Seen, Step, Unseen
from wizard.remote.observe import measure
from wizard.remote.observe import observe as observe_host
from wizard.remote.redact import Redactor
from wizard.remote.sanitise import Sanitiser

Targets = Iterable[tuple[Step, str]]


class Costly(Enum):
    """Whether facts that load the host for seconds are observed; if not, their last measurement is used."""

    NEVER = auto()
    WHERE_MISSING = auto()
    ALWAYS = auto()


def observe(
    cluster: Cluster, hosts: Hosts, journal: Journal, targets: Targets, costly: Costly, tell: Observer
) -> Context:
    """What these steps look at, and what we left on each of their hosts.

    A guest that does not answer is a value; without the hypervisor nothing is known: then raises `HostUnavailable`.
    """
    seen: dict[tuple[str, str], Seen] = {}
    work: dict[str, Callable[[], None]] = {}
    targets = tuple(targets)
    for host, facts in _facts_by_host(cluster, targets).items():
        old = {} if costly is Costly.ALWAYS else remembered(journal, host, facts)
        if costly is Costly.WHERE_MISSING:
            old = _that_count(journal, old, _asked_about(cluster, targets, host))
        skip = {fact.id for fact in facts if _is_costly(fact) and (fact.id in old or costly is Costly.NEVER)}
        seen |= {(host, fact): old.get(fact, Unseen(NOT_MEASURED)) for fact in skip}
        work[host] = _looking(hosts, journal, host, [fact for fact in facts if fact.id not in skip], seen, tell)
    in_parallel(work)
    return Context(cluster, seen)


def _looking(
    hosts: Hosts,
    journal: Journal,
    host: str,
    facts: list[AnyFact[Any]],
    seen: dict[tuple[str, str], Seen],
    tell: Observer,
) -> Callable[[], None]:
    def run() -> None:
        measured: dict[str, Output] = {}
        try:
            answers = _asked(hosts, host, [fact for fact in facts if not _is_costly(fact)])
            for fact in facts:
                if isinstance(fact, Fact) and fact.costly:
                    answers[fact.id] = _measured(hosts, host, _keeping(fact, measured), tell)
        except (HostUnavailable, HostLostError) as error:
            if host == HYPERVISOR:
                raise
            silent = Unseen(f"{host}: {error.what}", unreachable=True)
            seen.update({(host, fact.id): silent for fact in facts})
            return
        for fact_id, output in measured.items():
            if isinstance(answers[fact_id], Known) and not journal.held_by:
                in64 = base64.b64encode(output.out).decode()
                journal.append("measured", target=host, fact=fact_id, rc=output.rc, out=in64)
        seen.update({(host, fact_id): answer for fact_id, answer in answers.items()})

    return run


def _asked(hosts: Hosts, host: str, facts: list[AnyFact[Any]]) -> dict[str, Seen]:
    """Asked again over a new connection when the one in use turns out dead: the host may have restarted since."""
    try:
        return observe_host(hosts.connection(host), facts)
    except HostLostError:
        return observe_host(hosts.connection(host), facts)


def _measured(hosts: Hosts, host: str, fact: Fact[Any], tell: Observer) -> Seen:
    """A costly fact by itself: what it waits for meanwhile is told."""
    sanitiser, redactor = Sanitiser(), Redactor(hosts.secrets())

    def heard(chunk: bytes) -> None:
        if words := redactor.feed(sanitiser.feed(chunk)).strip():
            tell(Waiting(host, words))

    return measure(hosts.connection(host), fact, heard)


def _keeping(fact: Fact[Any], outputs: dict[str, Output]) -> Fact[Any]:
    """A costly fact whose raw output is kept aside, to be remembered."""

    def parse(output: Output) -> Any:
        outputs[fact.id] = output
        return fact.parse(output)

    return dataclasses.replace(fact, parse=parse)


def _facts_by_host(cluster: Cluster, targets: Targets) -> dict[str, list[AnyFact[Any]]]:
    """The hypervisor is looked at in any case: it says whose journal this is."""
    wanted: dict[str, dict[str, AnyFact[Any]]] = {HYPERVISOR: {OURS.id: OURS}}
    for step, target in targets:
        for host, facts in step.facts(cluster, target).items():
            wanted.setdefault(host, {OURS.id: OURS}).update({fact.id: fact for fact in facts})
    return {host: list(facts.values()) for host, facts in wanted.items()}


def _asked_about(cluster: Cluster, targets: Targets, host: str) -> dict[str, set[str]]:
    """For each fact that is seen on this host, the stages and steps whose work it is asked about."""
    about: dict[str, set[str]] = {}
    for step, target in targets:
        for fact in step.facts(cluster, target).get(host, ()):
            about.setdefault(fact.id, set()).update(step.asks_about)
    return about


def _that_count(journal: Journal, old: Mapping[str, Seen], about: Mapping[str, set[str]]) -> Mapping[str, Seen]:
    """The measurements that can be read and are not stale."""
    applied = last_applied(journal) if old else {}
    return {
        fact: seen
        for fact, seen in old.items()
        if isinstance(seen, Known) and not outdated_by(seen.at, about[fact], applied)
    }


def _is_costly(fact: AnyFact[Any]) -> bool:
    return isinstance(fact, Fact) and fact.costly


def remembered(journal: Journal, host: str, facts: Iterable[AnyFact[Any]]) -> Mapping[str, Seen]:
    """The last measurement of each costly fact, read again by today's parser."""
    last = {
        entry.payload["fact"]: entry for entry in journal.entries() if entry.kind == "measured" and entry.target == host
    }
    return {
        fact.id: _read_again(fact, last[fact.id])
        for fact in facts
        if isinstance(fact, Fact) and fact.costly and fact.id in last
    }


def _read_again(fact: Fact[Any], entry: Entry) -> Seen:
    try:
        return Known(fact.parse(Output(entry.payload["rc"], base64.b64decode(entry.payload["out"]))), entry.utc)
    except (FactError, ValueError, LookupError, TypeError) as error:
        return Unseen(f"the measurement of {entry.utc} cannot be read: {error}")
